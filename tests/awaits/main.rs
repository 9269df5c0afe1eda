//! Where requests wait, against a corpus of futures that know it: the same places, the same times, or said to be unknown.
//!
//! | variable | what it does |
//! | --- | --- |
//! | `PROFILER_AWAITS_ALL=1` | tries all four profiles: debug, release, thin, fat; without it, debug and fat |
//! | `PROFILER_AWAITS_CELL=fat` | tries that one alone |
//! | `PROFILER_AWAITS_CASE=select` | runs that case alone |
//!
//! One case in one profile:
//!
//! ```console
//! # PROFILER_AWAITS_CELL=debug PROFILER_AWAITS_CASE=select cargo test -p profiler-tests --test awaits -- --nocapture waits
//! ```
//!
//! What the corpus runs is also a program for a terminal, `target/awaits/debug/await-fixture run`: it reads `go` or `go select`.

#[cfg(test)]
mod keys;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod sums;
#[cfg(test)]
mod unknown;
#[cfg(test)]
mod waits;
#[cfg(test)]
mod yields;
