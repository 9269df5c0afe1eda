//! The target's program: its bytes, and where they are loaded.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use object::{
    LittleEndian, Object as _, elf,
    read::{
        ReadCache,
        elf::{FileHeader as _, ProgramHeader as _},
    },
};

use super::{error::TargetError, maps::Mapping};

/// Largest program that is read. A release build with debug info of a large service has some hundred MB.
const PROGRAM_MAX: u64 = 4 << 30;
/// x86-64's page size.
const PAGE: u64 = 4096;

/// A `PT_LOAD` segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Length in the file, in bytes.
    pub length: u64,
    /// Address in the program's own terms.
    pub address: u64,
    /// May be run.
    pub executable: bool,
}

/// A program that has been read.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    bytes: Arc<Vec<u8>>,
    segments: Vec<Segment>,
    build_id: Option<Vec<u8>>,
}

impl Program {
    /// Checks that the bytes are an x86-64 ELF. `path` is for messages.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, TargetError> {
        let bad = |source| TargetError::BadElf { path: path.to_owned(), source };
        if let Some(machine) = foreign(&bytes) {
            return Err(TargetError::NotX86_64 { path: path.to_owned(), machine });
        }
        let header = elf::FileHeader64::<LittleEndian>::parse(&*bytes).map_err(bad)?;
        let endian = header.endian().map_err(bad)?;
        let headers = header.program_headers(endian, &*bytes).map_err(bad)?;
        let loaded = headers.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        let segments = loaded
            .map(|segment| Segment {
                offset: segment.p_offset(endian),
                length: segment.p_filesz(endian),
                address: segment.p_vaddr(endian),
                executable: segment.p_flags(endian) & elf::PF_X != 0,
            })
            .collect();
        let build_id = object::File::parse(&*bytes).map_err(bad)?.build_id().map_err(bad)?.map(<[u8]>::to_vec);
        Ok(Self { path: path.to_owned(), bytes: Arc::new(bytes), segments, build_id })
    }

    /// Reads a file, for `inspect FILE`.
    pub fn open(path: &Path) -> Result<Self, ProgramFileError> {
        let unreadable = |source| ProgramFileError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(ProgramFileError::NoFile { path: path.to_owned() });
        }
        Ok(Self::parse(path, read(file).map_err(unreadable)?)?)
    }

    /// Where the program was read from, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, for who reads it on another thread.
    #[must_use]
    pub fn shared_bytes(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.bytes)
    }

    /// What is loaded of it.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its GNU build id, if it has one.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }
}

/// Why a file cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFileError {
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// It is no x86-64 ELF.
    #[error(transparent)]
    Elf(#[from] TargetError),
}

/// Reads a whole program. Not mapped: a file that another process cuts short would kill us by SIGBUS.
pub(super) fn read(file: File) -> io::Result<Vec<u8>> {
    let about = file.metadata()?;
    if is_hollow(about.len(), about.blocks()) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is all but empty for its size"));
    }
    // What it has now; it may grow or shrink meanwhile.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(PROGRAM_MAX)).unwrap_or(0).saturating_add(1));
    let read = file.take(PROGRAM_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > PROGRAM_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the program is larger than 4 GiB"));
    }
    Ok(bytes)
}

/// Whether a file of `length` bytes holds so few of them that only reading it would make them (`blocks` of 512 bytes). A target may map one of any
/// size, and have us fill our memory with its zeros. File systems that compress do not come near this.
const fn is_hollow(length: u64, blocks: u64) -> bool {
    const SMALL: u64 = 64 << 20;
    const SHARE: u64 = 32;
    length > SMALL && blocks.saturating_mul(512) < length / SHARE
}

/// What machine an ELF file is for, if it is not ours. What is no ELF file at all is left to the parser to refuse.
fn foreign(bytes: &[u8]) -> Option<String> {
    let ident = bytes.first_chunk::<20>()?;
    if ident[..4] != elf::ELFMAG {
        return None;
    }
    let little = ident[5] == elf::ELFDATA2LSB;
    let machine = if little { u16::from_le_bytes([ident[18], ident[19]]) } else { u16::from_be_bytes([ident[18], ident[19]]) };
    let bits = if ident[4] == elf::ELFCLASS64 { 64 } else { 32 };
    let name = match machine {
        elf::EM_X86_64 if bits == 64 && little => return None,
        elf::EM_X86_64 => "x32".to_owned(),
        elf::EM_386 => "32-bit x86".to_owned(),
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::EM_RISCV => format!("{bits}-bit RISC-V"),
        other => format!("ELF machine {other} ({bits} bits)"),
    };
    Some(name)
}

/// What the loader added to the program's own addresses, from any of its mappings that shows it.
///
/// A mapping of offset `o` at `start` belongs to the segment that has `o` in its pages, and then
/// `start - o = bias + address - offset` of that segment. Code first: data pages at a segment's edge can belong to two.
pub(super) fn load_bias<'a>(segments: &[Segment], mappings: impl Iterator<Item = &'a Mapping>) -> Option<u64> {
    let mut best = None;
    for mapping in mappings {
        let segment = segments.iter().find(|segment| {
            let first = segment.offset - segment.offset % PAGE;
            let end = segment.offset.saturating_add(segment.length);
            segment.executable == mapping.executable && (first..end).contains(&mapping.offset)
        });
        let Some(segment) = segment else { continue };
        // The bias is the difference of two addresses modulo 2^64, as the loader computes it.
        let bias = mapping.start.wrapping_sub(mapping.offset).wrapping_add(segment.offset).wrapping_sub(segment.address);
        if mapping.executable {
            return Some(bias);
        }
        best = best.or(Some(bias));
    }
    best
}

/// The build id in an open file, reading no more of it than its headers and notes.
pub(super) fn build_id_of(file: File) -> Result<Option<Vec<u8>>, object::read::Error> {
    let cache = ReadCache::new(file);
    let file = object::File::parse(&cache)?;
    Ok(file.build_id()?.map(<[u8]>::to_vec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::maps;

    /// Check that a file without content is refused however large it says to be, and that a real one is not.
    #[test]
    fn a_hollow_file_fills_no_memory() {
        let hollow = tempfile::tempfile().unwrap();
        hollow.set_len(3 << 30).unwrap();
        assert_eq!(read(hollow).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let small = tempfile::tempfile().unwrap();
        small.set_len(1 << 20).unwrap();
        assert_eq!(read(small).unwrap().len(), 1 << 20);
        assert!(!is_hollow(1 << 30, (1 << 30) / 512 / 8), "compressed");
    }

    fn own_program() -> Program {
        Program::open(&std::env::current_exe().unwrap()).unwrap()
    }

    /// The kernel tells every program its entry address (AT_ENTRY, getauxval(3)): a truth from another source.
    #[test]
    fn the_bias_of_this_very_process() {
        let program = own_program();
        let header = elf::FileHeader64::<LittleEndian>::parse(program.bytes()).unwrap();
        // SAFETY: getauxval reads this process' own auxiliary vector.
        let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
        let mappings = maps::parse(&std::fs::read("/proc/self/maps").unwrap()).unwrap();
        let exe = std::env::current_exe().unwrap();
        let own: Vec<_> = mappings.iter().filter(|mapping| mapping.is_of(&exe, false)).collect();
        let expected = Some(entry - header.e_entry(LittleEndian));
        assert_eq!(load_bias(program.segments(), own.iter().copied()), expected);
        // Every mapping of the file's bytes alone leads to the same bias.
        let data = own.iter().copied().filter(|mapping| !mapping.executable && !mapping.writable).take(1);
        assert_eq!(load_bias(program.segments(), data), expected);
    }

    #[test]
    fn a_program_that_does_not_start_at_a_page() {
        // As lld lays out: code at offset 0x12340, address 0x13340, mapped from the page below.
        let segments = [
            Segment { offset: 0, length: 0x12340, address: 0, executable: false },
            Segment { offset: 0x12340, length: 0x5000, address: 0x13340, executable: true },
        ];
        let line = b"555555567000-55555556d000 r-xp 00012000 08:01 7 /x\n";
        let mappings = maps::parse(line).unwrap();
        assert_eq!(load_bias(&segments, mappings.iter()), Some(0x5555_5555_4000));
        assert_eq!(load_bias(&segments[..1], mappings.iter()), None);
        assert_eq!(load_bias(&[], mappings.iter()), None);
    }

    #[test]
    fn other_machines_are_named() {
        let mut bytes = own_program().bytes()[..4096].to_vec();
        let mut refuse = |at: usize, value: u8| {
            bytes[at] = value;
            Program::parse(Path::new("/x"), bytes.clone()).unwrap_err().to_string()
        };
        assert_eq!(refuse(18, 183), "/x is a program for aarch64, only 64-bit x86-64 can be profiled");
        assert_eq!(refuse(18, 3), "/x is a program for 32-bit x86, only 64-bit x86-64 can be profiled");
        assert_eq!(refuse(0, b'#'), "/x is not a readable ELF file");
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_no_panic() {
        let whole = own_program().bytes;
        for length in (0..256).chain([4096, 10_000, 100_000]) {
            // Long enough for the headers, a cut program may still parse; it must only not panic.
            let _ = Program::parse(Path::new("/x"), whole[..length].to_vec());
        }
        assert!(Program::parse(Path::new("/x"), Vec::new()).is_err());
    }

    #[test]
    fn what_is_no_program_is_refused_in_a_sentence() {
        let error = Program::open(Path::new("/proc")).unwrap_err();
        assert_eq!(error.to_string(), "/proc is not a regular file");
        let error = Program::open(Path::new("/no/such")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such");
    }
}
