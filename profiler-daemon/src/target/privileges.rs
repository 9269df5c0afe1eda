//! Whether this process may profile at all, and what it may give up once it does ([`Kept`]).

mod kept;

use std::{fmt, io, os::unix::fs::MetadataExt as _, path::Path};

use thiserror::Error;

use super::status::Status;
pub use kept::{Kept, Later, ReduceError};

/// Inode of the initial user namespace (`PROC_USER_INIT_INO`, include/linux/proc_ns.h).
const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// A capability that profiling may need (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Files that their permissions keep from us: other users' memory, to write what is wanted of their processes.
    DacOverride = 1,
    /// Reading files and folders that their permissions keep from us.
    DacReadSearch = 2,
    /// Sending signals to other users' processes.
    Kill = 5,
    /// Looking into other users' processes.
    SysPtrace = 19,
    /// Stands for the two below, as before Linux 5.8; and having the kernel count runs of programs.
    SysAdmin = 21,
    /// Perf events and uprobes.
    Perfmon = 38,
    /// Loading programs and maps.
    Bpf = 39,
    /// Opening the very file that is mapped, by `/proc/PID/map_files`.
    CheckpointRestore = 40,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::Kill => "CAP_KILL",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
            Self::CheckpointRestore => "CAP_CHECKPOINT_RESTORE",
        })
    }
}

/// Why this process may not profile.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    /// Capabilities are missing.
    #[error("profiling needs root (sudo), or {}", list(.0))]
    Missing(Vec<Capability>),
    /// The kernel counts runs for an administrator only.
    #[error("having the kernel count runs (`--stats`) needs root (sudo), or {0}")]
    MissingForStatistics(Capability),
    /// In a user namespace of its own (a rootless container), where capabilities count for nothing with bpf(2).
    #[error("profiling needs privileges outside of this user namespace: run as root (sudo) on the host")]
    UserNamespace,
    /// Our own status cannot be read.
    #[error("cannot read our own privileges from /proc")]
    Unreadable(#[source] io::Error),
}

fn list(missing: &[Capability]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// How an error ends that a capability would have spared.
pub(crate) fn or_with(lacks: Option<Capability>) -> String {
    lacks.map_or_else(String::new, |capability| format!(": run as root (sudo), or with {capability}"))
}

/// What the calling thread may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Effective capabilities, a bit each.
    effective: u64,
    /// Whether they count for the whole machine.
    in_initial_namespace: bool,
}

impl Privileges {
    /// Reads the calling thread's.
    pub fn read() -> Result<Self, PrivilegeError> {
        let thread = Path::new("/proc/thread-self");
        let status = Status::of(thread, std::process::id()).map_err(PrivilegeError::Unreadable)?;
        let namespace = thread.join("ns/user").metadata().map_err(PrivilegeError::Unreadable)?;
        Ok(Self { effective: status.effective, in_initial_namespace: namespace.ino() == INITIAL_USER_NAMESPACE })
    }

    /// Whether a capability is there.
    #[must_use]
    pub const fn has(&self, capability: Capability) -> bool {
        self.effective & (1 << capability as u8) != 0
    }

    /// Whether the capabilities count for the whole machine, and not only inside a user namespace.
    #[must_use]
    pub const fn in_initial_namespace(&self) -> bool {
        self.in_initial_namespace
    }

    /// The first of `wanted` that is not there.
    #[must_use]
    pub fn lacks(&self, wanted: &[Capability]) -> Option<Capability> {
        wanted.iter().copied().find(|capability| !self.has(*capability))
    }

    /// Of these, what is needed after the attach.
    #[must_use]
    pub fn kept(&self, later: &Later) -> Kept {
        Kept::of(self, later)
    }

    /// Whether it is enough: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, which the kernel takes for both
    /// (`bpf_capable()`, `perfmon_capable()`), in the initial user namespace.
    ///
    /// CAP_SYS_PTRACE is not asked for here: it is needed for other users' processes only, and [`super::Target::open`]
    /// tells that.
    pub fn check(&self) -> Result<(), PrivilegeError> {
        if !self.has(Capability::SysAdmin) {
            let needed = [Capability::Bpf, Capability::Perfmon];
            let missing: Vec<_> = needed.into_iter().filter(|&capability| !self.has(capability)).collect();
            if !missing.is_empty() {
                return Err(PrivilegeError::Missing(missing));
            }
        }
        if self.in_initial_namespace { Ok(()) } else { Err(PrivilegeError::UserNamespace) }
    }

    /// Whether it is enough to have the kernel count runs of programs (kernel/bpf/syscall.c, `bpf_enable_stats`).
    pub fn check_statistics(&self) -> Result<(), PrivilegeError> {
        self.lacks(&[Capability::SysAdmin]).map_or(Ok(()), |lacks| Err(PrivilegeError::MissingForStatistics(lacks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(capabilities: &[Capability], in_initial_namespace: bool) -> Privileges {
        let effective = capabilities.iter().fold(0, |bits, &capability| bits | 1 << capability as u8);
        Privileges { effective, in_initial_namespace }
    }

    #[test]
    fn what_is_enough() {
        use Capability::{Bpf, Perfmon, SysAdmin, SysPtrace};
        assert!(with(&[Bpf, Perfmon], true).check().is_ok());
        assert!(with(&[SysAdmin], true).check().is_ok());
        let says = |privileges: Privileges| privileges.check().unwrap_err().to_string();
        assert_eq!(says(with(&[], true)), "profiling needs root (sudo), or CAP_BPF and CAP_PERFMON");
        assert_eq!(says(with(&[Bpf, SysPtrace], true)), "profiling needs root (sudo), or CAP_PERFMON");
        assert!(matches!(with(&[SysAdmin], false).check(), Err(PrivilegeError::UserNamespace)));
        assert!(with(&[SysAdmin], true).check_statistics().is_ok());
        let counting = with(&[Bpf, Perfmon], true).check_statistics().unwrap_err().to_string();
        assert_eq!(counting, "having the kernel count runs (`--stats`) needs root (sudo), or CAP_SYS_ADMIN");
    }

    #[test]
    fn our_own_can_be_read() {
        // SAFETY: geteuid takes nothing and cannot fail.
        let root = unsafe { libc::geteuid() } == 0;
        let own = Privileges::read().unwrap();
        if root && own.in_initial_namespace() {
            assert_eq!(own.check().is_ok(), own.has(Capability::SysAdmin) || own.has(Capability::Bpf));
        }
        if !root {
            assert!(own.check().is_err());
        }
    }
}
