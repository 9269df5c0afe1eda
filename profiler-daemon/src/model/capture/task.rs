//! A task, its type, and what all ended tasks of one type came to.

use serde::{Deserialize, Serialize};

use super::{AwaitIndex, ScopeSeq};
use crate::model::states::{State, States};

/// Index into [`super::Capture::types`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeIndex(pub u32);

/// A type of spawned future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskType {
    /// The future's type as far as it could be named; `A | B` where the linker merged several.
    pub name: String,
    /// How tasks of this type are run.
    pub kind: TaskKind,
}

/// How a task is run: by which scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// `tokio::spawn`, on either runtime flavour.
    Spawned,
    /// `spawn_local`, on a `LocalSet`.
    Local,
    /// `spawn_blocking`, on a thread of the blocking pool.
    Blocking,
    /// The scheduler could not be told from the binary.
    #[default]
    Unknown,
}

impl TaskKind {
    /// The name as users read it; the same as in the JSON report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spawned => "spawned",
            Self::Local => "local",
            Self::Blocking => "blocking",
            Self::Unknown => "unknown",
        }
    }
}

/// A task alive at the end of the window. Its states cover the part of the window in which it was known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRow {
    /// Tokio's task id. `None`: it could not be read.
    pub id: Option<u64>,
    /// Its future's type.
    pub task_type: TypeIndex,
    /// Time in each state.
    pub states: States,
    /// Polls begun.
    pub polls: u64,
    /// Wakes through its waker, those of an already notified task included.
    pub wakes: u64,
    /// Polls for which no wake was seen before: the time since the poll before counts as `suspended` up to the poll.
    pub wake_unseen: u64,
    /// Polls that ended by `yield_now` or a spent coop budget: deferred wakes, not awaits.
    pub yielded: u64,
    /// The longest poll, all of its time: running, preempted and blocked.
    pub longest_poll_ns: u64,
    /// Whether its life is known from its spawn on. If not, it is older than the attach, or no spawn site was found.
    pub spawn_seen: bool,
    /// The request that was current when it was spawned.
    pub parent_request: Option<ScopeSeq>,
    /// What it was doing at the end of the window. `None`: unknown.
    pub state_now: Option<State>,
    /// Where it waits, while it is in no poll.
    pub awaiting: Option<AwaitIndex>,
}

/// All tasks of one type that ended inside the window, summed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedTypeRow {
    /// The type they share.
    pub task_type: TypeIndex,
    /// How many ended.
    pub count: u64,
    /// Sum of their time in each state.
    pub states: States,
    /// Sum of their polls.
    pub polls: u64,
    /// Sum of their wakes.
    pub wakes: u64,
    /// Sum, see [`TaskRow::wake_unseen`].
    pub wake_unseen: u64,
    /// Sum, see [`TaskRow::yielded`].
    pub yielded: u64,
    /// The longest poll of any of them.
    pub longest_poll_ns: u64,
    /// How many of them had no spawn seen, see [`TaskRow::spawn_seen`].
    pub spawn_unseen: u64,
}
