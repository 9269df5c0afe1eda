//! The profiler, attached to the service for a while: its loop on a thread of its own, as the daemon's is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use profiler_daemon::session::{Choice, Detail, Manner, Mode, Session, SessionError, Subject};
use profiler_tests::{Failure, Result};

use crate::load::WANTED;

/// How often the daemon looks.
const TICK: Duration = Duration::from_millis(50);

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing: what the rig says of itself.
    Nothing,
    /// One wanted request, and probes that only it reaches.
    Request,
    /// Every request, by what scopes keep themselves.
    AllRequests,
    /// One wanted request, and probes on every poll, wake and spawn.
    Process,
}

impl What {
    /// In the order of the report.
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Request, Self::AllRequests, Self::Process];

    fn subject(self) -> Subject {
        match self {
            Self::AllRequests => Subject::AllRequests,
            _ => Subject::Requests(Choice::of_ids(vec![WANTED.into()])),
        }
    }

    fn manner(self) -> Manner {
        Manner { mode: (self == Self::Process).then_some(Mode::Process), ..Manner::default() }
    }
}

/// An attached profiler.
pub(crate) struct Attached {
    over: Arc<AtomicBool>,
    thread: JoinHandle<std::result::Result<u64, SessionError>>,
}

impl Attached {
    /// Attaches to `pid` and waits until the window is open. `None` of nothing.
    pub(crate) fn start(pid: u32, what: What) -> Result<Option<Self>> {
        if what == What::Nothing {
            return Ok(None);
        }
        let over = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut session = Session::start(pid, &what.subject(), &what.manner(), &[], &mut |_| ())?;
                let _ = ready.send(());
                while !over.load(Ordering::Relaxed) {
                    session.tick()?;
                    std::thread::sleep(TICK);
                }
                session.finish()?;
                let seen = session.capture(Detail::NoStacks)?;
                // Requests that keep their own times are folded, and only the slowest are kept whole.
                let folded: u64 = seen.routes.iter().map(|route| route.count).sum();
                Ok(folded.max(u64::try_from(seen.requests.len()).unwrap_or(u64::MAX)))
            }
        });
        let attached = Self { over, thread };
        // A failed start drops the sender.
        if is_ready.recv().is_ok() {
            return Ok(Some(attached));
        }
        attached.end().map(|_| None)
    }

    /// Leaves the service. How many requests were seen.
    pub(crate) fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| Failure::Wrong(vec!["the profiler panicked".to_owned()]))?;
        ended.map_err(|error| Failure::Wrong(vec![error.to_string()]))
    }
}
