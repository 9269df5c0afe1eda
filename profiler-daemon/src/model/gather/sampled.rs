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
        sum: of.sum,
    };
    Some(Sampled { task_ids, rows: collected.sampled.iter().map(row).collect() })
}
