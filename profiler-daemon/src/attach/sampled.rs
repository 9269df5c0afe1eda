//! The mode without probes: tells the kernel side where threads keep what they are in, and hears what they did outside of any task.

use aya::maps::{HashMap, PerCpuArray};
use profiler_common::outside::OutsideSum;

use super::{AttachError, Attached, typed};

/// Where a thread keeps the id of the task that it polls (bytes from the thread pointer, wrapping).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskIdPlace {
    /// The id. 0: not known.
    pub id: u64,
    /// The word that is 1 while there is one. 0: there is no such word.
    pub tag: u64,
}

impl Attached {
    /// From now on tasks and requests are read from the threads themselves. To be called before the window opens.
    pub fn read_from_threads(&mut self, place: TaskIdPlace) -> Result<(), AttachError> {
        self.gate.sample_only = 1;
        self.gate.task_id_offset = place.id;
        self.gate.task_tag_offset = place.tag;
        self.write_gate()
    }

    /// From now on a thread in one of these tasks is in none: they are workers' own loops. Of too many the rest is told from others by its stacks.
    pub fn leave_out(&mut self, tasks: &[u64]) -> Result<(), AttachError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut map: HashMap<_, u64, u32> = typed(self.ebpf(), "WORKER_TASKS")?;
        for task in tasks {
            let _ = map.insert(task, 1, 0);
        }
        Ok(())
    }

    /// What threads did outside of any task: stretches off the CPU that have ended.
    pub fn outside(&mut self) -> Result<OutsideSum, AttachError> {
        let map: PerCpuArray<_, OutsideSum> = typed(self.ebpf(), "OUTSIDE")?;
        let sums = map.get(&0, 0).map_err(|source| AttachError::Map { map: "OUTSIDE", source })?;
        Ok(sums.iter().fold(OutsideSum::default(), OutsideSum::plus))
    }

    /// How many links hang on probes in the target.
    #[must_use]
    pub fn probes(&self) -> usize {
        self.uprobes.as_ref().map_or(0, super::Uprobes::count)
    }
}
