//! Ids of other libraries.

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
    /// From then to when it was last seen, ns.
    pub wall_ns: u64,
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
