//! Rows against the truth: against what gimli says of the same bytes, and against the stacks of a process that knows its own calls.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

mod agreement;
mod capture;
mod chains;
mod process;
mod sampler;
mod truth;
