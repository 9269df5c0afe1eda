//! What a look at the kernel side gives: rows, stacks and records as plain data.

use profiler_common::clock::OffCpu;
use profiler_common::loss::Loss;
use profiler_common::record::{PollRecord, SAMPLE_REQUESTS, WakeRecord};
use profiler_common::scope::ScopeRow;
use profiler_common::task::TaskRow;
use profiler_common::totals::TypeTotals;
use profiler_common::unwind::{End, Walks};

use super::awaits::Awaits;
use super::foreign::ForeignId;
use super::places::Place;
use super::routes::Route;
use super::sampled::SampledTask;

/// Everything known at one moment, as rows. Addresses and numbers, no names.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// When the rows were divided up to (ns, `CLOCK_MONOTONIC`).
    pub at_ns: u64,
    /// Live tasks by header address, divided up to `at_ns`, with what each does.
    pub tasks: Vec<LiveTask>,
    /// Sums of the finished tasks, by place of the type.
    pub totals: Vec<TypeTotals>,
    /// Requests that go on, divided up to `at_ns`, by scope sequence number.
    pub live_requests: Vec<(u64, ScopeRow)>,
    /// Requests that have ended.
    pub ended_requests: Vec<(u64, ScopeRow)>,
    /// Ids of other libraries that were seen, with what was seen of each.
    pub foreign: Vec<ForeignId>,
    /// Of a target without probes: what was seen of each task.
    pub sampled: Vec<SampledTask>,
    /// Requests that kept their own times, by route; the slowest are in `ended_requests` too.
    pub routes: Vec<Route>,
    /// Ended tasks that belong to a request.
    pub ended_children: Vec<TaskRow>,
    /// Samples, oldest first.
    pub samples: Vec<Sample>,
    /// Stretches off the CPU, in the order in which they ended.
    pub off_cpu: Vec<Off>,
    /// Where threads were blocked, every stretch so far.
    pub blocking: Vec<Place>,
    /// Polls, in the order in which they were told of: that of their ends, but for those that are told with the end of their request.
    pub polls: Vec<PollRecord>,
    /// Wakes, oldest first.
    pub wakes: Vec<WakeRecord>,
    /// Waits and where they were.
    pub awaits: Awaits,
    /// Every walk of a stack so far.
    pub walks: Walks,
    /// Every counter.
    pub losses: Vec<(Loss, u64)>,
}

/// A live task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveTask {
    /// Its header address.
    pub header: u64,
    /// Its row.
    pub row: TaskRow,
    /// What it does now.
    pub doing: Doing,
    /// Since when it does that (ns).
    pub since_ns: u64,
}

/// What came of looking for one task's row.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are there, and there are a hundred thousand: a box each would cost more"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveRow {
    /// It is there.
    Live(LiveTask),
    /// It was being written at every try.
    Torn,
    /// There is none.
    Gone,
}

/// What a live task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is polled, on a CPU.
    Running,
    /// It is polled, its thread waits for a CPU.
    Preempted,
    /// It is polled, its thread sleeps.
    Blocked,
    /// It is ready.
    Scheduled,
    /// It waits at an await.
    Suspended,
}

/// One stack of a thread inside a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// When (ns).
    pub time_ns: u64,
    /// The thread.
    pub tid: u32,
    /// The polled task's type, `None` outside any task.
    pub task_type: Option<u32>,
    /// The polled task's id, 0 where unknown.
    pub task_id: u64,
    /// The requests it lies in, innermost first, 0 for none.
    pub requests: [u64; SAMPLE_REQUESTS],
    /// When the task's poll started (ns), 0 outside any task.
    pub poll_start_ns: u64,
    /// User addresses, leaf first.
    pub frames: Box<[u64]>,
    /// How the walk ended.
    pub end: End,
}

/// A sample of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where the thread was.
    pub stack: Stack,
    /// The CPU time it stands for (ns).
    pub period_ns: u64,
}

/// A stretch that a thread was off its CPU inside a poll; it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// Where the thread was, and since when.
    pub stack: Stack,
    /// The system call that it was in.
    pub syscall: Option<u32>,
    /// Its time.
    pub off: OffCpu,
}
