//! The corpus of futures (`await-fixture`), what the profiler says of it, and whether that is true.

pub mod answer;
pub mod cells;
pub mod corpus;
pub mod paths;
pub mod verdict;
