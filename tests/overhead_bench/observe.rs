//! The profiler in a process of its own, so that its CPU time and memory are its own: told on standard input when to come and go.
//!
//! `exact 1234 0 0` attaches to a process, with room for as many tasks and requests as by default, and answers `ready`; `end` leaves and answers with what was seen. Loading our programs takes a part of a
//! second, and starting a daemon for each slice would take more.

use std::io::{BufRead as _, Write as _};

use profiler_daemon::attach::Room;
use profiler_tests::rig::attached::{Attached, Sight, What};
use profiler_tests::{Failure, Result};

/// What to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) what: What,
    pub(crate) pid: u32,
    pub(crate) room: Room,
}

impl Order {
    /// As a line. No room is a default's.
    pub(crate) fn written(&self) -> String {
        let Self { what, pid, room } = self;
        format!("{} {pid} {} {}", what.name(), room.tasks.unwrap_or(0), room.requests.unwrap_or(0))
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let what = What::named(words.next()?)?;
        let mut number = || words.next()?.parse::<u32>().ok();
        let pid = number()?;
        let mut room = || number().map(|rows| (rows != 0).then_some(rows));
        Some(Self { what, pid, room: Room { tasks: room()?, requests: room()? } })
    }
}

/// Answers until standard input ends.
pub(crate) fn until_the_end() -> Result<()> {
    let mut attached = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(Failure::io("standard input"))?;
        let answer = if line == "end" { end(attached.take()) } else { begin(&line, &mut attached) };
        let answer = answer.unwrap_or_else(|failure| format!("failed {}", failure.to_string().replace('\n', " ")));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(Failure::io("standard output"))?;
    }
    Ok(())
}

fn begin(line: &str, attached: &mut Option<Attached>) -> Result<String> {
    let Order { what, pid, room } =
        Order::read(line).ok_or_else(|| Failure::Wrong(vec![format!("{line}: no such thing to do")]))?;
    *attached = Attached::start_with(pid, what, room)?;
    Ok("ready".to_owned())
}

fn end(attached: Option<Attached>) -> Result<String> {
    let Sight { requests, tasks, polls, samples, attach_ns, leave_ns } =
        attached.map(Attached::end).transpose()?.unwrap_or_default();
    Ok(format!("seen {requests} {tasks} {polls} {samples} {attach_ns} {leave_ns}"))
}

/// What [`end`] has written.
pub(crate) fn read(line: &str) -> Option<Sight> {
    let mut numbers = line.strip_prefix("seen ")?.split(' ').map(|word| word.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    Some(Sight { requests: next()?, tasks: next()?, polls: next()?, samples: next()?, attach_ns: next()?, leave_ns: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_written() {
        let order = Order { what: What::Exact, pid: 1234, room: Room { tasks: Some(1_000_000), requests: None } };
        assert_eq!(Order::read(&order.written()), Some(order));
        assert_eq!(Order::read("exact 1234"), None);
        assert_eq!(Order::read("nonsense 1234 0 0"), None);
    }

    #[test]
    fn what_was_seen_is_read_as_it_was_written() {
        let sight = Sight { requests: 1, tasks: 2, polls: 3, samples: 4, attach_ns: 5, leave_ns: 6 };
        assert_eq!(read("seen 1 2 3 4 5 6"), Some(sight));
        assert_eq!(read("seen 1 2"), None);
        assert_eq!(read("ready"), None);
    }
}
