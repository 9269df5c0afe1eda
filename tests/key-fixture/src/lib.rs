//! What the fixture prints, for those who read it.

use serde::{Deserialize, Serialize};

/// One line of the fixture.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// It waits for `go`.
    Ready,
    /// A request has ended.
    Request(Request),
    /// One of several requests of one task has ended.
    Part(Part),
    /// A round is over.
    Done,
}

/// A request by the fixture's own clock (`CLOCK_MONOTONIC`, ns).
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Request {
    /// The key that names it.
    pub key: String,
    /// Its name, as people write it.
    pub id: String,
    /// Its first instruction.
    pub begin_ns: u64,
    /// Its last.
    pub end_ns: u64,
    /// Whether it is all that its task does.
    pub own_task: bool,
}

/// A request beside another in one task, often in one poll.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub id: String,
    /// How long its calls that block took, by the fixture's own clock (ns).
    pub blocked_ns: u64,
}
