//! Names in one file, by blazesym.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Reason, Sym, Symbolized, Symbolizer};

use super::Frame;
use super::cut_short::reading;
use crate::model::names::{as_written, shortened, with_file};

/// Longest function name kept, in characters. Generic ones reach tens of thousands, and no picture shows them.
const NAME_MAX: usize = 1024;

/// Addresses looked up with one symbolizer. It keeps what it has parsed of every compilation unit that it came by, and
/// addresses in order come by few. Measured by `what_names_cost` on 232 MB of DWARF in 95 units: 154 MB for a batch that
/// comes by all of them, 33 MB in ten batches of 20,000 addresses, for the same time.
const BATCH: usize = 2000;

/// The files with a program's names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'f> {
    /// The one with the best symbol table.
    pub(super) table: &'f File,
    /// The one with the debug information, if there is any.
    pub(super) debug: Option<&'f File>,
}

/// What was found in the files.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The frames at each address; an empty list where there is no symbol.
    pub(super) frames: Vec<Vec<Frame>>,
    /// Why the debug information was not used, if it was not.
    pub(super) without_debug: Option<String>,
}

/// The frames at addresses, which are the file's own and in ascending order.
///
/// The symbolizer with its parsed DWARF lives for one batch: a graph is drawn now and then, the daemon runs for days.
/// A panic inside of it (the file is the target's, and may be made to harm) costs the names of that file.
pub(super) fn frames_at(files: Files<'_>, addresses: &[u64]) -> Result<Named, String> {
    let symbolize = || {
        let mut all = Named::default();
        for batch in addresses.chunks(BATCH) {
            let named = batch_of(files, batch)?;
            all.frames.extend(named.frames);
            all.without_debug = all.without_debug.or(named.without_debug);
        }
        Ok(all)
    };
    match catch_unwind(AssertUnwindSafe(|| reading(symbolize))) {
        Ok(result) => result.map_err(|cut| cut.to_string())?,
        Err(_) => Err("its symbols or debug information are malformed".to_owned()),
    }
}

fn batch_of(files: Files<'_>, addresses: &[u64]) -> Result<Named, String> {
    // Debug files are found by us: blazesym would look for them in our own file system, and at paths of our descriptors.
    let symbolizer = Symbolizer::builder().enable_auto_reload(false).set_debug_dirs(Some(Vec::<PathBuf>::new())).build();
    let elf = |file: &File, debug_syms| {
        // Opens the descriptor's own file, not what stands at its path by now.
        let mut elf = Elf::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        elf.debug_syms = debug_syms;
        Source::Elf(elf)
    };
    let table_source = elf(files.table, false);
    let table = symbolizer.symbolize(&table_source, Input::VirtOffset(addresses)).map_err(|error| error.to_string())?;
    let debug_source = files.debug.map(|file| elf(file, true));
    let debug = debug_source.as_ref().map(|source| symbolizer.symbolize(source, Input::VirtOffset(addresses))).transpose();
    // Broken debug information leaves the symbol table's names.
    let (debug, without_debug) = match debug {
        Ok(debug) => (debug.unwrap_or_default(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    // A file that cannot be parsed at all is no error to blazesym, but a reason at each address.
    let nothing = table.iter().chain(&debug).all(|found| found.as_sym().is_none());
    match table.first() {
        Some(&Symbolized::Unknown(reason)) if nothing && !matches!(reason, Reason::UnknownAddr | Reason::MissingSyms) => {
            return Err(reason.to_string());
        }
        _ => {}
    }
    let frames = (0..addresses.len()).map(|index| frames_of(debug.get(index), table.get(index))).collect();
    Ok(Named { frames, without_debug })
}

/// Joins what the debug information and the symbol table say about one address.
///
/// With `debug = "line-tables-only"` LLVM leaves linkage names out, so debug information knows the inlined calls but
/// says `load` for `orders::load`. The symbol table has the path, of the function that was not inlined.
fn frames_of(debug: Option<&Symbolized<'_>>, table: Option<&Symbolized<'_>>) -> Vec<Frame> {
    let table = table.and_then(Symbolized::as_sym);
    let Some(Sym { name, inlined, code_info, .. }) = debug.and_then(Symbolized::as_sym).or(table) else {
        return Vec::new();
    };
    let outermost = match table {
        Some(table) if table.name.contains("::") && !name.contains("::") => &table.name,
        _ => name,
    };
    // blazesym lists inlined calls from the outermost in.
    let calls = inlined.iter().rev().map(|call| {
        let code = call.code_info.as_ref();
        let file = code.map(|code| code.file.to_string_lossy());
        named(&with_file(&call.name, file.as_deref()), code)
    });
    calls.chain([named(outermost, code_info.as_deref())]).collect()
}

fn named(name: &str, code: Option<&CodeInfo<'_>>) -> Frame {
    let full = as_written(name);
    Frame {
        function: cut(shortened(&full)),
        full: cut(full),
        file: code.map(|code| code.to_path().to_string_lossy().into_owned()),
        line: code.and_then(|code| code.line),
        resolved: true,
    }
}

fn cut(mut name: String) -> String {
    if let Some((end, _)) = name.char_indices().nth(NAME_MAX) {
        name.truncate(end);
        name.push('…');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_end_is_cut() {
        let cut = named(&"é".repeat(NAME_MAX + 5), None).function;
        assert_eq!(cut.chars().count(), NAME_MAX + 1);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn a_file_that_is_no_program_has_no_names() {
        let file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &file, b"\x7fELF and then nothing of the kind").unwrap();
        let refused = frames_at(Files { table: &file, debug: Some(&file) }, &[0, 1]);
        assert!(refused.is_err(), "{refused:?}");
    }
}
