//! What held workers, as the report and `blocking --format json` tell it.

use serde::Deserialize;

/// Polls of one type that a request waited behind.
#[derive(Clone, Debug, Deserialize)]
pub struct Behind {
    /// Name of the future's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The part of the request's `scheduled`.
    pub ns: u64,
    /// Polls.
    pub polls: u64,
    /// The longest of them, all of it.
    pub longest_ns: u64,
}

/// What held the workers of the whole process.
#[derive(Clone, Debug, Deserialize)]
pub struct Blocking {
    /// Was every poll watched?
    pub every_poll: bool,
    /// Polls that ran at least this long are listed.
    pub threshold_ns: u64,
    /// Places that blocked a worker, the most time first.
    pub places: Vec<Place>,
    /// Polls that ran on without yielding, by type, the most time first.
    pub long_polls: Vec<LongPolls>,
}

/// One stack in one system call.
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    /// The tasks' type, where it is known.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// The system call.
    pub syscall: Option<String>,
    /// The innermost frame of the user's own.
    pub own: Option<Code>,
    /// Every frame, the innermost first.
    pub stack: Vec<Code>,
    /// Was it walked to its end?
    pub whole: bool,
    /// How often.
    pub count: u64,
    /// How long in all.
    pub total_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

/// Long polls of one type.
#[derive(Clone, Debug, Deserialize)]
pub struct LongPolls {
    /// The tasks' type, where it is known.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// How many.
    pub count: u64,
    /// Their time on a CPU.
    pub total_ns: u64,
    /// The longest.
    pub longest_ns: u64,
    /// Samples that fell into them.
    pub samples: u64,
    /// The user's function that most of them were in or below.
    pub own: Option<Code>,
}

/// A line of code.
#[derive(Clone, Debug, Deserialize)]
pub struct Code {
    /// The function.
    pub function: String,
    /// Its file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}
