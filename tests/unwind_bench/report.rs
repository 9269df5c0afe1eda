//! The report, as `cargo xtask bench unwind` reads it.

use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether less was measured than usual.
    pub(crate) quick: bool,
    /// Unwind tables, a row for each file.
    pub(crate) tables: Vec<Table>,
    /// Stacks, a row for each profile and unwinder.
    pub(crate) stacks: Vec<Stacks>,
}

/// The unwind table of one file.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// The file's name.
    pub(crate) file: String,
    /// Its size.
    pub(crate) file_bytes: u64,
    /// Functions that its call frame information describes.
    pub(crate) entries: u64,
    /// Rows of the table.
    pub(crate) rows: u64,
    /// Different rules.
    pub(crate) rules: u64,
    /// Size of rows and rules.
    pub(crate) bytes: u64,
    /// Time to make it: the median of some runs.
    pub(crate) build_ns: u64,
    /// Code in it that no rule describes, in parts of a million of what its call frame information covers.
    pub(crate) unsupported_ppm: u64,
}

/// How one unwinder did on the fixture in one profile.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Stacks {
    /// How the fixture was built.
    pub(crate) profile: String,
    /// The unwinder.
    pub(crate) unwinder: String,
    /// Where its stacks were from.
    pub(crate) source: String,
    /// Why there are no numbers.
    pub(crate) absent: Option<String>,
    /// Stacks taken while the chain of calls was known.
    pub(crate) known: u64,
    /// Those of them that hold the whole chain.
    pub(crate) complete: u64,
    /// Stacks in all, and those whose walk ended where a stack ends.
    pub(crate) walks: u64,
    /// See `walks`.
    pub(crate) whole: Option<u64>,
    /// Frames of all walks.
    pub(crate) frames: u64,
    /// Time of all walks.
    pub(crate) walk_ns: Option<u64>,
    /// What a sample takes on its way to user space, on the average (bytes).
    pub(crate) bytes_per_sample: Option<u64>,
    /// Stacks on which it found the same frames as framehop, and how many were compared: those outside of signal handlers.
    pub(crate) as_framehop: Option<u64>,
    /// See `as_framehop`.
    pub(crate) compared: u64,
}
