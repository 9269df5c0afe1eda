//! What a report tells of an id of another library.

use serde::{Deserialize, Serialize};

use super::build::id_text;
use crate::model::capture::{ForeignRow, ForeignSource};

/// What was seen of an id. Its polls, and the time in which it was scheduled or suspended, are not known: they have no field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// The id. Where it is not UTF-8: its printable form, `\xff` for a byte.
    pub id: String,
    /// The id's bytes in lower-case hex, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_hex: Option<String>,
    /// What it is.
    pub source: ForeignSource,
    /// The trace id that stood beside it.
    pub trace_id: Option<String>,
    /// When it was first seen, on the window's clock.
    pub first_ns: u64,
    /// From then to when it was last seen. Absent where there was no probe in the target: in which part of that time it was in a poll at all is
    /// not known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ns: Option<u64>,
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
    /// Tasks in whose polls it was seen, at most 64.
    pub tasks: Vec<u64>,
}

impl Foreign {
    pub(super) fn of(row: &ForeignRow, probed: bool) -> Self {
        let (id, id_hex) = id_text(&row.id);
        let sum = &row.sum;
        Self {
            id,
            id_hex,
            source: row.source,
            trace_id: row.trace_id.clone(),
            first_ns: sum.first_ns,
            wall_ns: probed.then(|| sum.last_ns.saturating_sub(sum.first_ns)),
            samples: sum.samples,
            sampled_ns: sum.sampled_ns,
            stretches: sum.stretches,
            blocked_ns: sum.blocked_ns,
            preempted_ns: sum.preempted_ns,
            stopped_ns: sum.stopped_ns,
            tasks: row.tasks.clone(),
        }
    }
}
