//! The step of a walk against stacks that were captured from real processes, and against memory and rules made to mislead it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

mod hostile;
mod replay;
mod steps;
