//! Symbol lookup by blazesym, in files that [`Modules`] holds open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Reason, Sym, Symbolized, Symbolizer};

use super::{Frame, MappedFile, Symbolize};
use crate::model::names::{as_written, with_file};
use crate::model::text::printable;
use crate::target::mapped::{Location, Modules};

/// Longest function name kept, in characters. Generic ones reach tens of thousands, and no picture shows them.
const NAME_MAX: usize = 1024;

/// Names addresses of a target, each once.
#[derive(Debug)]
pub struct Symbols {
    modules: Modules,
    known: HashMap<u64, Vec<Frame>>,
    failures: BTreeSet<String>,
}

/// Addresses that lie in one file: the descriptor as a path, and (address, offset into the file) for each.
type ByFile = BTreeMap<i32, Vec<(u64, u64)>>;

impl Symbols {
    /// Looks up in these modules.
    #[must_use]
    pub fn new(modules: Modules) -> Self {
        Self { modules, known: HashMap::new(), failures: BTreeSet::new() }
    }

    /// The modules, to update them while the target lives. Names found so far stay.
    pub const fn modules_mut(&mut self) -> &mut Modules {
        &mut self.modules
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
            let offsets: Vec<u64> = places.iter().map(|&(_, offset)| offset).collect();
            match frames_in_file(descriptor, &offsets) {
                Ok(named) => {
                    let found = places.iter().zip(named).filter(|(_, frames)| !frames.is_empty());
                    self.known.extend(found.map(|(&(address, _), frames)| (address, frames)));
                }
                Err(failure) => {
                    let path = places.first().and_then(|&(address, _)| self.modules.locate(address)).map(|at| at.path);
                    let path = printable(path.unwrap_or_default());
                    self.failures.insert(format!("cannot read symbols of {path}: {failure}"));
                }
            }
        }
    }

    /// Why some functions have no name, one sentence for each file concerned.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.modules.warnings().into_iter().chain(self.failures.iter().cloned()).collect()
    }
}

impl Symbolize for Symbols {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        self.look_up(addresses);
        addresses.iter().map(|address| self.known.get(address).cloned().unwrap_or_default()).collect()
    }

    fn modules(&self) -> Vec<MappedFile> {
        let mut build_ids: HashMap<i32, Option<String>> = HashMap::new();
        let mapped = self.modules.each().map(|(addresses, begin)| MappedFile {
            start: addresses.start,
            end: addresses.end,
            file_offset: begin.file_offset,
            path: printable(begin.path),
            build_id: begin.file.and_then(|file| build_ids.entry(file.as_raw_fd()).or_insert_with(|| build_id(file)).clone()),
        });
        mapped.collect()
    }
}

/// The build id of a mapped file. `None`: it has none, or is no ELF file that could be read.
fn build_id(file: &File) -> Option<String> {
    let cache = object::ReadCache::new(file);
    let file = object::File::parse(&cache).ok()?;
    let id = object::Object::build_id(&file).ok()??;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The frames at each offset of a file; an empty list where there is no symbol.
///
/// The symbolizer with its parsed DWARF lives for one call: a graph is drawn now and then, the daemon runs for days.
/// A panic inside of it (the file is the target's, and may be made to harm) costs the names of that file.
fn frames_in_file(descriptor: i32, offsets: &[u64]) -> Result<Vec<Vec<Frame>>, String> {
    let symbolize = || {
        let symbolizer = Symbolizer::builder().enable_auto_reload(false).build();
        // Opens the descriptor's own file, not what stands at its path by now.
        let with_debug = Elf::new(format!("/proc/self/fd/{descriptor}"));
        let table_only = Elf { debug_syms: false, ..with_debug.clone() };
        let table =
            symbolizer.symbolize(&Source::Elf(table_only), Input::FileOffset(offsets)).map_err(|error| error.to_string())?;
        // Broken debug information leaves the symbol table's names.
        let debug = symbolizer.symbolize(&Source::Elf(with_debug), Input::FileOffset(offsets)).unwrap_or_default();
        // A file that cannot be parsed at all is no error to blazesym, but a reason at each address.
        let nothing = table.iter().chain(&debug).all(|found| found.as_sym().is_none());
        match table.first() {
            Some(&Symbolized::Unknown(reason)) if nothing && reason != Reason::UnknownAddr => {
                return Err(reason.to_string());
            }
            _ => {}
        }
        Ok((0..offsets.len()).map(|index| frames_of(debug.get(index), table.get(index))).collect())
    };
    match catch_unwind(AssertUnwindSafe(symbolize)) {
        Ok(result) => result,
        Err(_) => Err("its symbols or debug information are malformed".to_owned()),
    }
}

/// Joins what the debug information and the symbol table say about one address.
///
/// With `debug = "line-tables-only"` LLVM leaves linkage names out, so debug information knows the inlined calls but
/// says `load` for `orders::load`. The symbol table has the path, of the function that was not inlined.
fn frames_of(debug: Option<&Symbolized<'_>>, table: Option<&Symbolized<'_>>) -> Vec<Frame> {
    let table = table.and_then(Symbolized::as_sym);
    let Some(Sym { name, inlined, .. }) = debug.and_then(Symbolized::as_sym).or(table) else {
        return Vec::new();
    };
    let outermost = match table {
        Some(table) if table.name.contains("::") && !name.contains("::") => &table.name,
        _ => name,
    };
    // blazesym lists inlined calls from the outermost in.
    let calls = inlined.iter().rev().map(|call| {
        let file = call.code_info.as_ref().map(|code| code.file.to_string_lossy());
        named(&with_file(&call.name, file.as_deref()))
    });
    calls.chain([named(outermost)]).collect()
}

fn named(name: &str) -> Frame {
    let mut function = as_written(name);
    if let Some((cut, _)) = function.char_indices().nth(NAME_MAX) {
        function.truncate(cut);
        function.push('…');
    }
    Frame::named(&function)
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

    #[test]
    fn a_name_without_end_is_cut() {
        let cut = named(&"é".repeat(NAME_MAX + 5)).function;
        assert_eq!(cut.chars().count(), NAME_MAX + 1);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn a_file_that_is_no_program_has_no_names() {
        let file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &file, b"\x7fELF and then nothing of the kind").unwrap();
        let refused = frames_in_file(file.as_raw_fd(), &[0, 1]);
        assert!(refused.is_err(), "{refused:?}");
    }
}
