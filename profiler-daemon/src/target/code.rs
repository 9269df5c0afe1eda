//! The code that the target has mapped, for those who read it: where it lies, and the bytes of the file behind it.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use super::Target;
use super::mapped::{ModulesError, executable_mappings, open_mapped};
use super::maps::{Backing, Mapping};
use super::memory;
use super::program::{self, Segment};

/// A stretch of executable memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    mapping: Mapping,
    pid: u32,
}

/// What is behind a stretch. Two stretches of one file have equal ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Behind {
    /// A file: device and inode.
    File((u32, u32), u64),
    /// The kernel's own page of code.
    Vdso,
    /// No file: code made at run time.
    Nothing,
}

/// The vDSO is a page or two.
const LARGEST_VDSO: u64 = 1 << 20;

/// The stretches of process `pid`, by address. The trampoline page of uprobes is left out: nothing of the target's runs there.
pub fn stretches(pid: u32) -> Result<Vec<Stretch>, ModulesError> {
    let (mut mappings, _) = executable_mappings(pid)?;
    mappings.retain(|mapping| mapping.name() != b"[uprobes]" && mapping.name() != b"[vsyscall]");
    mappings.sort_by_key(|mapping| mapping.start);
    Ok(mappings.into_iter().map(|mapping| Stretch { mapping, pid }).collect())
}

/// What is behind the code of `target`'s program. `None`: it is not mapped, or its mappings are not to be read.
#[must_use]
pub fn behind_program(target: &Target) -> Option<Behind> {
    let inode = std::fs::metadata(target.proc_path("exe")).ok()?.ino();
    let mappings = target.mappings().ok()?;
    // Another file may have been mapped from a path of the same name.
    let own = mappings.iter().find(|mapping| target.is_exe(mapping) && mapping.inode == inode)?;
    Some(Behind::File(own.device, own.inode))
}

impl Stretch {
    /// Its first address.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.mapping.start
    }

    /// The address behind it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.mapping.end
    }

    /// The path of the file, or the kernel's name for what is mapped; empty for neither. Untrusted.
    #[must_use]
    pub fn name(&self) -> String {
        String::from_utf8_lossy(self.mapping.name()).into_owned()
    }

    /// What is added to an address of the file with these `segments` to get the address in the process.
    #[must_use]
    pub fn load_bias(&self, segments: &[Segment]) -> Option<u64> {
        program::load_bias(segments, std::iter::once(&self.mapping))
    }

    /// What is behind it.
    #[must_use]
    pub fn behind(&self) -> Behind {
        match &self.mapping.backing {
            Backing::File { .. } => Behind::File(self.mapping.device, self.mapping.inode),
            Backing::Special(name) if name == "[vdso]" => Behind::Vdso,
            Backing::Special(_) | Backing::Anonymous => Behind::Nothing,
        }
    }

    /// The bytes behind it: the whole file as it is mapped, even if another one stands at its path by now; the vDSO from the target's memory.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self.behind() {
            Behind::File(..) => program::read(open_mapped(self.pid, &self.mapping)?),
            Behind::Vdso => {
                let size = (self.end() - self.start()).min(LARGEST_VDSO);
                let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
                // Not by /proc/PID/mem, which belongs to the process' user.
                let whole = memory::read(self.pid, self.start(), &mut bytes);
                whole.then_some(bytes).ok_or_else(|| io::Error::from_raw_os_error(libc::EIO))
            }
            Behind::Nothing => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that our own program, its libraries and the vDSO can be read, each an ELF file.
    #[test]
    fn our_own_code_can_be_read() {
        let ours = stretches(std::process::id()).unwrap();
        let here = our_own_code_can_be_read as fn() as usize as u64;
        assert!(ours.iter().any(|stretch| stretch.start() <= here && here < stretch.end()));
        assert!(ours.iter().any(|stretch| stretch.behind() == Behind::Vdso), "{ours:?}");
        for stretch in ours.iter().filter(|stretch| stretch.behind() != Behind::Nothing) {
            assert_eq!(stretch.bytes().unwrap().get(..4), Some(b"\x7fELF".as_slice()), "{stretch:?}");
        }
    }

    /// Check that a process that is not there is an error, and code without a file as well.
    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(stretches(4_194_305).is_err());
        let backing = Backing::Anonymous;
        let (readable, writable, executable) = (true, false, true);
        let mapping =
            Mapping { start: 4096, end: 8192, readable, writable, executable, offset: 0, device: (0, 0), inode: 0, backing };
        assert!(Stretch { mapping, pid: std::process::id() }.bytes().is_err());
    }
}
