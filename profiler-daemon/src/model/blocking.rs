//! What holds workers: places that block them, and polls that run on without yielding.
//!
//! A worker that sleeps in the kernel, or runs one poll for long, polls nobody else meanwhile. Both are listed for the
//! whole process, the worst first. Threads of the blocking pool are left out: no task waits for them.

mod build;
mod own;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use build::{Question, blocking};

use super::capture::TaskKind;
use super::report::RequestName;

/// The answer. Times are ns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocking {
    /// Whether every poll was watched. If not, places are known inside wanted requests and the tasks they spawned only.
    pub every_poll: bool,
    /// Polls that ran at least this long on a CPU are listed.
    pub threshold_ns: u64,
    /// Polls shorter than this left no record, so a lower threshold finds no more of them.
    pub poll_record_ns: u64,
    /// Places that blocked a worker, the most time first.
    pub places: Vec<Place>,
    /// How many places there are, listed or not.
    pub places_known: u64,
    /// Polls that ran long, by task type, the most time first.
    pub long_polls: Vec<LongPolls>,
    /// How many types of task there are with such polls, listed or not.
    pub long_polls_known: u64,
    /// Older polls that are no longer kept, and so not looked at.
    pub polls_dropped: u64,
    /// What was blocked on threads of the blocking pool, which is not listed.
    pub blocking_pool: PoolTotals,
}

/// What was blocked where it harms no worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolTotals {
    /// Stretches.
    pub count: u64,
    /// Their time.
    pub total_ns: u64,
}

/// A line of code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Code {
    /// The function. Untrusted text.
    pub function: String,
    /// Its source file. `None`: there is no debug information.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

/// A place that blocked workers: one stack, in one system call, in tasks of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The tasks' type. `None`: outside of any task, or not known.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// How the tasks are run.
    pub kind: TaskKind,
    /// The system call that it slept in. `None`: none, as for a page fault.
    pub syscall: Option<String>,
    /// The innermost frame that is neither the standard library's, nor the runtime's, nor C. `None`: there is none in the stack.
    pub own: Option<Code>,
    /// Every frame, the innermost first.
    pub stack: Vec<Code>,
    /// Whether the stack was walked to its end.
    pub whole: bool,
    /// How often.
    pub count: u64,
    /// How long in all.
    pub total_ns: u64,
    /// The longest.
    pub longest_ns: u64,
    /// The part of `total_ns` in which the thread was stopped or traced: not the service's own doing.
    pub stopped_ns: u64,
    /// A request that it blocked: that of the longest.
    pub request: Option<RequestName>,
}

/// Polls of one task type that ran on a CPU for at least the threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongPolls {
    /// The tasks' type. `None`: not known.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// How the tasks are run.
    pub kind: TaskKind,
    /// How many.
    pub count: u64,
    /// Their time on a CPU.
    pub total_ns: u64,
    /// The longest.
    pub longest_ns: u64,
    /// The request that the longest was a part of, or that had spawned its task.
    pub request: Option<RequestName>,
    /// Samples that fell into them.
    pub samples: u64,
    /// The function of the user's own that most of them were in or below, see [`Place::own`]. `None`: there is none.
    pub own: Option<Code>,
    /// How many were.
    pub own_samples: u64,
    /// Where these were, the most time first, at most [`LONG_POLL_STACKS`].
    pub stacks: Vec<SampledStack>,
}

/// Stacks that are listed for long polls of one type.
pub const LONG_POLL_STACKS: usize = 5;

/// A stack that was sampled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledStack {
    /// Samples.
    pub samples: u64,
    /// CPU time that they stand for.
    pub sampled_ns: u64,
    /// See [`Place::own`].
    pub own: Option<Code>,
    /// Every frame, the innermost first.
    pub stack: Vec<Code>,
}
