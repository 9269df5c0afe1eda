//! What a process holds of the kernel's BPF: programs, maps, links, types, by their ids; and which of these are still there later.
//!
//! Others may use BPF on the same machine at the same time, so objects are not counted: a profiler's are known by their ids while it lives
//! (`fdinfo` of each descriptor, kernel/bpf/syscall.c `bpf_prog_show_fdinfo` and its like), and asked for by these when it is gone. Ids are given out
//! in a circle of 2^31 and not used again soon (`idr_alloc_cyclic`).

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use crate::victim::soon;
use crate::{Failure, Result};

/// A kind of object, as `bpf(2)` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Program,
    Map,
    Types,
    Link,
}

impl Kind {
    /// By the name of its id in `fdinfo`.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "prog_id" => Self::Program,
            "map_id" => Self::Map,
            "btf_id" => Self::Types,
            "link_id" => Self::Link,
            _ => return None,
        })
    }

    /// `BPF_PROG_GET_FD_BY_ID` and its like, include/uapi/linux/bpf.h.
    const fn by_id(self) -> libc::c_int {
        match self {
            Self::Program => 13,
            Self::Map => 14,
            Self::Types => 19,
            Self::Link => 30,
        }
    }
}

/// Objects of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelObjects(BTreeSet<(Kind, u32)>);

impl KernelObjects {
    /// Those of process `pid` now.
    pub fn of_process(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/fdinfo");
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&folder).map_err(Failure::io(folder))? {
            // A descriptor may be closed meanwhile.
            let Some(info) = entry.ok().and_then(|entry| fs::read_to_string(entry.path()).ok()) else { continue };
            let ids = info.lines().filter_map(|line| {
                let (name, id) = line.split_once(':')?;
                Some((Kind::of(name)?, id.trim().parse().ok()?))
            });
            // A link names its program too, and programs without types say 0.
            found.extend(ids.filter(|(_, id)| *id != 0));
        }
        Ok(Self(found))
    }

    /// How many there are: programs, maps, links.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        [Kind::Program, Kind::Map, Kind::Link].map(|kind| self.0.iter().filter(|(of, _)| *of == kind).count())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another moment.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// All of them go, soon: the kernel frees in the background.
    pub fn are_gone(&self) -> Result<()> {
        soon("the kernel still has", || {
            Ok(self.0.iter().filter(|(kind, id)| is_there(*kind, *id)).map(|(kind, id)| format!("{kind:?} {id}")).collect())
        })
    }
}

/// `union bpf_attr` as far as looking up by id reads it.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Whether the kernel has an object of this id. Anything but "there is none" counts as yes, so that nothing is overlooked.
fn is_there(kind: Kind, id: u32) -> bool {
    let attr = ById { id, ..ById::default() };
    // SAFETY: reads the structure, whose size is given.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, kind.by_id(), &raw const attr, size_of::<ById>()) };
    match RawFd::try_from(fd) {
        Ok(fd @ 0..) => {
            // SAFETY: the kernel has just made it for us.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
            true
        }
        _ => std::io::Error::last_os_error().raw_os_error() != Some(libc::ENOENT),
    }
}
