//! The report's form. Times are picoseconds: see [`Quartiles<i64>`].

use profiler_tests::rig::quartiles::Quartiles;
use serde::Serialize;

/// The whole.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Few rounds only.
    pub(crate) quick: bool,
    /// What a poll takes.
    pub(crate) polls: Polls,
    /// What the kernel says of each program.
    pub(crate) runs: Runs,
}

/// CPU time of a poll, with its wake.
#[derive(Serialize)]
pub(crate) struct Polls {
    /// How often each kind was attached.
    pub(crate) rounds: usize,
    /// Polls of one slice.
    #[serde(rename = "slice_polls")]
    pub(crate) in_slice: u64,
    /// Slices of one attach.
    pub(crate) slices: usize,
    /// A row a kind.
    pub(crate) kinds: Vec<Kind>,
}

/// One kind of attach.
#[derive(Serialize)]
pub(crate) struct Kind {
    /// Its name.
    pub(crate) name: &'static str,
    /// CPU time of a poll.
    pub(crate) poll: Quartiles<i64>,
    /// What is added to the bare poll of the same round.
    pub(crate) added: Quartiles<i64>,
    /// That by what the floor adds in the same round, in thousandths.
    pub(crate) of_floor: Quartiles<i64>,
}

/// Run statistics.
#[derive(Serialize)]
pub(crate) struct Runs {
    /// What an empty program is said to take (ns).
    pub(crate) clock_ns: u64,
    /// A row a program.
    pub(crate) programs: Vec<Program>,
}

/// One program.
#[derive(Serialize)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: &'static str,
    /// How often it ran.
    pub(crate) runs: u64,
    /// A run.
    pub(crate) run: Quartiles<i64>,
    /// A run of the empty program in its place.
    pub(crate) empty: Quartiles<i64>,
    /// A run where every poll's awaits are walked.
    pub(crate) with_awaits: Quartiles<i64>,
    /// How often it was skipped.
    pub(crate) recursion_misses: u64,
}
