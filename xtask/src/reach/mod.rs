//! The matrix of targets: Tokio versions, build profiles, and what a build leaves of its symbols, each cell checked by running it.
//!
//! [`cells`] says what there is, [`build`] makes a cell's program, [`run`] profiles it, [`judge`] holds the profiler's report against the
//! program's own counts, and [`table`] writes docs/matrix.md, which is also what later runs are held against. A cell that has run is kept by what it
//! was made of ([`kept`]), so that a run that was ended goes on where it was.

pub(crate) mod build;
pub(crate) mod cells;
pub(crate) mod judge;
pub(crate) mod kept;
pub(crate) mod run;
pub(crate) mod table;
