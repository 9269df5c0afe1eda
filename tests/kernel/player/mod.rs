//! Tokio, played: what a runtime does to a task's header and where the probes sit, without the runtime.

pub(crate) mod clock;
pub(crate) mod places;
pub(crate) mod poll;
pub(crate) mod registers;
pub(crate) mod scope;
pub(crate) mod semaphores;
pub(crate) mod task;
pub(crate) mod triggers;
