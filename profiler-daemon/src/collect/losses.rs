//! Every counter of what was lost: the kernel side's, the kernel's, and the collector's own.

use aya::maps::PerCpuArray;
use profiler_common::loss::{LOSSES, Loss};
use profiler_common::unwind::Walks;

use super::Collector;
use crate::attach::{AttachError, Attached, typed};

impl Collector {
    /// Every counter: the kernel side's, the kernel's, and ours.
    pub(super) fn losses(&self, attached: &mut Attached, walks: &Walks) -> Result<Vec<(Loss, u64)>, AttachError> {
        let misses = attached.recursion_misses();
        let memory = attached.unwind_memory();
        let mut losses = Vec::with_capacity(LOSSES);
        for loss in Loss::ALL {
            let kernel = kernel_count(attached, *loss)?;
            let ours = match loss {
                Loss::RecursionMiss => misses,
                Loss::SampleDropped => self.samples.dropped(),
                Loss::RequestDropped => self.requests.dropped(),
                Loss::ChildDropped => self.children.dropped(),
                Loss::BlockingPlaceDropped => self.blocking.dropped(),
                Loss::OffCpuDropped => self.off_cpu.dropped(),
                Loss::PollDropped => self.polls.dropped(),
                Loss::WakeDropped => self.wakes.dropped(),
                Loss::ForeignDropped => self.foreign.dropped(),
                Loss::AwaitDropped => self.waits.dropped(),
                Loss::SiteTakenOut => attached.sites_taken_out(),
                Loss::UnwindRowsFull => memory.rows_left_out,
                Loss::UnwindRegionsFull => memory.regions_left_out,
                Loss::UnwindFileUnreadable => memory.files_without_rows,
                other => self.lost.get(other).copied().unwrap_or(0) + walks.cut_by(*other),
            };
            losses.push((*loss, kernel + ours));
        }
        Ok(losses)
    }
}

/// Every walk of a stack so far.
pub fn walks(attached: &mut Attached) -> Result<Walks, AttachError> {
    let map: PerCpuArray<_, Walks> = typed(attached.ebpf(), "WALKS")?;
    let values = map.get(&0, 0).map_err(|source| AttachError::Map { map: "WALKS", source })?;
    Ok(values.iter().fold(Walks::NONE, Walks::plus))
}

/// The kernel side's counter.
pub(super) fn kernel_count(attached: &mut Attached, loss: Loss) -> Result<u64, AttachError> {
    let map: PerCpuArray<_, u64> = typed(attached.ebpf(), "LOSSES")?;
    let values = map.get(&(loss as u32), 0).map_err(|source| AttachError::Map { map: "LOSSES", source })?;
    Ok(values.iter().sum())
}
