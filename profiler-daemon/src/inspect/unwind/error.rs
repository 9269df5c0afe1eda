//! Why a file gives no rows.

use crate::inspect::InspectError;

/// What stops the making of a table. Everything less is counted in [`super::Coverage`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwindError {
    /// It is no ELF file that can be used.
    #[error(transparent)]
    Elf(#[from] InspectError),
    /// No segment of the file holds code.
    #[error("no executable segment in this file")]
    NoCode,
    /// The file has no call frame information: frame pointers are all there is.
    #[error("no unwind table in this file: neither a `.eh_frame` section nor a PT_GNU_EH_FRAME header with one behind it")]
    NoTable,
    /// The entries share so many bytes that evaluating them would take far longer than their size says: no compiler makes that.
    #[error("the unwind table is not a compiler's: its entries, at most {limit} bytes if each were read once, are more")]
    TooMuchWork {
        /// How many bytes of instructions the file may have.
        limit: u64,
    },
}
