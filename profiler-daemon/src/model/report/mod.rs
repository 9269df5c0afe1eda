//! The report: `profiler.report/1`, the machine-readable form of a capture without its stacks.
//!
//! The shape is fixed by `schema/profiler.report-1.schema.json`. All times are nanoseconds as JSON integers up to 2^64;
//! readers that keep numbers as doubles lose the last digits of `start_unix_ns`.
//!
//! Invariant: in every row the five states add up to `wall_ns` exactly.

mod build;
mod foreign;
mod routes;
mod sampled;
mod stack_table;
mod stacks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use build::with_family;
pub use build::{Filter, report, request_name};
pub use foreign::Foreign;
pub use routes::Route;
pub use sampled::{Sampled as SampledTasks, SampledTask, SampledTimes};
pub use stacks::{Awaits, Sampled, ScheduledBehind, Stacks};

use super::blocking::Blocking;
use super::capture::{Target, TaskKind, Unfollowed, Window};
use super::cost::Cost;
use super::family::CriticalPath;
use super::refused::RefusedSite;
use super::request_id::RequestId;
use super::states::{State, States};
use super::text::printable;
use super::waits::{StackTable, Wait, WaitStack, share};

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "profiler.report/1";

/// One measurement of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Whom it is about.
    pub target: Target,
    /// When it was taken.
    pub window: Window,
    /// Requests in start order.
    pub requests: Vec<Request>,
    /// Ids of other libraries, in the order in which they were first seen.
    pub foreign: Vec<Foreign>,
    /// Requests that kept their own times, folded by route; the slowest of them are in `requests` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Tasks, where there was no probe in the target; `tasks` is empty then, and requests are in `foreign`. Absent else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<SampledTasks>,
    /// Live tasks by id, then a row per type for the finished ones.
    pub tasks: Vec<Task>,
    /// How stacks were taken.
    pub stacks: Stacks,
    /// How await stacks were taken.
    pub awaits: Awaits,
    /// The await stacks of all waits, each once: a wait's `stack` is the place of its own in this list.
    #[serde(default, with = "stack_table")]
    pub await_stacks: StackTable,
    /// What held workers, of the whole process. `None`: not asked for, or the report is about a part of it; it needs function names.
    pub blocking: Option<Blocking>,
    /// Every counter of lost or clamped events by name, zero ones included.
    pub lost: BTreeMap<String, u64>,
    /// What the kernel side's programs took; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Probe sites at which something was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_sites: Vec<RefusedSite>,
}

impl Report {
    /// Reads one that [`crate::export::json`] or a daemon wrote.
    pub fn read(json: &[u8]) -> serde_json::Result<Self> {
        let mut report: Self = serde_json::from_slice(json)?;
        let Self { requests, await_stacks, .. } = &mut report;
        if !stacks_of(requests).all(|stack| stack.take_from(await_stacks)) {
            return Err(serde::de::Error::custom("a wait's stack is not in the list of them"));
        }
        Ok(report)
    }

    /// Has each await stack once.
    pub(crate) fn share_stacks(&mut self) {
        self.await_stacks = share(stacks_of(&mut self.requests));
    }

    /// Its requests and ids of other libraries, each with its own await stacks, so that it can stand for itself.
    #[must_use]
    pub fn into_rows(self) -> Vec<Row> {
        let Self { mut requests, foreign, .. } = self;
        stacks_of(&mut requests).for_each(WaitStack::stand_alone);
        requests.into_iter().map(Row::Own).chain(foreign.into_iter().map(Row::Foreign)).collect()
    }
}

/// A row of a list of requests.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "most are of the large kind")]
pub enum Row {
    /// A request.
    Own(Request),
    /// An id of another library.
    Foreign(Foreign),
}

fn stacks_of<'r>(requests: &'r mut [Request]) -> impl Iterator<Item = &'r mut WaitStack> {
    let waits = |Request { waits, children, .. }: &'r mut Request| {
        waits.iter_mut().chain(children.iter_mut().flat_map(|child| &mut child.waits))
    };
    requests.iter_mut().flat_map(waits).map(|wait| &mut wait.stack)
}

/// What a request is called: `id`, and the exact bytes where these are others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestName {
    /// The id as every output writes it and `--request` takes it: what is not printable UTF-8 is `\xff`, a byte each, a backslash `\\`.
    pub id: String,
    /// The id's bytes in lower-case hex, where something in `id` is written so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_hex: Option<String>,
    /// 1 for the first request of this id, 2 for the next.
    pub instance: u64,
}

impl RequestName {
    /// The id for a terminal. A report that comes over a socket or from a file may hold anything in the place of it.
    #[must_use]
    pub fn shown(&self) -> String {
        RequestId::from_text(&self.id).map_or_else(|_| printable(self.id.as_bytes()), |id| id.to_string())
    }
}

/// Time in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Sum of the five below.
    pub wall_ns: u64,
    /// On a CPU.
    pub running_ns: u64,
    /// In a poll, runnable, off CPU.
    pub preempted_ns: u64,
    /// In a poll, asleep in the kernel.
    pub blocked_ns: u64,
    /// Ready, waiting for a worker.
    pub scheduled_ns: u64,
    /// Waiting at an await.
    pub suspended_ns: u64,
    /// The part of `blocked_ns` in which the thread was stopped or traced; no part of the sum of its own.
    pub stopped_ns: u64,
    /// The part of `suspended_ns` that no event explains; no part of the sum of its own.
    pub unseen_ns: u64,
}

impl From<States> for Times {
    fn from(states: States) -> Self {
        Self {
            wall_ns: states.wall_ns(),
            running_ns: states.running_ns,
            preempted_ns: states.preempted_ns,
            blocked_ns: states.blocked_ns,
            scheduled_ns: states.scheduled_ns,
            suspended_ns: states.suspended_ns,
            stopped_ns: states.stopped_ns,
            unseen_ns: states.unseen_ns,
        }
    }
}

impl Times {
    /// The states without the sum. A report that was read back may disagree with its own sum: see [`Self::adds_up`].
    #[must_use]
    pub const fn states(&self) -> States {
        States {
            running_ns: self.running_ns,
            preempted_ns: self.preempted_ns,
            blocked_ns: self.blocked_ns,
            scheduled_ns: self.scheduled_ns,
            suspended_ns: self.suspended_ns,
            stopped_ns: self.stopped_ns,
            unseen_ns: self.unseen_ns,
        }
    }

    /// Whether the five states add up to the wall time, and the parts kept beside fit into theirs.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.states().wall_ns() == self.wall_ns && self.stopped_ns <= self.blocked_ns && self.unseen_ns <= self.suspended_ns
    }
}

/// Polls and wakes of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Polls begun.
    pub polls: u64,
    /// Wakes seen.
    pub wakes: u64,
    /// Polls that no seen wake led to: what was `scheduled` before them is in `suspended`.
    pub wake_unseen: u64,
    /// The longest poll.
    pub longest_poll_ns: u64,
}

/// One instance of a request: its root scope's states, and the tasks it spawned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself, and none follows from another")]
pub struct Request {
    /// Its id and instance.
    #[serde(flatten)]
    pub name: RequestName,
    /// Whether it ended inside the window.
    pub complete: bool,
    /// Whether its first poll was seen. If not, its wall starts at the first poll that was.
    pub start_seen: bool,
    /// When its wall time starts, on the window's clock.
    pub start_ns: u64,
    /// Its states.
    #[serde(flatten)]
    pub times: Times,
    /// Its polls and wakes.
    #[serde(flatten)]
    pub counts: Counts,
    /// `false`: it ran outside of any task, so `scheduled` could not be told from `suspended`.
    pub scheduled_known: bool,
    /// It kept its times itself: nothing is known of the task that polled it, of stacks and of awaits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept_times: bool,
    /// How much of its running time was sampled.
    #[serde(flatten)]
    pub sampled: Sampled,
    /// What ran on the workers while it was ready, the most time first; at most its `scheduled_ns` in all.
    pub scheduled_behind: Vec<ScheduledBehind>,
    /// The part of `scheduled_ns` in which no recorded poll ran: others were shorter than `stacks.poll_record_ns`, or of the
    /// runtime's own. What is left of `scheduled_ns` is time whose polls are not kept.
    pub scheduled_unrecorded_ns: u64,
    /// The task that polled it. `None`: it ran outside of any task, as in `block_on`.
    pub task: Option<TaskRef>,
    /// Tasks spawned while it was current.
    pub children: Vec<Child>,
    /// Tasks that it spawned and that are not among them. Absent where every spawn is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<Unfollowed>,
    /// What its root scope waited for, the most time first.
    pub waits: Vec<Wait>,
    /// The part of `suspended_ns` and `scheduled_ns` that no wait accounts for.
    pub waits_unknown_ns: u64,
    /// What its wall time consisted of, its awaits on spawned tasks opened into those tasks' states. Without steps.
    pub critical_path: CriticalPath,
}

/// A task named from another row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// Tokio's task id. `None`: it could not be read.
    pub id: Option<u64>,
    /// Its type's name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How it is run.
    pub kind: TaskKind,
}

/// A task that a request spawned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Which task.
    #[serde(flatten)]
    pub task: TaskRef,
    /// Id of the task that was polled where it was spawned: the request's own, or another child. `None`: outside of any task, or not known.
    pub parent_id: Option<u64>,
    /// When its wall time starts, on the window's clock.
    pub start_ns: u64,
    /// Whether it ended inside the window.
    pub complete: bool,
    /// Whether its wall starts at its spawn. If not, it starts at its first poll.
    pub spawn_seen: bool,
    /// How much of its time is on the request's critical path.
    pub critical_ns: u64,
    /// Its states.
    #[serde(flatten)]
    pub times: Times,
    /// Its polls and wakes.
    #[serde(flatten)]
    pub counts: Counts,
    /// Polls that ended by `yield_now` or a spent coop budget.
    pub yielded: u64,
    /// What it waited for, the most time first.
    pub waits: Vec<Wait>,
    /// The part of `suspended_ns` and `scheduled_ns` that no wait accounts for.
    pub waits_unknown_ns: u64,
}

/// A live task, or all finished tasks of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Which task; `id` is `None` for finished ones.
    #[serde(flatten)]
    pub task: TaskRef,
    /// 1 for a live task, or how many of the type ended inside the window.
    pub count: u64,
    /// Whether the row is about finished tasks. (A live task whose id could not be read has no id either.)
    pub finished: bool,
    /// What a live task was doing at the end of the window.
    pub state: Option<State>,
    /// Whether the row's wall starts at the spawn, for each of its tasks.
    pub spawn_seen: bool,
    /// Times, summed for finished ones.
    #[serde(flatten)]
    pub times: Times,
    /// Polls and wakes, summed for finished ones.
    #[serde(flatten)]
    pub counts: Counts,
    /// Polls that ended by `yield_now` or a spent coop budget.
    pub yielded: u64,
    /// The request that spawned a live task.
    pub request: Option<RequestName>,
}
