//! Tasks of a target without probes, from what was collected.

use super::{Setting, index};
use crate::collect::{self, Collected};
use crate::model::capture::{Sampled, SampledOwner, SampledRow};

pub(super) fn sampled(setting: &Setting, collected: &Collected) -> Option<Sampled> {
    let task_ids = setting.sampled.clone()?;
    let row = |of: &collect::SampledTask| SampledRow {
        owner: match of.owner {
            collect::SampledOwner::Task(id) => SampledOwner::Task(id),
            collect::SampledOwner::Tasks(_) => SampledOwner::Tasks,
            collect::SampledOwner::Outside => SampledOwner::Outside,
        },
        task_type: of.task_type.and_then(|place| index(setting, place)),
        first_ns: of.sum.first_ns,
        last_ns: of.sum.last_ns,
        samples: of.sum.samples,
        sampled_ns: of.sum.sampled_ns,
        stretches: of.sum.stretches,
        blocked_ns: of.sum.blocked_ns,
        preempted_ns: of.sum.preempted_ns,
        stopped_ns: of.sum.stopped_ns,
    };
    Some(Sampled { task_ids, rows: collected.sampled.iter().map(row).collect() })
}
