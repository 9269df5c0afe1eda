//! The profiler, attached to the service for a while: its loop on a thread of its own, as the daemon's is.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use profiler_daemon::attach::{Handlers, Room};
use profiler_daemon::model::Capture;
use profiler_daemon::session::{Choice, Manner, Mode, Session, SessionError, Subject, record};

use super::load::WANTED;
use crate::{Failure, Result};

/// Longer than any slice: the recording is ended by whoever started it.
const LONG: Duration = Duration::from_mins(10);

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing: what the rig says of itself.
    Nothing,
    /// One wanted request, and probes that only it reaches.
    Request,
    /// Every request, by what scopes keep themselves.
    AllRequests,
    /// One wanted request, and probes on every poll, wake and spawn.
    Process,
    /// Every task, by probes on every poll, wake and spawn.
    Exact,
    /// The same without those on wakes.
    ExactNoWakes,
    /// Empty programs on the sites of `Exact`.
    Floor,
    /// No probe at all: samples and switches.
    Sample,
}

impl What {
    /// Each with its name.
    pub const NAMES: [(&str, Self); 8] = [
        ("aa", Self::Nothing),
        ("request", Self::Request),
        ("all_requests", Self::AllRequests),
        ("process", Self::Process),
        ("exact", Self::Exact),
        ("exact_no_wakes", Self::ExactNoWakes),
        ("floor", Self::Floor),
        ("sample", Self::Sample),
    ];

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, what)| *what)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, what)| *what == self).map_or("?", |(name, _)| name)
    }

    fn subject(self) -> Subject {
        match self {
            Self::AllRequests => Subject::AllRequests,
            Self::Exact | Self::ExactNoWakes | Self::Floor | Self::Sample => Subject::AllTasks,
            // By its beginning, so that the recording goes on when it has ended.
            Self::Nothing | Self::Request | Self::Process => {
                Subject::Requests(Choice { prefixes: vec![WANTED.into()], ..Choice::default() })
            }
        }
    }

    fn manner(self) -> Manner {
        Manner {
            mode: match self {
                Self::Process => Some(Mode::Process),
                Self::Sample => Some(Mode::Sample),
                _ => None,
            },
            no_wakes: self == Self::ExactNoWakes,
            handlers: if self == Self::Floor { Handlers::Empty } else { Handlers::Accounting },
            ..Manner::default()
        }
    }
}

/// What a profiler saw, so that nobody measures one that does nothing, and what it took to come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Requests.
    pub requests: u64,
    /// Tasks that live, each with a row of its own.
    pub tasks: u64,
    /// Polls.
    pub polls: u64,
    /// Samples of stacks.
    pub samples: u64,
    /// From the process id to the open window (ns).
    pub attach_ns: u64,
    /// From the wish to leave until everything is told (ns).
    pub leave_ns: u64,
}

/// An attached profiler.
#[derive(Debug)]
pub struct Attached {
    over: tokio::sync::oneshot::Sender<()>,
    thread: JoinHandle<Result<Sight>>,
}

impl Attached {
    /// Attaches to `pid` and waits until the window is open. `None` of nothing.
    pub fn start(pid: u32, what: What) -> Result<Option<Self>> {
        Self::start_with(pid, what, Room::default())
    }

    /// The same with room for so many tasks and requests.
    pub fn start_with(pid: u32, what: What, room: Room) -> Result<Option<Self>> {
        if what == What::Nothing {
            return Ok(None);
        }
        let (over, is_over) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || attached(pid, what, room, &ready, is_over));
        let attached = Self { over, thread };
        // A failed start drops the sender.
        if is_ready.recv().is_ok() {
            return Ok(Some(attached));
        }
        attached.end().map(|_| None)
    }

    /// Leaves the service.
    pub fn end(self) -> Result<Sight> {
        let begun = Instant::now();
        // It may have ended by an error, which is told below.
        let _ = self.over.send(());
        let sight = self.thread.join().map_err(|_| Failure::Wrong(vec!["the profiler panicked".to_owned()]))??;
        Ok(Sight { leave_ns: nanoseconds(begun), ..sight })
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The product's own loop, until it is over.
fn attached(pid: u32, what: What, room: Room, ready: &Sender<()>, over: tokio::sync::oneshot::Receiver<()>) -> Result<Sight> {
    let failed = |error: SessionError| Failure::Wrong(vec![error.to_string()]);
    let begun = Instant::now();
    let manner = Manner { room, ..what.manner() };
    let session = Session::start(pid, &what.subject(), &manner, &[], &mut |_| ()).map_err(failed)?;
    let attach_ns = nanoseconds(begun);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("a runtime"))?;
    let _ = ready.send(());
    let interrupt = async { drop(over.await) };
    let seen = runtime.block_on(record(session, LONG, interrupt)).map_err(failed)?.capture;
    Ok(Sight { attach_ns, ..sight(&seen) })
}

fn sight(seen: &Capture) -> Sight {
    // Requests that keep their own times are folded, and only the slowest are kept whole.
    let folded: u64 = seen.routes.iter().map(|route| route.count).sum();
    let of_tasks: u64 = seen.tasks.iter().map(|task| task.polls).chain(seen.finished.iter().map(|row| row.polls)).sum();
    let of_requests: u64 = seen.requests.iter().map(|request| request.polls).sum();
    Sight {
        requests: folded.max(u64::try_from(seen.requests.len()).unwrap_or(u64::MAX)),
        tasks: u64::try_from(seen.tasks.len()).unwrap_or(u64::MAX),
        polls: of_tasks.max(of_requests),
        samples: u64::try_from(seen.samples.len()).unwrap_or(u64::MAX),
        ..Sight::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (name, what) in What::NAMES {
            assert_eq!((What::named(name), what.name()), (Some(what), name));
        }
    }
}
