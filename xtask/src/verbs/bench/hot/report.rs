//! The hot path's report, as `tests/hot_bench/report.rs` writes it. Times are picoseconds, ratios thousandths.

use super::super::quartiles::Quartiles;
use serde::Deserialize;

/// Everything that was measured.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) quick: bool,
    pub(super) polls: Polls,
    pub(super) runs: Runs,
}

/// CPU time of a poll, with its wake.
#[derive(Debug, Deserialize)]
pub(super) struct Polls {
    pub(super) rounds: usize,
    #[serde(rename = "slice_polls")]
    pub(super) in_slice: u64,
    pub(super) slices: usize,
    pub(super) kinds: Vec<Kind>,
}

/// One kind of attach.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) poll: Quartiles,
    pub(super) added: Quartiles,
    pub(super) of_floor: Quartiles,
}

/// Run statistics.
#[derive(Debug, Deserialize)]
pub(super) struct Runs {
    pub(super) clock_ns: u64,
    pub(super) programs: Vec<Program>,
}

/// One program.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) run: Quartiles,
    pub(super) empty: Quartiles,
    pub(super) with_awaits: Quartiles,
}
