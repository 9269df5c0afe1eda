//! Who is at the other end of a connection.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// The user at the other end, as the kernel noted it when the connection was made (SO_PEERCRED, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
}

impl Peer {
    pub(super) fn of(stream: &impl AsFd) -> io::Result<Self> {
        let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
        // SAFETY: the pointers are to a ucred and its size, both outlive the call.
        let returned = unsafe {
            libc::getsockopt(
                stream.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        if returned == 0 { Ok(Self { uid: credentials.uid }) } else { Err(io::Error::last_os_error()) }
    }

    /// Whose answers user `uid` may take for a daemon's: root's and their own. Root may ask anybody's, by naming the socket.
    pub(super) const fn may_answer(self, uid: u32) -> bool {
        uid == 0 || self.uid == 0 || self.uid == uid
    }

    /// Root, and the daemon's own user.
    pub(super) const fn may_use_daemon_of(self, uid: u32) -> bool {
        self.uid == 0 || self.uid == uid
    }
}

/// The user this process acts as.
pub(super) fn own_uid() -> u32 {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_kernel_tells_who_connects() {
        let (one, _two) = UnixStream::pair().unwrap();
        assert_eq!(Peer::of(&one).unwrap(), Peer { uid: own_uid() });
    }

    #[test]
    fn root_and_the_daemons_user_and_nobody_else() {
        assert!(Peer { uid: 0 }.may_use_daemon_of(0));
        assert!(Peer { uid: 0 }.may_use_daemon_of(1000));
        assert!(Peer { uid: 1000 }.may_use_daemon_of(1000));
        assert!(!Peer { uid: 1000 }.may_use_daemon_of(0));
        assert!(!Peer { uid: 1001 }.may_use_daemon_of(1000));
        assert!(Peer { uid: 0 }.may_answer(1000) && Peer { uid: 1000 }.may_answer(1000) && Peer { uid: 1000 }.may_answer(0));
        assert!(!Peer { uid: 1001 }.may_answer(1000));
    }
}
