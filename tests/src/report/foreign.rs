//! Ids of other libraries, and tasks of a target without probes.

use serde::Deserialize;

/// What was seen of one. What is not known has no field, and must have none: `deny_unknown_fields` sees to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// The id.
    pub id: String,
    /// `trace_id`, `attribute` or `label`.
    pub source: String,
    /// The trace id beside it.
    pub trace_id: Option<String>,
    /// When it was first seen, ns.
    pub first_ns: u64,
    /// From then to when it was last seen, ns; absent without probes.
    pub wall_ns: Option<u64>,
    /// Samples.
    pub samples: u64,
    /// What they stand for, ns.
    pub sampled_ns: u64,
    /// Stretches off the CPU.
    pub stretches: u64,
    /// Asleep, ns.
    pub blocked_ns: u64,
    /// Runnable, ns.
    pub preempted_ns: u64,
    /// Stopped, ns.
    pub stopped_ns: u64,
    /// In which tasks.
    pub tasks: Vec<u64>,
}

/// Tasks of a target without probes. What is not known must have no field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// CPU time that a sample stands for, ns.
    pub period_ns: Option<u64>,
    /// Whether tasks have ids.
    pub task_ids: bool,
    /// Why not.
    pub task_ids_why: Option<String>,
    /// Tasks.
    pub tasks: Vec<SampledTask>,
    /// Threads outside of any.
    pub outside: Option<SampledTimes>,
}

impl Sampled {
    /// The task of this id.
    #[must_use]
    pub fn task(&self, id: u64) -> Option<&SampledTask> {
        self.tasks.iter().find(|task| task.id == Some(id))
    }
}

/// One of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampledTask {
    /// Its id.
    pub id: Option<u64>,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How it is run.
    pub kind: String,
    /// Samples.
    pub samples: u64,
    /// What they stand for, ns.
    pub sampled_ns: u64,
    /// Stretches off the CPU.
    pub stretches: u64,
    /// Asleep, ns.
    pub blocked_ns: u64,
    /// Runnable, ns.
    pub preempted_ns: u64,
    /// Stopped, ns.
    pub stopped_ns: u64,
}

/// What threads did outside of tasks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampledTimes {
    /// Samples.
    pub samples: u64,
    /// What they stand for, ns.
    pub sampled_ns: u64,
    /// Stretches off the CPU.
    pub stretches: u64,
    /// Asleep, ns.
    pub blocked_ns: u64,
    /// Runnable, ns.
    pub preempted_ns: u64,
    /// Stopped, ns.
    pub stopped_ns: u64,
}
