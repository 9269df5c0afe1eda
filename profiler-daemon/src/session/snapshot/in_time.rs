//! Reading the target's memory without trusting that it comes back: a page fault there may be served by the target itself (userfaultfd(2)),
//! or by a file system that hangs, and may never end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::super::{Session, SessionError};
use crate::model::Snapshot;

/// Time for a whole snapshot.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes a snapshot on a thread of its own, and leaves the thread alone where it does not come back. There is one such thread at a time.
pub(in crate::session) fn snapshot_in_time(session: &Arc<Mutex<Session>>) -> Result<Snapshot, SessionError> {
    let (pid, under_way) = {
        let session = session.lock().unwrap_or_else(PoisonError::into_inner);
        (session.target.pid(), Arc::clone(&session.snapshots.under_way))
    };
    if under_way.swap(true, Ordering::AcqRel) {
        return Err(SessionError::SnapshotUnderWay);
    }
    let under_way = UnderWay(under_way);
    let session = Arc::clone(session);
    let (done, result) = mpsc::channel();
    let started = thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
        let taken = super::snapshot(&session);
        drop(under_way);
        // Nobody waits any more where it took too long.
        let _ = done.send(taken);
    });
    let failed = |source| SessionError::Runtime { what: "read the target's tasks", source };
    let _thread = started.map_err(failed)?;
    match result.recv_timeout(PATIENCE) {
        Ok(taken) => taken,
        Err(RecvTimeoutError::Timeout) => Err(SessionError::MemoryHangs { pid, seconds: PATIENCE.as_secs() }),
        Err(RecvTimeoutError::Disconnected) => Err(failed(io::Error::other("the thread that read them has failed"))),
    }
}

/// Says that a snapshot is under way, until it is dropped.
struct UnderWay(Arc<AtomicBool>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
