//! The cumulative clocks of one thread and the snapshot of them that a poll is the difference of.
//!
//! Only the thread's own switches write the clocks, so a handler that runs on the thread can be interrupted by a writer
//! (a switch out and back in), but never raced by one. It reads a sequence number before and after.

use crate::limits::SNAPSHOT_TRIES;

/// How long a thread has been off its CPU since its row was made, by reason (ns, cumulative).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OffCpu {
    /// Runnable, but another thread had the CPU.
    pub preempted_ns: u64,
    /// Asleep in the kernel, stopped or traced.
    pub blocked_ns: u64,
    /// The part of `blocked_ns` in which it was stopped or traced.
    pub stopped_ns: u64,
}

impl OffCpu {
    /// How far the clocks moved from `earlier` to here. A clock that seems to have run backwards has not moved.
    #[inline(always)]
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            preempted_ns: self.preempted_ns.saturating_sub(earlier.preempted_ns),
            blocked_ns: self.blocked_ns.saturating_sub(earlier.blocked_ns),
            stopped_ns: self.stopped_ns.saturating_sub(earlier.stopped_ns),
        }
    }
}

/// The time and the thread's clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The moment (ns).
    pub now_ns: u64,
    /// The thread's clocks at that moment.
    pub off: OffCpu,
    /// Whether the thread was switched between every two reads, so that time and clocks may not belong together.
    pub torn: bool,
}

/// What a snapshot reads, one read a call, so that the tests can let a switch land between any two of them.
pub trait ClockSource {
    /// The sequence number that every switch of the thread moves.
    fn sequence(&mut self) -> u32;
    /// The thread's clocks.
    fn off_cpu(&mut self) -> OffCpu;
    /// The time (ns).
    fn now_ns(&mut self) -> u64;
}

/// Reads time and clocks that belong together.
#[inline(always)]
pub fn snapshot(source: &mut impl ClockSource) -> Snapshot {
    let mut last = Snapshot { torn: true, ..Snapshot::default() };
    for _ in 0..SNAPSHOT_TRIES {
        let before = source.sequence();
        last.off = source.off_cpu();
        last.now_ns = source.now_ns();
        if source.sequence() == before {
            last.torn = false;
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::{OffReason, ThreadRow};

    /// Reads a row; a switch out and back in lands before each read whose bit is set.
    struct Disturbed {
        row: ThreadRow,
        now_ns: u64,
        before: u32,
        reads: u32,
        /// What the clocks were when the time was read.
        true_off: OffCpu,
    }

    impl Disturbed {
        fn read(&mut self) {
            if self.before >> self.reads & 1 != 0 {
                self.row.on_switch_out(self.now_ns + 1, OffReason::Asleep);
                self.row.on_wakeup(self.now_ns + 3);
                self.row.on_switch_in(self.now_ns + 7);
                self.now_ns += 8;
            }
            self.reads += 1;
        }
    }

    impl ClockSource for Disturbed {
        fn sequence(&mut self) -> u32 {
            self.read();
            self.row.sequence
        }

        fn off_cpu(&mut self) -> OffCpu {
            self.read();
            self.row.off
        }

        fn now_ns(&mut self) -> u64 {
            self.read();
            self.true_off = self.row.off;
            self.now_ns
        }
    }

    /// Check every way in which switches can land between the reads of all tries: time and clocks belong together, or the snapshot says
    /// that they may not; and it says so only if every try was disturbed.
    #[test]
    fn whole_or_torn() {
        let reads_a_try = 4;
        for before in 0..1 << (reads_a_try * SNAPSHOT_TRIES) {
            let mut source = Disturbed { row: ThreadRow::NEW, now_ns: 100, before, reads: 0, true_off: OffCpu::default() };
            let taken = snapshot(&mut source);
            // What lands before a try's first read does not disturb it.
            let all_disturbed = (0..SNAPSHOT_TRIES).all(|nth| before >> (nth * reads_a_try) & 0b1110 != 0);
            assert_eq!(taken.torn, all_disturbed, "{before:#b}");
            assert!(taken.torn || taken.off == source.true_off, "{before:#b}");
        }
    }
}
