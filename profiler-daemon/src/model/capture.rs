//! What the collect step hands over: rows as they were measured, names not yet resolved.

mod awaits;
mod foreign;
mod request;
mod sampled;
mod seen;
mod task;

use serde::{Deserialize, Serialize};

pub use awaits::{AwaitFrame, AwaitFrameKind, AwaitIndex, AwaitOwner, AwaitSource, AwaitSpan, AwaitStack, AwaitSum, AwaitWalks};
pub use foreign::{ForeignRow, ForeignSource};
pub use request::{ChildRow, RequestRow, RouteRow, ScopeSeq, Unfollowed};
pub use sampled::{Sampled, SampledOwner, SampledRow, TaskIds};
pub use seen::{BlockedPlace, OffCpu, PollSpan, Sample, Stack, UnwindTables, Wake, Walks};
pub use task::{FinishedTypeRow, TaskKind, TaskRow, TaskType, TypeIndex};

use super::cost::Cost;
use super::names::as_written;
use super::refused::RefusedSite;
use super::request_id::RequestId;

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
    /// Tasks, where there was no probe in the target: `tasks` and `requests` are empty then, and requests are in `foreign`.
    pub sampled: Option<Sampled>,
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
    /// Probe sites at which something was refused.
    pub refused_sites: Vec<RefusedSite>,
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
    use crate::model::states::States;

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
            unfollowed: None,
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
