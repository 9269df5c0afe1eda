//! What a scenario prints: one [`Event`] a line, as JSON.

use serde::{Deserialize, Serialize};

/// One line of a fixture's output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Set up; waits for commands.
    Ready {
        /// Process id.
        pid: u32,
    },
    /// A task that is alive and stays so until the scenario ends.
    Live {
        /// Tokio's task id.
        task_id: u64,
        /// Name of the future's function.
        step: String,
    },
    /// The truth about one task or scope that has ended.
    Row(Row),
    /// Totals of many tasks too short to measure one by one.
    Total {
        /// Name of the futures' function.
        step: String,
        /// Tasks spawned and ended in the round.
        tasks: u64,
        /// Just before the first spawn, ns of `CLOCK_MONOTONIC`.
        started_ns: u64,
        /// After the last end, ns of `CLOCK_MONOTONIC`.
        ended_ns: u64,
    },
    /// A round is over.
    Done {
        /// Rounds so far.
        round: u64,
        /// When, ns of `CLOCK_MONOTONIC`.
        at_ns: u64,
    },
    /// The runtime ran a task for us: the service answers.
    Pong {
        /// How long the answer took, ns.
        took_ns: u64,
    },
}

/// What was measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A spawned future.
    Task,
    /// A closure given to `spawn_blocking`.
    Blocking,
    /// A future inside a request's scope.
    Scope,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It returned.
    Done,
    /// It was dropped first: aborted, or its runtime went away.
    Dropped,
    /// It panicked.
    Panicked,
}

/// The truth about one task or scope. Times are ns.
///
/// `ended_ns - spawned_ns = first_delay_ns + poll_wall_ns + scheduled_ns + suspended_ns`, exactly.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub kind: Kind,
    /// Name of the future's function: a step's rows share it, and no other step has it.
    pub step: String,
    /// The future's type, as rustc names it. Empty for a closure.
    pub type_name: String,
    /// Id of the request it belongs to.
    pub request: Option<String>,
    /// Tokio's task id; `None` in a root future of `block_on`, or if it was never polled.
    pub task_id: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Just before the spawn; for a scope the start of its first poll. `CLOCK_MONOTONIC`.
    pub spawned_ns: u64,
    /// The end. `CLOCK_MONOTONIC`.
    pub ended_ns: u64,
    /// Polls, the last one included.
    pub polls: u64,
    /// Calls of its waker.
    pub wakes: u64,
    /// From spawn to first poll (`scheduled`).
    pub first_delay_ns: u64,
    /// From a wake outside polls to the next poll (`scheduled`).
    pub scheduled_ns: u64,
    /// From the end of a poll to the next wake (`suspended`).
    pub suspended_ns: u64,
    /// Gaps between polls in which no wake was seen; they count as suspended.
    pub unwoken_ns: u64,
    /// Inside polls, by `CLOCK_MONOTONIC`.
    pub poll_wall_ns: u64,
    /// The longest poll.
    pub longest_poll_ns: u64,
    /// Inside polls, by the thread's CPU clock (`running`).
    pub cpu_ns: u64,
    /// Inside polls, runnable without a CPU, by `schedstat` (`preempted`).
    pub run_delay_ns: u64,
    /// Inside polls, how often the thread was switched out, by `getrusage`.
    pub switches: u64,
    /// Inside polls, asleep in a blocking call that the scenario made (`blocked`).
    pub slept_ns: u64,
}

impl Row {
    /// Spawn to end.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        self.ended_ns - self.spawned_ns
    }

    /// Inside polls, and neither on the thread's CPU clock, nor on the run queue, nor in a sleep
    /// of ours: interrupts and time that the hypervisor stole. What the profiler may put beside
    /// the CPU clock's time without being wrong.
    #[must_use]
    pub fn unexplained_ns(&self) -> u64 {
        self.poll_wall_ns.saturating_sub(self.cpu_ns + self.run_delay_ns + self.slept_ns)
    }
}
