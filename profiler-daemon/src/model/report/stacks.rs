//! What a report tells about its stacks: what they rest on, and for each request how much of its time they cover.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{RequestName, TaskRef};
use crate::model::capture::{AwaitSource, AwaitWalks, Capture, RequestRow, ScopeSeq, UnwindTables};
use crate::model::graph::scale;

/// How stacks were taken, and what walking them came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stacks {
    /// Whether they were taken in every poll. If not, only inside wanted requests and the tasks they spawned.
    pub every_poll: bool,
    /// CPU time between two samples outside of wanted requests, inside of which there may be more. `None`: there was no sampling.
    pub period_ns: Option<u64>,
    /// Polls shorter than this left no record.
    pub poll_record_ns: u64,
    /// Stacks that were walked.
    pub walks: u64,
    /// Frames found by that.
    pub frames: u64,
    /// Time it took, in the target's threads.
    pub walk_ns: u64,
    /// How many walks ended how; ends that did not occur are not in it.
    pub ends: BTreeMap<String, u64>,
    /// What they were walked by.
    pub tables: UnwindTables,
}

impl Stacks {
    pub(super) fn of(capture: &Capture) -> Self {
        Self {
            every_poll: capture.every_poll,
            period_ns: capture.sample_period_ns,
            poll_record_ns: capture.poll_record_ns,
            walks: capture.walks.walks,
            frames: capture.walks.frames,
            walk_ns: capture.walks.walk_ns,
            ends: capture.walks.ends.clone(),
            tables: capture.unwind_tables,
        }
    }
}

/// How await stacks were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Awaits {
    /// Where they come from in this target.
    pub source: AwaitSource,
    /// What walking futures came to.
    pub walks: AwaitWalks,
}

impl Awaits {
    pub(super) fn of(capture: &Capture) -> Self {
        Self { source: capture.await_source, walks: capture.await_walks.clone() }
    }
}

/// How much of a request's running time was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// Samples of its root scope.
    pub samples: u64,
    /// CPU time that they stand for.
    pub sampled_ns: u64,
    /// `running_ns / sampled_ns`: by how much they are stretched. `None`: there are none, so nothing is known of where it ran.
    pub scale: Option<f64>,
}

/// Samples of the root scopes of these requests. One without samples is not in it.
pub(super) fn sampled(capture: &Capture, requests: &[&RequestRow]) -> HashMap<ScopeSeq, Sampled> {
    struct Root<'c> {
        row: &'c RequestRow,
        children: HashSet<u64>,
    }
    let roots: HashMap<ScopeSeq, Root<'_>> = requests
        .iter()
        .map(|row| (row.scope, Root { row, children: row.children.iter().filter_map(|child| child.task_id).collect() }))
        .collect();
    let mut sums: HashMap<ScopeSeq, Sampled> = HashMap::new();
    for sample in &capture.samples {
        for root in sample.stack.requests.iter().filter_map(|scope| roots.get(scope)) {
            // The request is current in the tasks it spawned as well; those have time of their own.
            let is_child = sample.stack.task_id.is_some_and(|id| root.children.contains(&id));
            if !is_child && sample.stack.is_in_task_of(root.row) {
                let sum = sums.entry(root.row.scope).or_default();
                sum.samples = sum.samples.saturating_add(1);
                sum.sampled_ns = sum.sampled_ns.saturating_add(sample.period_ns);
            }
        }
    }
    for (scope, sum) in &mut sums {
        let running_ns = roots.get(scope).map_or(0, |root| root.row.states.running_ns);
        sum.scale = scale(running_ns, sum.sampled_ns);
    }
    sums
}

/// Polls that a request waited behind while it was ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledBehind {
    /// The type of the tasks; the id is that of the task with the longest poll.
    #[serde(flatten)]
    pub task: TaskRef,
    /// The part of `scheduled_ns`. Where several workers were in polls, it is divided evenly among these.
    pub ns: u64,
    /// How many polls.
    pub polls: u64,
    /// The longest of them, all of its length.
    pub longest_ns: u64,
    /// The request that the longest was a part of, or that had spawned its task.
    pub request: Option<RequestName>,
}
