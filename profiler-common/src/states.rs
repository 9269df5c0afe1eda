//! The five states and how a stretch of time is divided among them without losing a nanosecond.

use crate::clock::OffCpu;

/// Time in each of the five states (ns). Their sum is the wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct States {
    /// Polled, its thread on a CPU.
    pub running_ns: u64,
    /// Polled, its thread runnable but off CPU.
    pub preempted_ns: u64,
    /// Polled, its thread asleep in the kernel.
    pub blocked_ns: u64,
    /// Ready, waiting for a worker.
    pub scheduled_ns: u64,
    /// Waiting at an await.
    pub suspended_ns: u64,
    /// The part of `blocked_ns` in which the thread was stopped or traced. Not a state of its own.
    pub stopped_ns: u64,
    /// The part of `suspended_ns` that no event explains: a wake or the end of a poll was not seen. Not a state of its own.
    pub unseen_ns: u64,
}

impl States {
    /// No time.
    pub const NONE: Self =
        Self { running_ns: 0, preempted_ns: 0, blocked_ns: 0, scheduled_ns: 0, suspended_ns: 0, stopped_ns: 0, unseen_ns: 0 };

    /// The sum of the five states (ns).
    #[inline(always)]
    #[must_use]
    pub const fn wall_ns(&self) -> u64 {
        self.running_ns
            .wrapping_add(self.preempted_ns)
            .wrapping_add(self.blocked_ns)
            .wrapping_add(self.scheduled_ns)
            .wrapping_add(self.suspended_ns)
    }

    /// Divides `elapsed_ns` of a poll by how far the thread's off-CPU clocks moved meanwhile: running is what remains.
    ///
    /// The clocks cannot have moved further than the time that passed, but a torn snapshot could claim so: what exceeds is cut,
    /// so that the sum grows by `elapsed_ns` exactly whatever the clocks say.
    #[inline(always)]
    pub fn add_polled(&mut self, elapsed_ns: u64, off: OffCpu) {
        let preempted = least(off.preempted_ns, elapsed_ns);
        let blocked = least(off.blocked_ns, elapsed_ns - preempted);
        self.preempted_ns += preempted;
        self.blocked_ns += blocked;
        self.running_ns += elapsed_ns - preempted - blocked;
        self.stopped_ns += least(off.stopped_ns, blocked);
    }

    /// Divides the time between two polls, [`from_ns`, `to_ns`], at the moment the task became ready.
    #[inline(always)]
    pub fn add_between(&mut self, from_ns: u64, to_ns: u64, ready: Ready) {
        let elapsed = to_ns.saturating_sub(from_ns);
        match ready {
            Ready::At(ns) => {
                let suspended = least(ns.saturating_sub(from_ns), elapsed);
                self.suspended_ns += suspended;
                self.scheduled_ns += elapsed - suspended;
            }
            Ready::Unseen => {
                self.suspended_ns += elapsed;
                self.unseen_ns += elapsed;
            }
            Ready::Not => self.suspended_ns += elapsed,
        }
    }
}

/// When a task that is not polled became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// At this time (ns), clamped into the stretch that it divides.
    At(u64),
    /// It was polled, so it must have been woken, but no event said when.
    Unseen,
    /// It still waits.
    Not,
}

/// `min` without the panic paths and the trait call, for the verifier's sake.
#[inline(always)]
pub(crate) const fn least(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}
