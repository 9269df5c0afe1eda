//! A handle of a process that stays that process', whoever gets its pid next.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// A pidfd (Linux 5.3).
#[derive(Debug)]
pub(super) struct Pidfd(OwnedFd);

impl Pidfd {
    /// pidfd_open(2). The id of a thread that does not lead its process gives EINVAL, from 6.15 on ENOENT.
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: the system call takes two integers and touches no memory of ours.
        let returned = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
        match RawFd::try_from(returned) {
            Ok(fd @ 0..) => {
                // SAFETY: the kernel has just given this descriptor to us, and nobody else knows it.
                Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Whether the process has ended: then a pidfd is readable.
    pub(super) fn has_exited(&self) -> bool {
        let mut ask = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to one pollfd, which outlives the call.
        let ready = unsafe { libc::poll(&raw mut ask, 1, 0) };
        ready > 0 && ask.revents & libc::POLLIN != 0
    }

    /// Another handle of the same process.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Waits for the end of the process, by a descriptor of its own: whoever waits borrows nothing.
    pub(super) fn exited(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let own = self.0.as_fd().try_clone_to_owned();
        async move {
            // SAFETY: the descriptor is owned by `watched`, and never replaced or closed before it.
            let watched = unsafe { AsyncFd::register_with_interest(own?, Interest::READABLE) }?;
            // The guard's readiness is left as it is: an ended process stays ended.
            watched.readable().await.map(drop)
        }
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
