//! What the family is made of: one member with what is known of its time.

use crate::model::capture::{AwaitIndex, ScopeSeq, TaskKind, TypeIndex};
use crate::model::report::Counts;
use crate::model::states::States;

/// Which member, unique within a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A scope, by its number: the request's own, or one that was spawned as a child.
    Scope(ScopeSeq),
    /// A task, by Tokio's id.
    Task(u64),
    /// A task without an id, by its place among those.
    Nameless(u32),
}

/// How a member is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is the request.
    Root,
    /// It was spawned as a task.
    Task(TaskKind),
}

/// Who spawned a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Nobody of the family: it is the root.
    Nobody,
    /// This member.
    Known(Key),
    /// One of the family, but it is not known which.
    Unknown,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which.
    pub key: Key,
    /// Who spawned it.
    pub parent: Parent,
    /// How it is run.
    pub kind: Kind,
    /// The type of its task. `None`: it ran outside of any.
    pub task_type: Option<TypeIndex>,
    /// Id of its task.
    pub task_id: Option<u64>,
    /// Whether it ended inside the window.
    pub complete: bool,
    /// Whether its time starts at its spawn (of the root: at its first poll).
    pub start_seen: bool,
    /// When its time starts.
    pub start_ns: u64,
    /// Its time. It lasts from `start_ns` for as long as these together.
    pub states: States,
    /// Polls and wakes.
    pub counts: Counts,
    /// Polls that were recorded, in order of time.
    pub spans: Vec<Span>,
    /// Waits that were recorded, in order of time.
    pub waits: Vec<Wait>,
}

impl Node {
    /// When its time ends: its own end, or the window's.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.states.wall_ns())
    }
}

/// A poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The thread.
    pub tid: u32,
    /// Its start.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    /// When the member became ready for it. `None`: that was not seen.
    pub ready_ns: Option<u64>,
    /// Time asleep in the kernel inside it.
    pub blocked_ns: u64,
    /// Time runnable without a CPU inside it.
    pub preempted_ns: u64,
    /// The stretches off the CPU that were recorded inside it, in order of time.
    pub stretches: Vec<Stretch>,
}

/// A stretch off the CPU: asleep first, then runnable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// When it began.
    pub start_ns: u64,
    /// The first part.
    pub blocked_ns: u64,
    /// The second part.
    pub preempted_ns: u64,
}

/// The time between two polls: suspended first, then scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The end of the poll before.
    pub start_ns: u64,
    /// The first part.
    pub suspended_ns: u64,
    /// The second part.
    pub scheduled_ns: u64,
    /// Where it waited.
    pub stack: Option<AwaitIndex>,
    /// For whom.
    pub on: Awaited,
    /// The thread that woke it. `None`: that was not recorded, or it was not woken.
    pub woken_on: Option<u32>,
}

impl Wait {
    /// When it was woken; of a wait that goes on, now.
    #[must_use]
    pub const fn woken_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.suspended_ns)
    }
}

/// What a wait was for, as far as its stack tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Something that is no task.
    Else,
    /// One task, through its handle.
    Task(Key),
    /// Tasks of these types, one or several of them at once. `None` among them: of unknown type.
    Tasks {
        /// The types.
        types: Vec<Option<TypeIndex>>,
        /// One of the tasks.
        first: Option<Key>,
        /// Whether something that is no task was awaited beside them.
        beside: bool,
    },
    /// Tasks of a set: any child.
    Set,
    /// There is no stack.
    Unseen,
}
