//! The profiler, attached to the service for a while: its loop on a thread of its own, as the daemon's is.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use profiler_daemon::session::{Choice, Manner, Mode, Session, SessionError, Subject, record};
use profiler_tests::{Failure, Result};

use crate::load::WANTED;

/// Longer than any slice: the recording is ended by whoever started it.
const LONG: Duration = Duration::from_mins(10);

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
            // By its beginning, so that the recording goes on when it has ended.
            _ => Subject::Requests(Choice { prefixes: vec![WANTED.into()], ..Choice::default() }),
        }
    }

    fn manner(self) -> Manner {
        Manner { mode: (self == Self::Process).then_some(Mode::Process), ..Manner::default() }
    }
}

/// An attached profiler.
pub(crate) struct Attached {
    over: tokio::sync::oneshot::Sender<()>,
    thread: JoinHandle<Result<u64>>,
}

impl Attached {
    /// Attaches to `pid` and waits until the window is open. `None` of nothing.
    pub(crate) fn start(pid: u32, what: What) -> Result<Option<Self>> {
        if what == What::Nothing {
            return Ok(None);
        }
        let (over, is_over) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || attached(pid, what, &ready, is_over));
        let attached = Self { over, thread };
        // A failed start drops the sender.
        if is_ready.recv().is_ok() {
            return Ok(Some(attached));
        }
        attached.end().map(|_| None)
    }

    /// Leaves the service. How many requests were seen.
    pub(crate) fn end(self) -> Result<u64> {
        // It may have ended by an error, which is told below.
        let _ = self.over.send(());
        self.thread.join().map_err(|_| Failure::Wrong(vec!["the profiler panicked".to_owned()]))?
    }
}

/// The product's own loop, until it is over.
fn attached(pid: u32, what: What, ready: &Sender<()>, over: tokio::sync::oneshot::Receiver<()>) -> Result<u64> {
    let failed = |error: SessionError| Failure::Wrong(vec![error.to_string()]);
    let session = Session::start(pid, &what.subject(), &what.manner(), &[], &mut |_| ()).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("a runtime"))?;
    let _ = ready.send(());
    let interrupt = async { drop(over.await) };
    let seen = runtime.block_on(record(session, LONG, interrupt)).map_err(failed)?.capture;
    // Requests that keep their own times are folded, and only the slowest are kept whole.
    let folded: u64 = seen.routes.iter().map(|route| route.count).sum();
    Ok(folded.max(u64::try_from(seen.requests.len()).unwrap_or(u64::MAX)))
}
