//! Starting the service that is to be profiled, so that it stands before its first instruction until the probes are in.
//!
//! The child asks to be traced, so the kernel stops it once its program is in place. It goes on to the program's own first instruction
//! ([`entry`]), and is let go of with a SIGSTOP in its hands: from then on it is stopped as by job control, without a tracer (who could be
//! seen, and keeps others out), until [`Launched::go`].

mod caller;
mod entry;
mod signals;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal as Sent, pidfd_open, pidfd_send_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities};

pub use caller::Caller;
pub use signals::Signals;

/// Why a service could not be started, or not be handled.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such program, or it cannot be run.
    #[error("cannot run {}", program.to_string_lossy().escape_debug())]
    CannotExecute {
        /// What was to be run.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before its first instruction: the loader does not find a library, or somebody killed it.
    #[error("{} ended before its first instruction", program.to_string_lossy().escape_debug())]
    EndedAtOnce {
        /// What was run.
        program: OsString,
    },
    /// The user who called sudo is not known to the system.
    #[error("cannot find out the groups of user {uid}, who called sudo (--as-root starts the service as root)")]
    Caller {
        /// The user.
        uid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// A system call failed that has no reason to.
    #[error("cannot {what}")]
    System {
        /// What was about to be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A service that was started by us. Dropped before [`Launched::go`], it is killed: it has not run one instruction.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    pid: u32,
    /// Whether it runs.
    gone: bool,
}

impl Launched {
    /// Starts `program`, as the user `caller` where there is one, with our standard streams, and returns while it stands before its
    /// first instruction.
    pub fn start(program: &OsStr, arguments: &[OsString], caller: Option<&Caller>) -> Result<Self, LaunchError> {
        let mut command = Command::new(program);
        command.args(arguments);
        let become_caller = caller.map(|caller| caller.prepare(&mut command));
        // SAFETY: between fork and exec the closure makes system calls only, and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                if let Some(identity) = &become_caller {
                    identity.assume()?;
                }
                signals::let_through()?;
                give_up_inherited()?;
                Ok(ptrace::traceme()?)
            })
        };
        // The thread that forks is the tracer, and only the tracer may wait for stops and detach: all of it happens in this function.
        let mut child = command.spawn().map_err(|source| LaunchError::CannotExecute { program: program.to_owned(), source })?;
        match stand(&child) {
            Ok(true) => Ok(Self { pid: child.id(), child, gone: false }),
            // Reaped by the wait: its pid may be anybody's by now.
            Ok(false) => Err(LaunchError::EndedAtOnce { program: program.to_owned() }),
            Err(error) => {
                // It is of no use any more; if it cannot be killed it is gone already.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has been let run.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.gone
    }

    /// Lets it run.
    pub fn go(&mut self) -> Result<(), LaunchError> {
        self.send(Sent::CONT).map_err(|source| LaunchError::System { what: "let the service run", source })?;
        self.gone = true;
        Ok(())
    }

    /// Asks it to end, as `kill` does. One that has ended already is no error.
    pub fn ask_to_end(&self) -> Result<(), LaunchError> {
        self.tell(Sent::TERM)
    }

    /// Ends it without asking.
    pub fn kill(&self) -> Result<(), LaunchError> {
        self.tell(Sent::KILL)
    }

    /// Waits for its end. It may have ended long ago: who waits last is told too.
    pub fn wait(&mut self) -> Result<ExitStatus, LaunchError> {
        self.child.wait().map_err(|source| LaunchError::System { what: "wait for the service's end", source })
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, LaunchError> {
        self.child.try_wait().map_err(|source| LaunchError::System { what: "look for the service's end", source })
    }

    fn tell(&self, signal: Sent) -> Result<(), LaunchError> {
        match self.send(signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                Err(LaunchError::System { what: "send the service a signal", source: error })
            }
            _ => Ok(()),
        }
    }

    /// As long as nobody has waited for the child, its pid is its own.
    fn send(&self, signal: Sent) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(pidfd_send_signal(handle, signal)?)
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if !self.gone {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The exit code that a shell gives to an end: the program's own, or 128 and the signal that killed it.
#[must_use]
pub fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Capabilities that the profiler was given to hand on (ambient and inheritable ones, capabilities(7)) are not the service's. Root's service
/// of root has root's by being root.
fn give_up_inherited() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let held = capabilities(None)?;
    Ok(set_capabilities(None, CapabilitySets { inheritable: CapabilitySet::empty(), ..held })?)
}

/// Takes a child that has asked to be traced from its stop behind execve(2) to one without a tracer. `false`: it has ended, and is
/// reaped.
fn stand(child: &Child) -> Result<bool, LaunchError> {
    let failed = |what| move |errno: nix::Error| LaunchError::System { what, source: errno.into() };
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    let pid =
        pid.map_err(|_| LaunchError::System { what: "use the service's pid", source: io::ErrorKind::InvalidData.into() })?;
    if !is_stopped(waitpid(pid, None).map_err(failed("wait for the service to be loaded"))?) {
        return Ok(false);
    }
    if !entry::run_loader(pid).map_err(failed("bring the service to its first instruction (ptrace)"))? {
        return Ok(false);
    }
    ptrace::detach(pid, Signal::SIGSTOP).map_err(failed("let go of the service (PTRACE_DETACH)"))?;
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).map_err(failed("wait for the service to stop"))?;
    Ok(is_stopped(stopped))
}

const fn is_stopped(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Stopped(..))
}

#[cfg(test)]
mod tests;
