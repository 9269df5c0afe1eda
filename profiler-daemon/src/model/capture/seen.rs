//! What was seen at single moments: stacks on the CPU and off it, polls and wakes.

use std::collections::BTreeMap;

use profiler_common::unwind::End;
use serde::{Deserialize, Serialize};

use super::{RequestRow, ScopeSeq, TypeIndex};

/// A stack of a thread that was inside a poll, and whose it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// The thread.
    pub tid: u32,
    /// Type of the task that was being polled. `None`: a scope outside of any task.
    pub task_type: Option<TypeIndex>,
    /// Id of the task that was being polled.
    pub task_id: Option<u64>,
    /// Scopes that were entered on the thread, outermost first.
    pub requests: Vec<ScopeSeq>,
    /// When that task's poll started. `None`: outside of any task.
    pub poll_start_ns: Option<u64>,
    /// User addresses, leaf first, up to the function that polls the task: its future may be inlined into it. The first is the interrupted
    /// instruction, the others are return addresses.
    pub frames: Vec<u64>,
    /// How the walk ended.
    pub end: End,
}

impl Stack {
    /// Whether it was taken in the task that polled a request. By id where both are known, else by type: a Tokio without
    /// task ids has only that.
    #[must_use]
    pub fn is_in_task_of(&self, row: &RequestRow) -> bool {
        match (self.task_id, row.task_id) {
            (Some(one), Some(other)) => one == other,
            _ => self.task_type == row.task_type,
        }
    }
}

/// One on-CPU stack sample of a thread that was inside a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When it was taken.
    pub ts_ns: u64,
    /// CPU time it stands for: what lay between two ticks of the clock then.
    pub period_ns: u64,
    /// Where, and whose.
    pub stack: Stack,
}

/// Every walk of a stack since the attach, counted by the kernel side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walks {
    /// Walks.
    pub walks: u64,
    /// Frames found by them.
    pub frames: u64,
    /// Time they took.
    pub walk_ns: u64,
    /// How many ended how, by [`End::name`]; ends that did not occur are not in it.
    pub ends: BTreeMap<String, u64>,
}

/// The unwind tables made for the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnwindTables {
    /// Files, the vDSO included.
    pub files: u64,
    /// Rows of all of them.
    pub rows: u64,
    /// Kernel memory for them.
    pub bytes: u64,
    /// Time it took to make and load them.
    pub build_ns: u64,
}

/// One stretch that a thread was off its CPU inside a poll, with its exact time. `blocked_ns` and `preempted_ns` are its whole length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffCpu {
    /// When the thread left its CPU.
    pub start_ns: u64,
    /// Time asleep in the kernel.
    pub blocked_ns: u64,
    /// Time runnable without a CPU; after a sleep, what passed between its wake-up and its CPU.
    pub preempted_ns: u64,
    /// The part of `blocked_ns` in which it was stopped or traced.
    pub stopped_ns: u64,
    /// The number of the system call that it was in. `None`: none (a page fault, an interrupt).
    pub syscall: Option<u32>,
    /// Where, and whose.
    pub stack: Stack,
}

/// Every stretch that was blocked with one stack, in one system call, in tasks of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockedPlace {
    /// As [`Stack::frames`].
    pub frames: Vec<u64>,
    /// How the walk ended.
    pub end: End,
    /// As [`OffCpu::syscall`].
    pub syscall: Option<u32>,
    /// Type of the tasks. `None`: outside of any task.
    pub task_type: Option<TypeIndex>,
    /// Stretches.
    pub count: u64,
    /// Time asleep in the kernel, of all of them.
    pub blocked_ns: u64,
    /// The longest.
    pub longest_ns: u64,
    /// The part of `blocked_ns` in which the thread was stopped or traced.
    pub stopped_ns: u64,
    /// The request of the longest.
    pub request: Option<ScopeSeq>,
}

/// One poll of a task, or the part of it that lay inside a wanted scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollSpan {
    /// The thread.
    pub tid: u32,
    /// Type of the task. `None`: a scope outside of any task.
    pub task_type: Option<TypeIndex>,
    /// Tokio's task id.
    pub task_id: Option<u64>,
    /// `Some`: this is the part of a poll inside that scope, and the whole poll may have a span of its own.
    pub scope: Option<ScopeSeq>,
    /// Of a whole poll: the request that spawned the task.
    pub parent_request: Option<ScopeSeq>,
    /// When the task became ready for this poll. `None`: its wake was not seen.
    pub ready_ns: Option<u64>,
    /// Its start.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    /// Time asleep in the kernel inside it.
    pub blocked_ns: u64,
    /// Time runnable without a CPU inside it.
    pub preempted_ns: u64,
}

impl PollSpan {
    /// Time on a CPU.
    #[must_use]
    pub const fn running_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns).saturating_sub(self.blocked_ns).saturating_sub(self.preempted_ns)
    }
}

/// One effective wake of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at_ns: u64,
    /// The thread that woke.
    pub tid: u32,
    /// The task that was being polled on that thread, `None`: none, or its id is not known.
    pub by_task: Option<u64>,
    /// Type of the woken task.
    pub task_type: Option<TypeIndex>,
    /// The woken task's id.
    pub task_id: Option<u64>,
}
