//! Names of a target's addresses, each looked up once: late, in the files that [`Modules`] holds open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use super::blaze::{Files, frames_at};
use super::debug_file::{DebugFile, find};
use super::elf::Elf;
use super::{Frame, MappedFile, Symbolize};
use crate::model::text::printable;
use crate::target::mapped::{Location, Modules};
use crate::text::hex;

/// Folders of `--debug-dir` that are kept, the latest ones.
const DEBUG_DIRS_MAX: usize = 32;

/// Names addresses of a target, each once.
#[derive(Debug)]
pub struct Symbols {
    modules: Modules,
    debug_dirs: Vec<PathBuf>,
    known: HashMap<u64, Vec<Frame>>,
    /// What was found out of each file, by its descriptor: [`Modules`] closes none.
    files: HashMap<i32, Option<Source>>,
    said: BTreeSet<String>,
}

/// A mapped file's facts, and its debug file.
#[derive(Debug)]
struct Source {
    elf: Elf,
    debug: Option<DebugFile>,
}

/// Addresses that lie in one file: (address, offset into the file) for each.
type ByFile = BTreeMap<i32, Vec<(u64, u64)>>;

impl Symbols {
    /// Looks up in these modules and their debug files.
    #[must_use]
    pub fn new(modules: Modules) -> Self {
        Self { modules, debug_dirs: Vec::new(), known: HashMap::new(), files: HashMap::new(), said: BTreeSet::new() }
    }

    /// The modules as they are by now. They must be those of [`Symbols::new`], updated. Names found so far stay.
    pub fn update(&mut self, modules: Modules) {
        self.modules = modules;
    }

    /// Looks in these folders too, before the others. A new one makes what was looked up before be looked up again.
    pub fn add_debug_dirs(&mut self, dirs: &[PathBuf]) {
        if dirs.iter().all(|dir| self.debug_dirs.contains(dir)) {
            return;
        }
        self.debug_dirs.retain(|known| !dirs.contains(known));
        self.debug_dirs.splice(0..0, dirs.iter().cloned());
        self.debug_dirs.truncate(DEBUG_DIRS_MAX);
        self.known.clear();
        self.files.clear();
        self.said.clear();
        for dir in &self.debug_dirs {
            // A wrong folder would else only show as names that are missing.
            if let Err(error) = std::fs::read_dir(dir) {
                self.said.insert(format!("cannot look for debug files in {}: {error}", dir.display()));
            }
        }
    }

    /// Why some functions have no name, and which debug files were refused: one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.modules.warnings().into_iter().chain(self.said.iter().cloned()).collect()
    }

    fn look_up(&mut self, addresses: &[u64]) {
        let mut by_file = ByFile::new();
        for &address in addresses {
            if self.known.contains_key(&address) {
                continue;
            }
            let location = self.modules.locate(address);
            if let Some(Location { file: Some(file), file_offset, .. }) = location {
                by_file.entry(file.as_raw_fd()).or_default().push((address, file_offset));
            }
            // Stands until a symbol is found.
            self.known.insert(address, vec![without_symbol(address, location.as_ref())]);
        }
        for (descriptor, places) in by_file {
            self.look_up_in_file(descriptor, &places);
        }
    }

    fn look_up_in_file(&mut self, descriptor: i32, places: &[(u64, u64)]) {
        let Self { modules, debug_dirs, known, files, said } = self;
        let location = places.first().and_then(|&(address, _)| modules.locate(address));
        let Some(Location { path, file: Some(file), .. }) = location else { return };
        let source = files.entry(descriptor).or_insert_with(|| Source::open(file, path, modules.root(), debug_dirs, said));
        let Some(source) = source else { return };
        let mut wanted: Vec<(u64, u64)> =
            places.iter().filter_map(|&(address, offset)| Some((source.elf.address_of(offset)?, address))).collect();
        wanted.sort_unstable();
        let in_file: Vec<u64> = wanted.iter().map(|&(in_file, _)| in_file).collect();
        match frames_at(source.files(file), &in_file) {
            Ok(named) => {
                let found = wanted.iter().zip(named.frames).filter(|(_, frames)| !frames.is_empty());
                let before = said.len();
                let found = found.map(|(&(_, address), frames)| known.insert(address, frames)).count();
                if let Some(why) = named.without_debug {
                    said.insert(format!("cannot read the debug information of {}: {why}", printable(path)));
                }
                if found < places.len() && before == said.len() && source.is_bare() {
                    said.insert(format!(
                        "{} has no symbol table and no debug information: some of its functions have no names; name the folder of \
                         its debug file with --debug-dir",
                        printable(path)
                    ));
                }
            }
            Err(failure) => {
                said.insert(format!("cannot read symbols of {}: {failure}", printable(path)));
            }
        }
    }
}

impl Source {
    /// `None`: it is no file that names could be in, which `said` tells.
    fn open(
        file: &File,
        path: &[u8],
        target_root: Option<&File>,
        debug_dirs: &[PathBuf],
        said: &mut BTreeSet<String>,
    ) -> Option<Self> {
        match Elf::read(file) {
            Ok(elf) if elf.debug_info => Some(Self { elf, debug: None }),
            Ok(elf) => {
                let found = find(&elf, path, target_root, debug_dirs);
                said.extend(found.refused);
                Some(Self { elf, debug: found.file })
            }
            Err(error) => {
                said.insert(format!("cannot read symbols of {}: {error}", printable(path)));
                None
            }
        }
    }

    fn files<'f>(&'f self, itself: &'f File) -> Files<'f> {
        match &self.debug {
            None => Files { table: itself, debug: self.elf.debug_info.then_some(itself) },
            Some(debug) => Files {
                table: if debug.elf.symbol_table && !self.elf.symbol_table { &debug.file } else { itself },
                debug: debug.elf.debug_info.then_some(&debug.file),
            },
        }
    }

    /// Whether it has no names but those that it exports.
    const fn is_bare(&self) -> bool {
        self.debug.is_none() && !self.elf.symbol_table && !self.elf.debug_info
    }
}

impl Symbolize for Symbols {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        self.look_up(addresses);
        addresses.iter().map(|address| self.known.get(address).cloned().unwrap_or_default()).collect()
    }

    fn modules(&self) -> Vec<MappedFile> {
        let mut build_ids: HashMap<i32, Option<String>> = HashMap::new();
        let mut build_id = |file: &File| {
            let id = build_ids.entry(file.as_raw_fd());
            id.or_insert_with(|| Elf::read(file).ok()?.build_id.as_deref().map(hex)).clone()
        };
        let mapped = self.modules.each().map(|(addresses, begin)| MappedFile {
            start: addresses.start,
            end: addresses.end,
            file_offset: begin.file_offset,
            path: printable(begin.path),
            build_id: begin.file.and_then(&mut build_id),
        });
        mapped.collect()
    }
}

fn without_symbol(address: u64, location: Option<&Location<'_>>) -> Frame {
    let function = match location {
        Some(Location { path, file_offset, .. }) if !path.is_empty() => {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            let name = String::from_utf8_lossy(name);
            format!("[{}+{file_offset:#x}]", name.trim_start_matches('[').trim_end_matches(']'))
        }
        _ => format!("[unknown {address:#x}]"),
    };
    Frame::unresolved(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_symbol_the_module_and_offset_are_shown() {
        for (path, shown) in
            [(b"/usr/lib/libx.so.6".as_slice(), "[libx.so.6+0x42]"), (b"[vdso]", "[vdso+0x42]"), (b"", "[unknown 0x7f00]")]
        {
            let location = Location { path, file: None, file_offset: 0x42 };
            assert_eq!(without_symbol(0x7f00, Some(&location)).function, shown);
        }
    }
}
