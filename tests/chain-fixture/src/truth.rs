//! What the fixture prints: one [`Event`] a line, as JSON.

use serde::{Deserialize, Serialize};

/// One line of output.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Set up; waits for commands.
    Ready {
        /// Process id.
        pid: u32,
    },
    /// The task has been polled as often as asked for, and stays where it waits.
    Beaten(Beaten),
}

/// What the polls of a task took.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Beaten {
    /// How many followed the first.
    pub polls: u64,
    /// CPU time of the thread that polled, from the first poll to the last.
    pub cpu_ns: u64,
    /// The same by the clock.
    pub wall_ns: u64,
    /// Address of the task's header, which its waker points to (tokio's `task/waker.rs`).
    pub header: u64,
}
