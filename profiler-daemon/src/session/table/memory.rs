//! How the table's memory is reached: through `/proc/PID/mem`, which is opened once and stays that of the memory it was opened on, whatever
//! becomes of the process and its number: after an execve(2) nothing can be read or written through it any more.
//!
//! The file belongs to the process' user, so root without CAP_DAC_OVERRIDE, or a profiler that is not root, cannot open another user's to
//! write. What a table says can be read without it.

use std::fmt::Debug;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::target::Target;
use crate::target::hardening::PtraceScope;
use crate::target::memory::{Spans as _, TargetMemory};
use crate::target::privileges::{Capability, Privileges};

/// The memory in which a table lies.
pub(super) trait TableMemory: Debug + Send + Sync {
    /// Fills `bytes` from `address` on.
    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes `bytes` from `address` on.
    fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()>;
    /// Why it cannot be written, where it cannot: the capability that is missing, if it is one.
    fn closed(&self) -> Option<Closed>;
    /// Keeps others out; false where another holds it. What cannot be written needs no lock.
    fn try_lock(&self) -> io::Result<bool>;
    /// Lets others in again.
    fn unlock(&self);
}

/// The memory can be read only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// What is missing for more.
    pub(super) lacks: Option<Capability>,
    /// What Yama says, where it is that which keeps us out of a process of our own user.
    pub(super) scope: Option<PtraceScope>,
}

/// A process' memory.
#[derive(Debug)]
pub(super) enum ProcessMemory {
    /// To read and write.
    Open(File),
    /// To read.
    ReadOnly(TargetMemory, Closed),
}

impl ProcessMemory {
    pub(super) fn of(target: &Target) -> io::Result<Self> {
        match File::options().read(true).write(true).open(target.proc_path("mem")) {
            Ok(file) => Ok(Self::Open(file)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let wanted = [Capability::SysPtrace, Capability::DacOverride];
                let lacks = Privileges::read().ok().and_then(|own| own.lacks(&wanted));
                // Where another capability is missing, Yama is not what is in the way.
                let scope = PtraceScope::in_force().filter(|scope| scope.is_shut() || lacks == Some(Capability::SysPtrace));
                Ok(Self::ReadOnly(
                    TargetMemory::of(target)?,
                    Closed { lacks: lacks.filter(|_| scope.is_none_or(|scope| !scope.is_shut())), scope },
                ))
            }
            Err(error) => Err(error),
        }
    }
}

impl TableMemory for ProcessMemory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Open(file) => file.read_exact_at(bytes, address),
            // After the read, because its pid may have become another's before.
            Self::ReadOnly(memory, _) if memory.read(address, bytes) && !memory.is_gone() => Ok(()),
            Self::ReadOnly(..) => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }

    fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Open(file) => file.write_all_at(bytes, address),
            Self::ReadOnly(..) => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self {
            Self::Open(file) => match file.try_lock() {
                Ok(()) => Ok(true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(error)) => Err(error),
            },
            Self::ReadOnly(..) => Ok(true),
        }
    }

    fn unlock(&self) {
        if let Self::Open(file) = self {
            // It fails for no lock of ours, and goes with the file.
            let _ = file.unlock();
        }
    }

    fn closed(&self) -> Option<Closed> {
        match self {
            Self::Open(_) => None,
            Self::ReadOnly(_, closed) => Some(*closed),
        }
    }
}
