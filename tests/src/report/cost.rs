//! What a report says of the kernel side's own programs.

use serde::Deserialize;

/// What the programs took, where that was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct Cost {
    /// What the kernel's clock takes of each run.
    pub clock_ns: u64,
    /// A row a program.
    pub programs: Vec<ProgramCost>,
}

/// One program.
#[derive(Clone, Debug, Deserialize)]
pub struct ProgramCost {
    /// Its name.
    pub program: String,
    /// Runs.
    pub runs: u64,
    /// Time in all of them.
    pub total_ns: u64,
    /// Time in one.
    pub run_ns: u64,
    /// How often it was skipped.
    pub recursion_misses: u64,
}

impl Cost {
    /// How often a program ran, 0 where there is none of this name.
    #[must_use]
    pub fn runs(&self, program: &str) -> u64 {
        self.programs.iter().find(|row| row.program == program).map_or(0, |row| row.runs)
    }
}
