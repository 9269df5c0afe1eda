//! Giving up what is not needed any more.
//!
//! Capabilities are a thread's own: capset(2) changes those of the thread that calls it, and a thread begins with its maker's. The threads of
//! the daemon's runtime are made before the attach, because the socket and the signals need them, so each of them gives up at its own start
//! what it will not need ([`Kept::reduce_thread`]), and only the main thread, which attaches, does so after the attach
//! ([`Kept::reduce_process`]). The other way, which libcap's psx takes, is to interrupt every thread by a signal and have it call capset
//! there: a handler would run in the midst of whatever a thread does, and the threads would hold everything until then. That no thread was
//! forgotten is checked at the end, by what the kernel says of each.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};
use thiserror::Error;

use super::super::status::Status;
use super::{Capability, Privileges};

/// What stays, where it is there, and what for.
const ALWAYS: [Capability; 4] = [
    // Maps for the unwind rows of libraries that are loaded later.
    Capability::Bpf,
    // Mappings and memory: `/proc/PID/maps`, process_vm_readv(2).
    Capability::SysPtrace,
    // Files of libraries that are loaded later, and files with debug information when names are asked for.
    Capability::DacReadSearch,
    Capability::CheckpointRestore,
];

/// What is still to be done after the attach, and takes more than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// A service that was started by us is sent signals; it may be another user's, or become so.
    pub signals_a_service: bool,
    /// A program is run that works on the user's files (curl).
    pub runs_a_program: bool,
    /// Folders from which a file of ours is to be removed: the socket, a result that nothing came of.
    pub folders: Vec<PathBuf>,
}

/// Why privileges could not be given up.
#[derive(Debug, Error)]
pub enum ReduceError {
    /// The kernel refused.
    #[error("cannot give up privileges ({call})")]
    Refused {
        /// The system call.
        call: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// What our threads hold cannot be read.
    #[error("cannot read what privileges our threads hold (/proc/self/task)")]
    Unreadable(#[source] io::Error),
    /// A thread holds more than it should.
    #[error(
        "thread {thread} of the profiler holds privileges that it should have given up ({more:#x}): a mistake of the profiler"
    )]
    Left {
        /// The thread.
        thread: u32,
        /// Its capabilities beyond those that were kept, a bit each.
        more: u64,
    },
}

/// The capabilities that stay, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept(u64);

impl Kept {
    /// Of what the calling thread holds, what will be needed.
    pub(super) fn of(privileges: &Privileges, later: &Later) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let closed = later.folders.iter().any(|folder| !may_write(folder, uid));
        Self(bits(privileges, later, closed))
    }

    /// Whether one stays.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Gives up, in the calling thread, what does not stay, for good: in every set, and no program that it runs gets more again.
    pub fn reduce_thread(self) -> Result<(), ReduceError> {
        let refused = |call| move |errno: rustix::io::Errno| ReduceError::Refused { call, source: errno.into() };
        clear_ambient_capability_set().map_err(refused("PR_CAP_AMBIENT_CLEAR_ALL"))?;
        let held = capabilities(None).map_err(refused("capget"))?;
        if held.effective.contains(CapabilitySet::SETPCAP) {
            self.reduce_bounding_set();
        }
        let kept = CapabilitySet::from_bits_retain(self.0);
        let sets = CapabilitySets {
            effective: held.effective & kept,
            permitted: held.permitted & kept,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets).map_err(refused("capset"))?;
        set_no_new_privs(true).map_err(refused("PR_SET_NO_NEW_PRIVS"))
    }

    /// The bounding set is what programs that root runs may get. The kernel ends the numbers of capabilities by EINVAL.
    fn reduce_bounding_set(self) {
        for number in (0..64_u8).filter(|number| self.0 & (1 << number) == 0) {
            // SAFETY: it takes numbers only.
            let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
            if dropped != 0 {
                break;
            }
        }
    }

    /// The same in the last thread that still holds more: afterwards none of this process does.
    pub fn reduce_process(self) -> Result<(), ReduceError> {
        self.reduce_thread()?;
        for entry in fs::read_dir("/proc/self/task").map_err(ReduceError::Unreadable)? {
            let entry = entry.map_err(ReduceError::Unreadable)?;
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match Status::of(&entry.path(), thread) {
                Ok(status) => match (status.permitted | status.effective) & !self.0 {
                    0 => {}
                    more => return Err(ReduceError::Left { thread, more }),
                },
                // It has ended since.
                Err(_) if !entry.path().exists() => {}
                Err(source) => return Err(ReduceError::Unreadable(source)),
            }
        }
        Ok(())
    }
}

fn bits(privileges: &Privileges, later: &Later, closed: bool) -> u64 {
    // Where there is no CAP_BPF, CAP_SYS_ADMIN stands for it (`bpf_capable()`, include/linux/capability.h).
    let admin = [Capability::SysAdmin].into_iter().filter(|_| !privileges.has(Capability::Bpf));
    let kill = [Capability::Kill].into_iter().filter(|_| later.signals_a_service);
    let write = [Capability::DacOverride].into_iter().filter(|_| closed || later.runs_a_program);
    let wanted = ALWAYS.into_iter().chain(admin).chain(kill).chain(write);
    wanted.filter(|capability| privileges.has(*capability)).fold(0, |bits, capability| bits | 1 << capability as u8)
}

/// Whether files can be removed from a folder by its permissions alone. Of its group nothing is known here.
fn may_write(folder: &Path, uid: u32) -> bool {
    const WRITE_AND_SEARCH: u32 = 0o3;
    fs::metadata(folder).is_ok_and(|found| {
        let mode = if found.uid() == uid { found.mode() >> 6 } else { found.mode() };
        mode & WRITE_AND_SEARCH == WRITE_AND_SEARCH
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn bits_of(capabilities: &[Capability]) -> u64 {
        capabilities.iter().fold(0, |bits, &capability| bits | 1 << capability as u8)
    }

    fn with(effective: u64) -> Privileges {
        Privileges { effective, in_initial_namespace: true }
    }

    #[test]
    fn what_stays_is_what_is_there_and_needed() {
        use Capability::{Bpf, CheckpointRestore, DacOverride, DacReadSearch, Kill, Perfmon, SysAdmin, SysPtrace};
        let root = with(u64::MAX);
        let always = bits_of(&[Bpf, SysPtrace, DacReadSearch, CheckpointRestore]);
        assert_eq!(bits(&root, &Later::default(), false), always);
        assert_eq!(bits(&root, &Later::default(), true), always | bits_of(&[DacOverride]));
        let curl = Later { runs_a_program: true, ..Later::default() };
        assert_eq!(bits(&root, &curl, false), always | bits_of(&[DacOverride]));
        let service = Later { signals_a_service: true, ..Later::default() };
        assert_eq!(bits(&root, &service, false), always | bits_of(&[Kill]));
        let three = with(bits_of(&[Bpf, Perfmon, SysPtrace]));
        assert_eq!(bits(&three, &service, true), bits_of(&[Bpf, SysPtrace]));
        assert_eq!(bits(&with(bits_of(&[SysAdmin])), &Later::default(), false), bits_of(&[SysAdmin]));
    }

    #[test]
    fn a_folder_that_is_not_ours_needs_more() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let uid = folder.path().metadata().unwrap().uid();
        assert!(may_write(folder.path(), uid) && !may_write(folder.path(), uid + 1));
        mode(0o1777);
        assert!(may_write(folder.path(), uid + 1));
        mode(0o577);
        assert!(!may_write(folder.path(), uid) && may_write(folder.path(), uid + 1));
        mode(0o700);
        assert!(!may_write(Path::new("/no/such/folder"), uid));
    }

    /// Check that a thread gives up its own, the others keep theirs, and the look at all threads finds those.
    #[test]
    fn a_thread_gives_up_its_own_only() {
        let of_this_thread = || Status::of(Path::new("/proc/thread-self"), 0).unwrap();
        let before = of_this_thread();
        let (permitted, effective) = (before.permitted, before.effective);
        std::thread::spawn(move || {
            let kept = Kept(bits_of(&[Capability::Bpf]) & permitted);
            kept.reduce_thread().unwrap();
            let after = of_this_thread();
            assert_eq!((after.permitted, after.effective), (kept.0, kept.0 & effective));
            let whole = kept.reduce_process();
            if permitted == kept.0 {
                whole.unwrap();
            } else {
                assert!(matches!(whole, Err(ReduceError::Left { .. })), "{whole:?}");
            }
        })
        .join()
        .unwrap();
        assert_eq!(of_this_thread(), before);
    }
}
