//! Tells the kernel side where other libraries keep ids of requests, and hears what it could not name.

use aya::Ebpf;
use aya::maps::{Array, PerCpuArray};
use profiler_common::foreign::ForeignSlots;

use super::{AttachError, Attached, typed};

impl Attached {
    /// Reads these slots from now on.
    pub fn set_foreign(&mut self, slots: &ForeignSlots) -> Result<(), AttachError> {
        write(&mut self.ebpf, slots)
    }

    /// How often an attribute had an index that the known map of keys has not.
    pub fn foreign_unknown(&mut self) -> Result<u64, AttachError> {
        let map: PerCpuArray<_, u64> = typed(&mut self.ebpf, "FOREIGN_UNKNOWN")?;
        let counts = map.get(&0, 0).map_err(|source| AttachError::Map { map: "FOREIGN_UNKNOWN", source })?;
        Ok(counts.iter().sum())
    }
}

fn write(ebpf: &mut Ebpf, slots: &ForeignSlots) -> Result<(), AttachError> {
    let mut map: Array<_, ForeignSlots> = typed(ebpf, "FOREIGN_SLOTS")?;
    let failed = |source| AttachError::Map { map: "FOREIGN_SLOTS", source };
    // A look in the middle of the writing finds no slot rather than half of one.
    map.set(0, ForeignSlots::NONE, 0).map_err(failed)?;
    map.set(0, slots, 0).map_err(failed)
}
