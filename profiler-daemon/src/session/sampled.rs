//! The mode without probes: what of a task can be told from a thread and its stack.

use crate::attach::TaskIdPlace;
use crate::collect::PollCode;
use crate::inspect::{Inspection, TaskKind, TaskType, current_task};
use crate::model::TaskIds;

/// The task of the blocking pool that a worker of a multi-thread runtime is (tokio `runtime/scheduler/multi_thread/worker.rs`).
const WORKER: &str = "worker::Launch::launch";

/// What is known of a program before it is sampled.
#[derive(Debug)]
pub(super) struct Sampling {
    /// Where threads keep the id of their task.
    pub(super) place: TaskIdPlace,
    /// Why that is not known; `None`: it is.
    pub(super) why: Option<String>,
    /// The code that polls tasks of each type.
    pub(super) polls: PollCode,
}

impl Sampling {
    /// Of a program that is loaded `bias` beyond its file's addresses.
    pub(super) fn of(program: &[u8], inspection: &Inspection, bias: u64) -> Self {
        let (place, why) = match current_task(program, inspection) {
            Ok(found) => {
                let wrapping = |distance: i64| distance.cast_unsigned();
                (TaskIdPlace { id: wrapping(found.id), tag: found.tag.map_or(0, wrapping) }, None)
            }
            Err(error) => (TaskIdPlace::default(), Some(error.to_string())),
        };
        let code = (0_u32..).zip(&inspection.task_types).filter_map(|(task_type, found)| {
            let start = found.body.wrapping_add(bias);
            Some((start, found.body_end?.wrapping_add(bias), task_type))
        });
        let is_worker = |found: &TaskType| found.kind == TaskKind::Blocking && found.name.contains(WORKER);
        let workers =
            (0_u32..).zip(&inspection.task_types).filter(|(_, found)| is_worker(found)).map(|(place, _)| place).collect();
        Self { place, why, polls: PollCode::new(code, workers) }
    }

    /// The same for whoever reads what was seen.
    pub(super) fn task_ids(&self) -> TaskIds {
        self.why.clone().map_or(TaskIds::Read, TaskIds::Unknown)
    }
}
