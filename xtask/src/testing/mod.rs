//! How the tests are built, run and counted.

pub(crate) mod build;
pub(crate) mod outcome;
pub(crate) mod program;
