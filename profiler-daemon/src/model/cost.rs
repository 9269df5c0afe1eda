//! What the kernel side's own programs took, where that was asked for: no part of what was measured of the target.

use serde::{Deserialize, Serialize};

/// Runs of the kernel side's programs, as the kernel counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// What a run of an empty program is said to take: the clock by which runs are timed, which is in the time of every run.
    pub clock_ns: u64,
    /// A row a program, in the order in which they were loaded.
    pub programs: Vec<ProgramCost>,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramCost {
    /// Its name.
    pub program: String,
    /// Runs.
    pub runs: u64,
    /// Time in all of them.
    pub total_ns: u64,
    /// Time in one, to the nearest. 0 where there was none.
    pub run_ns: u64,
    /// How often the kernel skipped it, because a program of ours already ran on that CPU.
    pub recursion_misses: u64,
}

impl ProgramCost {
    /// A row of what the kernel said.
    #[must_use]
    pub fn new(program: &str, runs: u64, total_ns: u64, recursion_misses: u64) -> Self {
        let run_ns = total_ns.saturating_add(runs / 2).checked_div(runs).unwrap_or(0);
        Self { program: program.to_owned(), runs, total_ns, run_ns, recursion_misses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_rounded_and_none_takes_nothing() {
        assert_eq!(ProgramCost::new("poll_start", 4, 10, 1).run_ns, 3);
        assert_eq!(ProgramCost::new("poll_start", 0, 0, 0).run_ns, 0);
    }
}
