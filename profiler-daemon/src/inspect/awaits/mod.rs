//! Where the futures of a program wait: its coroutines' and futures' layouts, from DWARF, as the table that the walk of awaits goes by.
//!
//! Source: rustc's `debuginfo/metadata/enums/cpp_like.rs` and `native.rs` (1.95): a coroutine is a structure with a variant part whose
//! discriminant is the member `__state`; variants 0, 1 and 2 are unresumed, returned and panicked, the others are suspend points with the
//! place of their await, and hold the awaited future as `__awaitee`.
//!
//! | module | does |
//! | --- | --- |
//! | `dwarf/` | one pass over all units for what is found by name or address, then single types on demand |
//! | `compile/` | types to nodes, beginning at tasks, `dyn` futures and scopes |
//! | `keys` | the program's task-local keys: finding one by its name |
//! | `key_local` | where a thread has a key's value inside a poll |
//! | `share` | one node for all types of one meaning |
//! | `check`, `encode` | whether a table holds together; a table as bytes and back |
//! | `table` | a table where its program is loaded: what a walk reads |

mod check;
mod compile;
mod dwarf;
mod encode;
mod error;
mod key_local;
mod keys;
mod layouts;
#[cfg(test)]
mod robustness;
mod share;
#[cfg(test)]
mod specimen;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use error::{AwaitError, AwaitNote};
pub use key_local::{KeyLocalError, key_local};
pub use keys::{KeyCell, KeyError, KeyLayout, TaskLocalKey, find_key};
pub use layouts::{AwaitLayouts, FrameKind, FrameLayout, SuspendPoint};
pub use table::{Loaded, LoadedTable, TaskEntry};

use super::Inspection;
use super::image::Image;
use super::symbols::Symbols;

/// How far the reading of debug information has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of `.debug_info` that were read.
    pub done: u64,
    /// Bytes that there are.
    pub total: u64,
}

/// Compiles the layouts of a program. `bytes`: the ELF file that has its debug information, which need not be the one that was inspected.
///
/// # Errors
/// [`AwaitError`] says why there are none.
pub fn await_layouts(
    bytes: &[u8],
    inspection: &Inspection,
    progress: &mut dyn FnMut(Progress),
) -> Result<AwaitLayouts, AwaitError> {
    let image = Image::parse(bytes)?;
    let sections = dwarf::source::Sections::load(&image)?;
    let source = sections.source()?;
    let wanted: HashSet<u64> = inspection.task_types.iter().flat_map(|task| [task.poll, task.body]).collect();
    let index = dwarf::index::Index::build(&source, &wanted, progress)?;
    if index.structures == 0 {
        return Err(AwaitError::NoTypes);
    }
    let symbols = Symbols::read(&image);
    let layouts = compile::Compiler::new(&source, &index).run(inspection, &image, &symbols)?;
    layouts.check()?;
    Ok(layouts)
}
