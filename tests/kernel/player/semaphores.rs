//! Semaphores as `.probes` has them: words of two bytes in writable data, which the kernel raises while a probe with them is in.

use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use profiler_daemon::attach::Probe;

use super::places::file_offset;

/// A semaphore.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Semaphore(AtomicU16);

/// Some of them, as neighbours: a write beside one shows in another.
#[unsafe(link_section = ".probes")]
pub(crate) static ALL: [Semaphore; 4] = [const { Semaphore(AtomicU16::new(0)) }; 4];

impl Semaphore {
    /// How many probes have raised it.
    pub(crate) fn value(&self) -> u16 {
        self.0.load(SeqCst)
    }

    /// The probe with this semaphore.
    pub(crate) fn on(&self, probe: Probe) -> Probe {
        Probe { semaphore: file_offset(&raw const *self as u64), ..probe }
    }
}
