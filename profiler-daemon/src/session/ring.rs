//! Waits for the kernel side to say that something has come that will not wait for the next look: a request asked for by name has begun or
//! ended.

use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Session, SessionError};
use crate::collect::ring_fd;

/// The ring buffer's descriptor, of its own so that waiting does not borrow the session.
#[derive(Debug)]
pub(super) struct RingWatch {
    ring: AsyncFd<OwnedFd>,
}

impl RingWatch {
    /// Watches the ring buffer of `session`.
    pub(super) fn of(session: &mut Session) -> Result<Self, SessionError> {
        let fd = ring_fd(&mut session.attached)?;
        // SAFETY: the ring buffer lives as long as the session, which is borrowed here.
        let ring = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().map_err(failed)?;
        // SAFETY: the descriptor is owned by the `AsyncFd`, and never replaced or closed before it.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }.map_err(|error| failed(error.into()))?;
        Ok(Self { ring })
    }

    /// Waits until something has come. The caller drains the ring buffer then.
    pub(super) async fn told(&self) -> Result<(), SessionError> {
        self.ring.readable().await.map_err(failed)?.clear_ready();
        Ok(())
    }
}

fn failed(source: std::io::Error) -> SessionError {
    SessionError::Runtime { what: "watch the ring buffer", source }
}
