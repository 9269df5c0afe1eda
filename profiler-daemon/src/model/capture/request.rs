//! A request, the tasks that it spawned, and what the requests of one route came to.

use serde::{Deserialize, Serialize};

use super::{RequestId, TypeIndex};
use crate::model::states::States;
use crate::model::text::printable;

/// A scope's number, unique within a target: the key that ties samples and tasks to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeSeq(pub u64);

/// One request: one root scope from its first poll to its end. Its states are those of the root scope only; the tasks
/// it spawned stand in `children` with theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself, and none follows from another")]
pub struct RequestRow {
    /// The root scope's number.
    pub scope: ScopeSeq,
    /// What the application called it.
    pub id: RequestId,
    /// 1 for the first request of this id, 2 for the next. Set by [`super::Capture::number_instances`].
    pub instance: u64,
    /// Whether the scope ended inside the window. If not, its states reach up to the window's end.
    pub complete: bool,
    /// Whether the scope's first poll was seen. If not, its wall starts at the first poll that was.
    pub start_seen: bool,
    /// When its wall time starts.
    pub start_ns: u64,
    /// Time of the root scope in each state.
    pub states: States,
    /// Polls of the scope.
    pub polls: u64,
    /// Wakes that led to a poll of the scope.
    pub wakes: u64,
    /// Polls of the scope for which no wake was seen before.
    pub wake_unseen: u64,
    /// The scope's longest poll: running, preempted and blocked.
    pub longest_poll_ns: u64,
    /// `false`: wakes of its root have no site (a scope outside of any task), so `scheduled` is part of `suspended`.
    pub scheduled_known: bool,
    /// It kept its times itself: nothing is known of the task that polled it, of stacks and of awaits.
    pub kept_times: bool,
    /// Type of the task that polled the scope. `None`: it ran outside of any task, as in `block_on`.
    pub task_type: Option<TypeIndex>,
    /// Id of the task that polled the scope.
    pub task_id: Option<u64>,
    /// Tasks spawned while the request was current, in order of their spawn.
    pub children: Vec<ChildRow>,
    /// Tasks that it spawned and that are not among them. `None`: every spawn is seen.
    pub unfollowed: Option<Unfollowed>,
    /// The trace it is part of, W3C byte order. `None`: of none.
    pub trace: Option<[u8; 16]>,
}

impl RequestRow {
    /// Whether `id` is what it is called, or the trace that it is part of in hexadecimal digits.
    #[must_use]
    pub fn answers_to(&self, id: &RequestId) -> bool {
        self.id == *id || self.trace.is_some_and(|trace| crate::text::hex(&trace).as_bytes().eq_ignore_ascii_case(id.as_bytes()))
    }

    /// What it is called, for people: `request order-42 #1`. Printable.
    #[must_use]
    pub fn title(&self) -> String {
        let unfinished = if self.complete { "" } else { " (not ended)" };
        format!("request {} #{}{unfinished}", printable(self.id.as_bytes()), self.instance)
    }
}

/// Tasks that a request spawned and that are not followed, because no probe sits on spawns: what bounds their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfollowed {
    /// It awaited so many, by its await stacks. (Somebody else may have spawned one of these, and handed it on.)
    pub awaited: u64,
    /// There are no more than so many: to so many tasks Tokio gave an id while the request, or a child of it, was polled, those of its children
    /// left out. What other threads spawned in just these moments is among them. `None`: where Tokio counts them is not known.
    pub at_most: Option<u64>,
}

/// What the requests of one route came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// What their ids have in common, `*` for what they have not. Untrusted bytes.
    pub name: Vec<u8>,
    /// Of more routes than are told apart: those that are not.
    pub rest: bool,
    /// How many there were.
    pub count: u64,
    /// Half of them took at most this long, to a hundredth.
    pub p50_ns: u64,
    /// All but a hundredth did, to a hundredth.
    pub p99_ns: u64,
    /// The worst one's wall time.
    pub worst_ns: u64,
    /// Its scope.
    pub worst: ScopeSeq,
    /// The sum of their times.
    pub states: States,
    /// The sum of their polls.
    pub polls: u64,
    /// Their longest poll.
    pub longest_poll_ns: u64,
}

/// A task that a request spawned, alive or ended. A live one stands in [`super::Capture::tasks`] as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildRow {
    /// Tokio's task id. `None`: it could not be read.
    pub task_id: Option<u64>,
    /// Its future's type.
    pub task_type: TypeIndex,
    /// Id of the task that was polled where it was spawned. `None`: outside of any, or the spawn was not seen.
    pub parent_task: Option<u64>,
    /// Whether the annotation said that the request's own scope spawned it.
    pub spawned_by_root: bool,
    /// When its time begins: at its spawn (or first poll, see `spawn_seen`).
    pub start_ns: u64,
    /// Whether it ended inside the window. A child may outlive its request.
    pub complete: bool,
    /// Time in each state, from its spawn (or first poll, see `spawn_seen`) on.
    pub states: States,
    /// Polls begun.
    pub polls: u64,
    /// Wakes through its waker.
    pub wakes: u64,
    /// See [`super::TaskRow::wake_unseen`].
    pub wake_unseen: u64,
    /// See [`super::TaskRow::yielded`].
    pub yielded: u64,
    /// Its longest poll.
    pub longest_poll_ns: u64,
    /// Whether its wall starts at its spawn.
    pub spawn_seen: bool,
}
