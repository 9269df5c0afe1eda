//! From addresses to function names: late, once, and without needing the process to be alive still.
//!
//! [`Modules`](crate::target::mapped::Modules) holds the target's executable mappings and an open descriptor of each mapped file, taken while the
//! target lives. [`Symbols`] looks names up in those files when a graph is drawn: the target may have ended, and its
//! files may be deleted or replaced.

mod blaze;
mod cut_short;
mod debug_file;
mod elf;
mod known;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;

pub use known::Symbols;

/// One function at an address. An address has several where functions were inlined into one another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function as the user wrote it, its generic arguments shortened, or `[module+0xOFFSET]` with an offset into the
    /// file, or `[unknown 0xADDRESS]`. It comes from the target: print it escaped.
    pub function: String,
    /// The same with its generic arguments. Equal to `function` where nothing was shortened.
    pub full: String,
    /// The source file, as the debug information names it. Untrusted text.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// Whether a symbol was found.
    pub resolved: bool,
}

impl Frame {
    /// A function of which only the name is known, already as it is to be shown.
    #[must_use]
    pub fn named(function: &str) -> Self {
        Self { function: function.to_owned(), full: function.to_owned(), file: None, line: None, resolved: true }
    }

    /// An address without a symbol, and what is shown for it.
    #[must_use]
    pub fn unresolved(shown: String) -> Self {
        Self { full: shown.clone(), function: shown, resolved: false, ..Self::default() }
    }
}

/// A range of the target's addresses and the file that it is mapped from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedFile {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Where the range begins in the file, in bytes.
    pub file_offset: u64,
    /// The file's path in the target's view, or `[vdso]` and the like, or empty. Printable text.
    pub path: String,
    /// The file's GNU build id in lower-case hex (note `NT_GNU_BUILD_ID` of `.note.gnu.build-id`).
    pub build_id: Option<String>,
}

/// The file with the debug information of `program`, which is at `path` in the target's view, where that is a file of its own; and why others are
/// not it, a sentence each.
#[must_use]
pub fn debug_information(
    program: &File,
    path: &[u8],
    target_root: Option<&File>,
    debug_dirs: &[PathBuf],
) -> (Option<File>, Vec<String>) {
    let Ok(elf) = elf::Elf::read(program) else { return (None, Vec::new()) };
    let found = debug_file::find(&elf, path, target_root, debug_dirs);
    (found.file.filter(|file| file.elf.debug_info).map(|file| file.file), found.refused)
}

/// Whatever can name addresses of the target.
pub trait Symbolize {
    /// The functions at each address, in the order of `addresses`; for one address the innermost inlined function
    /// first. There is at least one for each address: what has no name is shown as such.
    ///
    /// An address is looked up as it is: the caller has moved return addresses back into their call.
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>>;

    /// The executable mappings that addresses lie in, in address order. Empty: not known.
    fn modules(&self) -> Vec<MappedFile> {
        Vec::new()
    }
}

/// The functions at each address, each looked up once however often it comes.
pub fn by_address(addresses: impl IntoIterator<Item = u64>, symbols: &mut dyn Symbolize) -> BTreeMap<u64, Vec<Frame>> {
    let addresses: BTreeSet<u64> = addresses.into_iter().collect();
    let addresses: Vec<u64> = addresses.into_iter().collect();
    let named = symbols.symbolize(&addresses);
    addresses.into_iter().zip(named).collect()
}

#[cfg(test)]
mod tests;
