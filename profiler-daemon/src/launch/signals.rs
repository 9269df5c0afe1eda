//! Signals that come for the service but are sent to us, who started it.
//!
//! A key of the terminal (Ctrl-C) reaches every process of the foreground group: the service has its own already, and many take a second
//! one for "now, at once". A signal that a process sends (kill, a supervisor, sudo) is meant for the service just as much and reaches us
//! only. The kernel tells the two apart by `si_code`, which is why this is a signalfd(2) and no handler.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use rustix::process::{PidfdFlags, Signal as Sent, pidfd_open, pidfd_send_signal};

use super::{LaunchError, Launched};

/// `SI_KERNEL` (include/uapi/asm-generic/siginfo.h): not sent by any process.
const SI_KERNEL: i32 = 0x80;

/// The signals, caught.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Keeps the signals from this thread and from those that it makes from now on: to be called before any is made.
    pub fn catch() -> Result<Self, LaunchError> {
        let failed = |errno: nix::Error| LaunchError::System { what: "catch signals", source: errno.into() };
        let set = caught();
        set.thread_block().map_err(failed)?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).map_err(failed)?))
    }

    /// Hands them on to `service` from now on, those that came since [`Self::catch`] included, by a thread that begins with `prepare`.
    pub fn hand_on(self, service: &Launched, prepare: impl FnOnce() + Send + 'static) -> Result<(), LaunchError> {
        let failed = |source| LaunchError::System { what: "hand signals on to the service", source };
        let pid = i32::try_from(service.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        // Ends with this process.
        let work = move || {
            prepare();
            hand_on_all(&self.0, &handle);
        };
        thread::Builder::new().name("signals".to_owned()).spawn(work).map_err(failed)?;
        Ok(())
    }
}

/// Lets the signals come to this thread again: a child inherits what its parent has blocked, also over execve(2).
pub(super) fn let_through() -> io::Result<()> {
    Ok(caught().thread_unblock()?)
}

fn caught() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

fn hand_on_all(signals: &SignalFd, service: &OwnedFd) {
    loop {
        // It blocks, and is only interrupted by a debugger.
        let Ok(Some(info)) = signals.read_signal() else { continue };
        if let Some(signal) = meant_for_the_service(&info) {
            // One that has ended needs no signal any more.
            let _ = pidfd_send_signal(service, signal);
        }
    }
}

/// The signal to send on, if the service has not got its own.
fn meant_for_the_service(info: &siginfo) -> Option<Sent> {
    if info.ssi_code == SI_KERNEL {
        return None;
    }
    match i32::try_from(info.ssi_signo) {
        Ok(libc::SIGINT) => Some(Sent::INT),
        Ok(libc::SIGTERM) => Some(Sent::TERM),
        Ok(libc::SIGHUP) => Some(Sent::HUP),
        _ => None,
    }
}
