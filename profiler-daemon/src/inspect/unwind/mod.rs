//! `.eh_frame` as rows for the kernel side: from which pc on which [`Rule`] holds.
//!
//! | module | does |
//! | --- | --- |
//! | `source` | finds the call frame information in a file |
//! | `plt`, `trampoline` | describe code that some linkers and libraries leave without an entry |
//! | `order` | puts its entries into the order of their code |
//! | `entries` | evaluates each |
//! | `x86_64` | says what a row means in a rule: what is the architecture's own |
//! | `trampoline` | finds the signal trampoline of a libc that does not describe it |
//! | `builder` | merges rows, keeps each rule once, counts what could not be said |
//!
//! Where entries overlap, the one that begins last holds, as for the bisection of the run time's own unwinder (libgcc's
//! `unwind-dw2-fde-dip.c`).

mod builder;
mod entries;
mod error;
mod order;
mod plt;
#[cfg(test)]
mod robustness;
mod source;
#[cfg(test)]
mod specimen;
#[cfg(test)]
mod tests;
mod trampoline;
mod x86_64;

use profiler_common::unwind::Rule;

use self::builder::Builder;
use self::entries::Evaluator;
pub use self::error::UnwindError;
use self::source::Source;
// The architecture whose files are read: everything of its own is behind this name.
use self::x86_64 as architecture;
use super::Segment;

/// All rows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwindTable {
    /// The address (the file's own) from which the rows' pcs count: the first executable segment's.
    pub base: u64,
    /// Sorted by pc. The first has pc 0; the last is a gap.
    pub rows: Vec<Row>,
    /// The different rules.
    pub rules: Vec<Rule>,
    /// The `PT_LOAD` segments.
    pub segments: Vec<Segment>,
    /// What the rows say and what they could not.
    pub coverage: Coverage,
}

/// One row: it holds from its pc up to the next row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Bytes from [`UnwindTable::base`].
    pub pc: u32,
    /// Its place in [`UnwindTable::rules`]. A rule of kind `Gap` says that here no code has a description.
    pub rule: u16,
}

/// What the rows of a file say, and what they could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Entries (FDEs) of the file, broken ones not included.
    pub entries: u64,
    /// Entries, or lists of them, that could not be read, to their end or at all.
    pub broken: u64,
    /// Entries cut short by one that begins inside them, or left out because another begins at the same address.
    pub overlapping: u64,
    /// Entries for addresses outside the file's code, in part or at all.
    pub outside: u64,
    /// Rows that rules cannot say, and how much code they describe (bytes).
    pub unsupported_rows: u64,
    /// See `unsupported_rows`.
    pub unsupported_bytes: u64,
    /// Rows left unsaid because a table has no place for so many different rules; in `unsupported_rows` too.
    pub too_many_rules: u64,
    /// Gaps in the code between entries: padding, and functions without a description.
    pub gaps: u64,
    /// Code inside entries (bytes), `unsupported_bytes` included.
    pub described_bytes: u64,
}

/// Makes the rows of an ELF file: an executable, a library, or the vDSO as it stands in memory.
///
/// # Errors
/// [`UnwindError::NoTable`] where the file has no call frame information; the others say what is wrong with it.
pub fn unwind_table(data: &[u8]) -> Result<UnwindTable, UnwindError> {
    let source = Source::find(data)?;
    let mut builder = Builder::new(&source.segments)?;
    let places = order::places(&source, &mut builder.coverage);
    let mut evaluator = Evaluator::new(&source, work_limit(data));
    let mut following = places.iter().skip(1).map(|place| place.start);
    for place in &places {
        evaluator.write(*place, following.next().unwrap_or(u64::MAX), &mut builder)?;
    }
    let mut table = builder.finish(source.segments);
    plt::mark(&mut table, data);
    trampoline::mark(&mut table, data);
    Ok(table)
}

/// How many bytes of instructions a file may have. Each entry's own stand in the file once, those of the head it shares with others are
/// some ten bytes: the file's size is never reached.
fn work_limit(data: &[u8]) -> u64 {
    2 * data.len() as u64
}
