//! Debug information as the compilation of layouts needs it: its sections and units, one pass that finds what is asked for by
//! address or by name, and single types read on demand.

pub(super) mod index;
pub(super) mod scan;
pub(super) mod shape;
pub(super) mod source;
pub(super) mod types;
