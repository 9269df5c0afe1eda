//! What the collect step hands over: rows as they were measured, names not yet resolved.

mod awaits;
mod foreign;
mod seen;

use serde::{Deserialize, Serialize};

pub use awaits::{AwaitFrame, AwaitFrameKind, AwaitIndex, AwaitOwner, AwaitSource, AwaitSpan, AwaitStack, AwaitSum, AwaitWalks};
pub use foreign::{ForeignRow, ForeignSource};
pub use seen::{BlockedPlace, OffCpu, PollSpan, Sample, Stack, UnwindTables, Wake, Walks};

use super::cost::Cost;
use super::names::as_written;
use super::request_id::RequestId;
use super::states::{State, States};
use super::text::printable;

/// One measurement of one target, complete and detached from the kernel maps it was read from.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// Whom it is about.
    pub target: Target,
    /// When it was taken.
    pub window: Window,
    /// The task types that rows and samples point into, by [`TypeIndex`].
    pub types: Vec<TaskType>,
    /// Tasks that were alive at the end of the window.
    pub tasks: Vec<TaskRow>,
    /// Tasks that ended inside the window, folded by type.
    pub finished: Vec<FinishedTypeRow>,
    /// Requests seen in the window, ended or not.
    pub requests: Vec<RequestRow>,
    /// Ids of other libraries that were seen, in the order in which they first were.
    pub foreign: Vec<ForeignRow>,
    /// Requests that kept their own times, folded by route. Of those the slowest are in `requests` too.
    pub routes: Vec<RouteRow>,
    /// On-CPU stack samples taken in the window.
    pub samples: Vec<Sample>,
    /// CPU time between two samples outside of wanted requests (a sample knows its own). `None`: stacks were not sampled, which is not
    /// "no samples".
    pub sample_period_ns: Option<u64>,
    /// Whether stacks, on the CPU and off it, were taken in every poll. If not, only inside wanted requests and their children.
    pub every_poll: bool,
    /// Stretches off the CPU inside polls, by their end.
    pub off_cpu: Vec<OffCpu>,
    /// Where threads were blocked inside polls, since the attach: every stretch, also those that are no longer in `off_cpu`.
    pub blocking: Vec<BlockedPlace>,
    /// Polls, by their end: those of wanted requests and of the tasks they spawned, and every other that took at least
    /// `poll_record_ns`.
    pub polls: Vec<PollSpan>,
    /// See `polls`.
    pub poll_record_ns: u64,
    /// Wakes of tasks that belong to a wanted request, or of all, oldest first.
    pub wakes: Vec<Wake>,
    /// What the kernel side's walks of stacks came to, those of stacks that are no longer kept included.
    pub walks: Walks,
    /// What they were walked by.
    pub unwind_tables: UnwindTables,
    /// Where await stacks come from in this target.
    pub await_source: AwaitSource,
    /// Await stacks that rows, waits and sums point into, by [`AwaitIndex`].
    pub await_stacks: Vec<AwaitStack>,
    /// Waits of wanted requests and of the tasks they spawned, by their end; those still open last.
    pub awaits: Vec<AwaitSpan>,
    /// Waits of every task by type, live waits included. Empty unless every task was walked.
    pub await_sums: Vec<AwaitSum>,
    /// What the kernel side's walks of awaits came to.
    pub await_walks: AwaitWalks,
    /// Every counter of lost or clamped events, zero ones included, so that the reader knows what is counted.
    pub losses: Vec<Loss>,
    /// What the kernel side's programs took; `None`: not asked for.
    pub cost: Option<Cost>,
}

impl Capture {
    /// The type of a row. `None` if the index points outside of [`Capture::types`].
    #[must_use]
    pub fn task_type(&self, index: TypeIndex) -> Option<&TaskType> {
        self.types.get(usize::try_from(index.0).ok()?)
    }

    /// The name of a row's type as the user wrote it. An index outside of [`Capture::types`] is a bug of whoever made
    /// the capture: it is shown as such, and the row is not dropped.
    #[must_use]
    pub fn type_name(&self, index: TypeIndex) -> String {
        self.task_type(index).map_or_else(|| format!("[unknown type {}]", index.0), |known| as_written(&known.name))
    }

    /// Gives each request its [`RequestRow::instance`]: 1 for the first of its id by start time, 2 for the next.
    ///
    /// Equal start times (two scopes entered by two threads in one tick) are told apart by scope number.
    pub fn number_instances(&mut self) {
        let mut order: Vec<&mut RequestRow> = self.requests.iter_mut().collect();
        order.sort_by(|a, b| (&a.id, a.start_ns, a.scope).cmp(&(&b.id, b.start_ns, b.scope)));
        let mut before: Option<(RequestId, u64)> = None;
        for row in order {
            row.instance = match before {
                Some((id, instance)) if id == row.id => instance.saturating_add(1),
                _ => 1,
            };
            before = Some((row.id.clone(), row.instance));
        }
    }
}

/// The profiled process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Process id, in the daemon's pid namespace.
    pub pid: u32,
    /// What `/proc/PID/exe` named at attach.
    pub exe: String,
    /// GNU build id in lower-case hex. `None`: the file has none.
    pub build_id: Option<String>,
    /// Tokio's version, e.g. `1.54.1`. `None`: the version string was not found.
    pub tokio: Option<String>,
}

/// The time the measurement covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The clock that `start_ns`, `end_ns` and every other instant are on: `CLOCK_MONOTONIC`.
    pub clock: String,
    /// First instant covered.
    pub start_ns: u64,
    /// Last instant covered.
    pub end_ns: u64,
    /// `start_ns` as nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
}

impl Window {
    /// Length of the window. Zero if it ends before it starts.
    #[must_use]
    pub const fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// Index into [`Capture::types`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeIndex(pub u32);

/// A scope's number, unique within a target: the key that ties samples and tasks to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeSeq(pub u64);

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

/// One request: one root scope from its first poll to its end. Its states are those of the root scope only; the tasks
/// it spawned stand in `children` with theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself, and none follows from another")]
pub struct RequestRow {
    /// The root scope's number.
    pub scope: ScopeSeq,
    /// What the application called it.
    pub id: RequestId,
    /// 1 for the first request of this id, 2 for the next. Set by [`Capture::number_instances`].
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

/// A task that a request spawned, alive or ended. A live one stands in [`Capture::tasks`] as well.
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
    /// See [`TaskRow::wake_unseen`].
    pub wake_unseen: u64,
    /// See [`TaskRow::yielded`].
    pub yielded: u64,
    /// Its longest poll.
    pub longest_poll_ns: u64,
    /// Whether its wall starts at its spawn.
    pub spawn_seen: bool,
}

/// One counter of what was lost, clamped or skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The counter's name, in `snake_case`: its key under `lost` in the report.
    pub name: &'static str,
    /// One sentence: what a count other than zero means for the numbers above it.
    pub meaning: &'static str,
    /// How often it happened in the window.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, scope: u64, start_ns: u64) -> RequestRow {
        RequestRow {
            scope: ScopeSeq(scope),
            id: id.into(),
            instance: 0,
            complete: true,
            start_seen: true,
            start_ns,
            states: States::default(),
            polls: 1,
            wakes: 0,
            wake_unseen: 0,
            longest_poll_ns: 0,
            scheduled_known: true,
            kept_times: false,
            task_type: None,
            task_id: None,
            children: Vec::new(),
            trace: None,
        }
    }

    #[test]
    fn a_request_answers_to_its_id_and_its_trace() {
        let row = RequestRow { trace: Some([0xab; 16]), ..request("order-42", 1, 1) };
        assert!(row.answers_to(&"order-42".into()) && row.answers_to(&"ab".repeat(16).as_str().into()));
        assert!(row.answers_to(&"AB".repeat(16).as_str().into()) && !row.answers_to(&"ab".into()));
    }

    #[test]
    fn instances_count_per_id_in_start_order() {
        let mut capture = Capture {
            requests: vec![request("b", 4, 40), request("a", 3, 30), request("b", 2, 10), request("b", 1, 10)],
            ..Capture::default()
        };
        capture.number_instances();
        let numbered: Vec<(u64, u64)> = capture.requests.iter().map(|row| (row.scope.0, row.instance)).collect();
        assert_eq!(numbered, [(4, 3), (3, 1), (2, 2), (1, 1)]);
    }
}
