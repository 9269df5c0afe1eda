//! The files a process executes from, held open from the moment they were seen.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use thiserror::Error;

use super::maps::{Backing, Mapping, parse_lines};
use super::read_bounded;

/// Files held open for one target. A program has tens; what goes beyond is named by module and offset only.
const FILES_MAX: usize = 256;

/// The target's mappings could not be read.
#[derive(Debug, Error)]
pub enum ModulesError {
    /// Reading `/proc/PID/maps` failed.
    #[error("cannot read the memory map of process {pid} ({path})")]
    Maps {
        /// The process.
        pid: u32,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where an address lies.
#[derive(Clone, Copy, Debug)]
pub struct Location<'m> {
    /// The file's path in the target's view, `[vdso]`, or empty. Untrusted bytes.
    pub path: &'m [u8],
    /// The mapped file itself. `None`: there is none, or it could not be opened.
    pub file: Option<&'m File>,
    /// Offset into the file, in bytes.
    pub file_offset: u64,
}

/// The executable mappings of a process, with their files open.
///
/// The descriptors come through `/proc/PID/map_files`, so they are the mapped files themselves, whatever container the
/// target lives in and whatever stands at their path today. Where that is not permitted the path is opened through
/// `/proc/PID/root` and taken if its inode is the mapped one.
///
/// A clone is cheap and stays as it is: names are looked up in one while the original goes on.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    mappings: Vec<Mapping>,
    files: HashMap<FileKey, Result<Arc<File>, Arc<io::Error>>>,
    root: Option<Arc<File>>,
    unreadable: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FileKey {
    device: (u32, u32),
    inode: u64,
}

impl FileKey {
    fn of(mapping: &Mapping) -> Self {
        Self { device: mapping.device, inode: mapping.inode }
    }
}

impl Modules {
    /// The modules of a live process.
    ///
    /// The caller makes sure that `pid` is still the target (by its pidfd), before and after.
    pub fn of_process(pid: u32) -> Result<Self, ModulesError> {
        let mut modules = Self::default();
        modules.update(pid)?;
        Ok(modules)
    }

    /// One file that is mapped as a whole from `start` on, without a process.
    pub fn of_file(file: File, start: u64) -> io::Result<Self> {
        let about = file.metadata()?;
        let mapping = Mapping {
            start,
            end: start.saturating_add(about.len().next_multiple_of(4096)),
            readable: true,
            writable: false,
            executable: true,
            offset: 0,
            device: (0, 0),
            inode: about.ino(),
            backing: Backing::Anonymous,
        };
        let files = HashMap::from([(FileKey::of(&mapping), Ok(Arc::new(file)))]);
        Ok(Self { mappings: vec![mapping], files, root: None, unreadable: 0 })
    }

    /// Reads the mappings again, for libraries that were loaded meanwhile. What was known stays known, unless
    /// something else is mapped in its place now.
    pub fn update(&mut self, pid: u32) -> Result<(), ModulesError> {
        let (mappings, unreadable) = executable_mappings(pid)?;
        self.unreadable = self.unreadable.max(unreadable);
        if self.root.is_none() {
            // Debug files are looked for there when names are, and the process may be gone by then. Without it: only in ours.
            self.root = File::open(format!("/proc/{pid}/root")).ok().map(Arc::new);
        }
        for mapping in &mappings {
            let key = FileKey::of(mapping);
            if mapping.inode != 0 && self.files.len() < FILES_MAX && !self.files.contains_key(&key) {
                self.files.insert(key, open_mapped(pid, mapping).map(Arc::new).map_err(Arc::new));
            }
        }
        self.add(mappings);
        Ok(())
    }

    /// The target's root directory, held open. `None`: it may not be read.
    #[must_use]
    pub fn root(&self) -> Option<&File> {
        self.root.as_deref()
    }

    fn add(&mut self, newer: Vec<Mapping>) {
        self.mappings.retain(|old| newer.iter().all(|new| new.end <= old.start || old.end <= new.start));
        self.mappings.extend(newer);
        self.mappings.sort_by_key(|mapping| mapping.start);
    }

    /// Where an address lies. `None`: in no executable mapping.
    #[must_use]
    pub fn locate(&self, address: u64) -> Option<Location<'_>> {
        let behind = self.mappings.partition_point(|mapping| mapping.start <= address);
        let mapping = self.mappings.get(behind.checked_sub(1)?)?;
        let begin = (address < mapping.end).then(|| self.begin_of(mapping))?;
        Some(Location { file_offset: address.saturating_sub(mapping.start).saturating_add(mapping.offset), ..begin })
    }

    /// Every executable mapping, in address order: its addresses, from the first to the one after the last, and its begin.
    pub fn each(&self) -> impl Iterator<Item = (Range<u64>, Location<'_>)> {
        self.mappings.iter().map(|mapping| (mapping.start..mapping.end, self.begin_of(mapping)))
    }

    fn begin_of<'m>(&'m self, mapping: &'m Mapping) -> Location<'m> {
        Location {
            path: mapping.name(),
            file: self.files.get(&FileKey::of(mapping)).and_then(|file| file.as_deref().ok()),
            file_offset: mapping.offset,
        }
    }

    /// What could not be read, one sentence each; the addresses concerned show as module and offset.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .files
            .iter()
            .filter_map(|(key, file)| Some((key, file.as_ref().err()?)))
            .map(|(key, error)| format!("cannot open {}: {error}; its functions have no names", self.shown(key)))
            .collect();
        warnings.sort();
        if self.files.len() >= FILES_MAX {
            warnings.push(format!("the target maps more than {FILES_MAX} files; functions of the others have no names"));
        }
        if self.unreadable > 0 {
            warnings.push(format!("{} lines of the target's memory map could not be read", self.unreadable));
        }
        warnings
    }

    fn shown(&self, key: &FileKey) -> String {
        let path = self.mappings.iter().find(|mapping| FileKey::of(mapping) == *key).map(Mapping::name);
        String::from_utf8_lossy(path.unwrap_or(b"a mapped file")).escape_debug().to_string()
    }
}

/// The executable mappings of process `pid`, and how many lines could not be read.
pub(super) fn executable_mappings(pid: u32) -> Result<(Vec<Mapping>, usize), ModulesError> {
    let path = PathBuf::from(format!("/proc/{pid}/maps"));
    let text = read_bounded(&path).map_err(|source| ModulesError::Maps { pid, path, source })?;
    let (mut mappings, unreadable) = parse_lines(&text);
    mappings.retain(|mapping| mapping.executable);
    Ok((mappings, unreadable))
}

pub(super) fn open_mapped(pid: u32, mapping: &Mapping) -> io::Result<File> {
    let itself = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
    let file = match open_to_read(Path::new(&itself)) {
        Ok(file) => file,
        Err(refused) => open_by_path(pid, mapping).map_err(|_| refused)?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Of overlay and btrfs files maps shows another device than stat does, but the same inode.
    if metadata.ino() != mapping.inode {
        return Err(io::Error::other("another file stands at its path"));
    }
    Ok(file)
}

fn open_by_path(pid: u32, mapping: &Mapping) -> io::Result<File> {
    let inside = mapping.name().strip_prefix(b"/").ok_or(io::ErrorKind::NotFound)?;
    open_to_read(&Path::new(&format!("/proc/{pid}/root")).join(OsStr::from_bytes(inside)))
}

/// Opens a regular file to read.
///
/// Under `root`, symbolic links lead as they do for a process that has it as its root directory: none leads out of it
/// (`RESOLVE_IN_ROOT`, openat2(2), Linux 5.6). Without `root`, the path is taken in our own view.
pub fn open_regular(root: Option<&File>, path: &Path) -> io::Result<File> {
    let file = match root {
        Some(root) => {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            File::from(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?)
        }
        None => open_to_read(path)?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// `O_NONBLOCK`: a target may have put a FIFO in its file's place, and opening that would wait for a writer.
fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, inode: u64) -> Mapping {
        let backing = Backing::File { path: "/lib/x.so".into(), deleted: false };
        let (readable, writable, executable) = (true, false, true);
        Mapping { start, end, readable, writable, executable, offset: 0x1000, device: (0, 1), inode, backing }
    }

    #[test]
    fn an_address_is_found_in_its_mapping_only() {
        let mut modules = Modules::default();
        modules.add(vec![mapping(0x2000, 0x3000, 1), mapping(0x5000, 0x6000, 2)]);
        assert!(modules.locate(0x1fff).is_none());
        assert_eq!(modules.locate(0x2000).unwrap().file_offset, 0x1000);
        assert_eq!(modules.locate(0x2fff).unwrap().file_offset, 0x1fff);
        assert!(modules.locate(0x3000).is_none());
        assert!(modules.locate(u64::MAX).is_none());
    }

    #[test]
    fn a_newer_mapping_takes_the_place_of_an_older_one() {
        let mut modules = Modules::default();
        modules.add(vec![mapping(0x2000, 0x3000, 1), mapping(0x5000, 0x6000, 2)]);
        modules.add(vec![mapping(0x2800, 0x2900, 3)]);
        assert!(modules.locate(0x2000).is_none(), "unmapped since");
        assert!(modules.locate(0x2800).is_some() && modules.locate(0x5000).is_some());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Above PID_MAX_LIMIT (2^22), so no process ever has it.
        let error = Modules::of_process(4_194_305).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the memory map of process 4194305 (/proc/4194305/maps)");
    }

    #[test]
    fn our_own_program_is_open_and_nothing_is_missing() {
        let modules = Modules::of_process(std::process::id()).unwrap();
        assert_eq!(modules.warnings(), Vec::<String>::new());
        let here = modules.locate(our_own_program_is_open_and_nothing_is_missing as fn() as usize as u64).unwrap();
        let ours = std::fs::metadata("/proc/self/exe").unwrap();
        assert_eq!(here.file.unwrap().metadata().unwrap().ino(), ours.ino());
    }
}
