//! Await layouts against the truth: a program whose tasks wait at places that their names say, built in four profiles, and the walk over its
//! memory.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod fixture;
mod process;
mod stacks;
