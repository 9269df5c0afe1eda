//! What a report tells of tasks of a target that has no probe in it.

use serde::{Deserialize, Serialize};

use super::TaskRef;
use super::build::{Filter, task_ref};
use crate::collect::Sightings;
use crate::model::capture::{Capture, ForeignRow, SampledOwner, SampledRow, TaskIds, TaskKind};
use crate::model::names::as_written;

/// What was seen of tasks without a probe. Polls, wakes, and the time in which tasks were scheduled or suspended are not known, nor is their
/// wall time: they have no field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// CPU time between two samples of one CPU: how fine `sampled_ns` is.
    pub period_ns: Option<u64>,
    /// Whether tasks are told by their ids.
    pub task_ids: bool,
    /// Why they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_ids_why: Option<String>,
    /// Tasks, by id; then those that are not told apart, by type.
    pub tasks: Vec<SampledTask>,
    /// Threads outside of any task: waiting for work, mostly. `None`: the report is about a part of the target.
    pub outside: Option<SampledTimes>,
}

/// One task, or those of a type that are not told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledTask {
    /// Which; its id is null where tasks are not told apart.
    #[serde(flatten)]
    pub task: TaskRef,
    /// What was seen.
    #[serde(flatten)]
    pub times: SampledTimes,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledTimes {
    /// Samples on the CPU.
    pub samples: u64,
    /// CPU time that they stand for: an estimate.
    pub sampled_ns: u64,
    /// Stretches off the CPU.
    pub stretches: u64,
    /// Their time asleep, exactly.
    pub blocked_ns: u64,
    /// Their time runnable, exactly.
    pub preempted_ns: u64,
    /// The part of `blocked_ns` in which the thread was stopped or traced.
    pub stopped_ns: u64,
}

impl From<&Sightings> for SampledTimes {
    fn from(sum: &Sightings) -> Self {
        Self {
            samples: sum.samples,
            sampled_ns: sum.sampled_ns,
            stretches: sum.stretches,
            blocked_ns: sum.blocked_ns,
            preempted_ns: sum.preempted_ns,
            stopped_ns: sum.stopped_ns,
        }
    }
}

/// What a report about a part of `capture` tells; `requests` are those that it is about.
pub(super) fn sampled(capture: &Capture, filter: &Filter, requests: &[&ForeignRow]) -> Option<Sampled> {
    let seen = capture.sampled.as_ref()?;
    let is_told = |row: &&SampledRow| match (filter, row.owner) {
        (Filter::All, owner) => owner != SampledOwner::Outside,
        (Filter::Task(id), owner) => owner == SampledOwner::Task(*id),
        (Filter::Requests(_) | Filter::AllRequests, SampledOwner::Task(id)) => requests.iter().any(|row| row.tasks.contains(&id)),
        (Filter::Requests(_) | Filter::AllRequests, SampledOwner::Tasks | SampledOwner::Outside) => false,
    };
    let task = |row: &SampledRow| {
        let id = if let SampledOwner::Task(id) = row.owner { Some(id) } else { None };
        let unknown = || TaskRef { id, type_name: as_written("[unknown type]"), kind: TaskKind::Unknown };
        SampledTask { task: row.task_type.map_or_else(unknown, |index| task_ref(capture, id, index)), times: (&row.sum).into() }
    };
    let outside = seen.rows.iter().find(|row| row.owner == SampledOwner::Outside).map(|row| SampledTimes::from(&row.sum));
    Some(Sampled {
        period_ns: capture.sample_period_ns,
        task_ids: seen.task_ids == TaskIds::Read,
        task_ids_why: if let TaskIds::Unknown(why) = &seen.task_ids { Some(why.clone()) } else { None },
        tasks: seen.rows.iter().filter(is_told).map(task).collect(),
        outside: if *filter == Filter::All { Some(outside.unwrap_or_default()) } else { None },
    })
}
