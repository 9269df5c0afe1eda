//! The profiler in a process of its own, so that its CPU time and memory are its own: told on standard input when to come and go.
//!
//! `exact 1234` attaches to a process and answers `ready NS`; `end` leaves and answers with what was seen. Loading our programs takes a part of a
//! second, and starting a daemon for each slice would take more.

use std::io::{BufRead as _, Write as _};

use profiler_tests::rig::attached::{Attached, Sight, What};
use profiler_tests::{Failure, Result};

/// Answers until standard input ends.
pub(crate) fn until_the_end() -> Result<()> {
    let mut attached = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(Failure::io("standard input"))?;
        let answer = match line.split_once(' ') {
            Some((name, pid)) => begin(name, pid, &mut attached),
            None => end(attached.take()),
        };
        let answer = answer.unwrap_or_else(|failure| format!("failed {}", failure.to_string().replace('\n', " ")));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(Failure::io("standard output"))?;
    }
    Ok(())
}

fn begin(name: &str, pid: &str, attached: &mut Option<Attached>) -> Result<String> {
    let wrong = || Failure::Wrong(vec![format!("{name} {pid}: no such thing to do")]);
    let (what, pid) = (What::named(name).ok_or_else(wrong)?, pid.parse().map_err(|_| wrong())?);
    *attached = Attached::start(pid, what)?;
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
    fn what_was_seen_is_read_as_it_was_written() {
        let sight = Sight { requests: 1, tasks: 2, polls: 3, samples: 4, attach_ns: 5, leave_ns: 6 };
        assert_eq!(read("seen 1 2 3 4 5 6"), Some(sight));
        assert_eq!(read("seen 1 2"), None);
        assert_eq!(read("ready"), None);
    }
}
