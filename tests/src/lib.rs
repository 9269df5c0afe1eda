//! The harness of the tests of the whole: fixtures, the profiler as a user runs it, and what to expect of its report.
//!
//! A test starts a [`fixture::Fixture`], attaches the [`daemon`], lets the fixture run a round, and holds the
//! [`report::Report`] against the rows that the fixture measured itself ([`expect`]). The harness is tested like anything
//! else (`harness.rs`): what it accepts, and that it refuses what is wrong.

pub mod annotation;
pub mod answer;
pub mod awaits;
pub mod beating;
pub mod binaries;
pub mod cells;
pub mod chain;
pub mod chained;
pub mod crowd;
pub mod daemon;
pub mod expect;
pub mod failure;
pub mod family;
pub mod fixture;
pub mod folded;
pub mod kernel_objects;
pub mod large;
pub mod lines;
pub mod process;
pub mod recipe;
pub mod recorder;
pub mod report;
pub mod rig;
pub mod serial;
pub mod skip;
pub mod stepping;
pub mod text;
pub mod victim;
pub mod wire;

pub use failure::{Failure, Result};
