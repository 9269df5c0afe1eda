//! What requests and tasks waited for: a table of await points with their time, for one selection.
//!
//! A row of states is the truth: what the waits that were seen do not account for is kept as unknown, to the nanosecond.

mod account;
mod build;
mod frames;
mod reading;
mod stack;
#[cfg(test)]
mod tests;
mod tree;

use serde::{Deserialize, Serialize};

pub use account::{Accounted, Part, Spans, of_parts, of_sums};
pub use build::{name_waits, of_request, waits};
pub(crate) use build::{of_child, of_types};
pub(crate) use frames::addresses;
pub use frames::{NamedStack, Place, Stacks, WaitFrame};
pub use reading::{Keep, Reading, await_text};
pub(crate) use stack::share;
pub use stack::{StackTable, WaitStack};

use super::capture::AwaitSource;
use super::report::RequestName;

/// The waits of one request, or of all tasks of one type. Times are ns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Whose.
    #[serde(flatten)]
    pub whose: Whose,
    /// Where await stacks come from in this target.
    pub source: AwaitSource,
    /// A row for each await stack, the most time first.
    pub waits: Vec<Wait>,
    /// Suspended time, accounted for or not.
    pub suspended_ns: u64,
    /// Scheduled time, accounted for or not.
    pub scheduled_ns: u64,
    /// All time, that inside of polls included.
    pub wall_ns: u64,
    /// The part of the suspended and scheduled time that no wait accounts for.
    pub unknown_ns: u64,
    /// By how much waits were longer than that time together: an event was lost or came late, and they are cut by it.
    pub clamped_ns: u64,
}

/// Whose waits they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// One instance of a request: its root scope.
    Request(RequestName),
    /// The tasks of a type that one instance of a request spawned.
    Spawned {
        /// The request.
        request: RequestName,
        /// The type. Untrusted text.
        #[serde(rename = "type")]
        type_name: String,
        /// How many.
        tasks: u64,
    },
    /// All tasks of a type. Untrusted text.
    TaskType(String),
}

/// All waits in one await stack. Texts come from the target: print them escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The stack, outermost first; a tree where several futures were awaited at once.
    pub stack: WaitStack,
    /// Why the stack is not whole. `None`: it is.
    pub cut: Option<String>,
    /// What the innermost function of the user's own awaits, shortened.
    pub awaited: String,
    /// The file of that `.await`. `None`: not known.
    pub file: Option<String>,
    /// The line of it.
    pub line: Option<u32>,
    /// How often.
    pub count: u64,
    /// Both parts together.
    pub total_ns: u64,
    /// Suspended.
    pub suspended_ns: u64,
    /// Scheduled.
    pub scheduled_ns: u64,
    /// The longest wait, both parts.
    pub longest_ns: u64,
    /// Where several futures were awaited at once: which of them ended the wait, as far as it can be told; the most often first.
    pub woken_by: Vec<WokenBy>,
}

/// One of several futures that were awaited at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WokenBy {
    /// Its function or type.
    pub name: String,
    /// How many waits it ended.
    pub count: u64,
}
