//! What was seen of an id or a task where no probe counts its polls: sums of what threads were found doing in it.

use profiler_common::clock::OffCpu;

use super::{Off, Sample};

/// Samples and stretches that have something in common, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// When first (ns).
    pub first_ns: u64,
    /// When last, the end of a stretch off the CPU included (ns).
    pub last_ns: u64,
    /// Samples.
    pub samples: u64,
    /// CPU time that they stand for (ns).
    pub sampled_ns: u64,
    /// Stretches off the CPU that began there.
    pub stretches: u64,
    /// Of those: asleep (ns).
    pub blocked_ns: u64,
    /// Runnable (ns).
    pub preempted_ns: u64,
    /// The part of `blocked_ns` in which the thread was stopped.
    pub stopped_ns: u64,
}

impl Sightings {
    /// It was seen at `time_ns`.
    pub(super) fn seen(&mut self, time_ns: u64) {
        self.first_ns = if self.first_ns == 0 { time_ns } else { self.first_ns.min(time_ns) };
        self.last_ns = self.last_ns.max(time_ns);
    }

    /// Adds a sample.
    pub(super) fn sample(&mut self, sample: &Sample) {
        self.seen(sample.stack.time_ns);
        self.samples = self.samples.saturating_add(1);
        self.sampled_ns = self.sampled_ns.saturating_add(sample.period_ns);
    }

    /// Adds a stretch that is over, or as far as it has come.
    pub(super) fn off(&mut self, off: &Off) {
        self.seen(off.stack.time_ns);
        let length = off.off.blocked_ns.saturating_add(off.off.preempted_ns);
        self.seen(off.stack.time_ns.saturating_add(length));
        self.stretches(1, &off.off);
    }

    /// Adds the time of so many stretches.
    pub(super) fn stretches(&mut self, count: u64, off: &OffCpu) {
        self.stretches = self.stretches.saturating_add(count);
        self.blocked_ns = self.blocked_ns.saturating_add(off.blocked_ns);
        self.preempted_ns = self.preempted_ns.saturating_add(off.preempted_ns);
        self.stopped_ns = self.stopped_ns.saturating_add(off.stopped_ns);
    }

    /// Adds another sum.
    pub(super) fn plus(&mut self, other: &Self) {
        if other.first_ns != 0 {
            self.seen(other.first_ns);
            self.seen(other.last_ns);
        }
        self.samples = self.samples.saturating_add(other.samples);
        self.sampled_ns = self.sampled_ns.saturating_add(other.sampled_ns);
        let off = OffCpu { preempted_ns: other.preempted_ns, blocked_ns: other.blocked_ns, stopped_ns: other.stopped_ns };
        self.stretches(other.stretches, &off);
    }
}
