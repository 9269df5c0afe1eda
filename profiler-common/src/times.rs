//! The times that a scope of the annotation keeps of itself, as they stand in the target's memory, and the row that becomes of them with what
//! the scheduler's events add: how much of its polls its threads were off their CPUs.
//!
//! The layout is that of `profiler-annotate/ABI.md`. Nothing in it is trusted.

use crate::clock::OffCpu;
use crate::scope::{ENDED, START_SEEN, ScopeRow, TIMED};
use crate::states::States;

/// [`KeptTimes::magic`].
pub const MAGIC: u64 = u64::from_ne_bytes(*b"PRFTIMES");

/// [`KeptTimes::flags`]: the scope's first poll is in its times.
pub const FROM_ITS_START: u64 = 1;

/// The block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KeptTimes {
    /// [`MAGIC`].
    pub magic: u64,
    /// The scope's sequence number.
    pub scope: u64,
    /// The block of the scope in whose poll this one is polled, 0 for none.
    pub around: u64,
    /// [`FROM_ITS_START`].
    pub flags: u64,
    /// Its first poll (ns).
    pub first_ns: u64,
    /// Up to when its time has been divided (ns).
    pub last_ns: u64,
    /// In polls.
    pub in_poll_ns: u64,
    /// Between wakes and polls.
    pub scheduled_ns: u64,
    /// Between polls and wakes.
    pub suspended_ns: u64,
    /// Its polls.
    pub polls: u64,
    /// Those that a wake led to.
    pub wakes: u64,
    /// Those but the first that none led to.
    pub wakes_unseen: u64,
    /// The longest poll (ns).
    pub longest_poll_ns: u64,
    /// The wake that nobody has taken yet (ns).
    pub first_wake_ns: u64,
    /// Always 0.
    pub reserved: [u64; 2],
}

/// What becomes of a scope's own times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A row.
    Whole,
    /// A row; the time off the CPU was more than there was in polls.
    Clamped,
    /// They are not this scope's, or do not add up.
    Malformed,
}

impl KeptTimes {
    /// Writes into `row` what the scope of this number has kept, and what its polls were `off` the CPU.
    #[inline(always)]
    pub fn fill(&self, scope: u64, off: OffCpu, row: &mut ScopeRow) -> Taken {
        let wall = self.last_ns.wrapping_sub(self.first_ns);
        let parts = self.in_poll_ns.wrapping_add(self.scheduled_ns).wrapping_add(self.suspended_ns);
        // Each by itself too: parts that wrap around could add up as well.
        let within = self.in_poll_ns <= wall && self.scheduled_ns <= wall && self.suspended_ns <= wall;
        if self.magic != MAGIC || self.scope != scope || self.first_ns > self.last_ns || parts != wall || !within {
            return Taken::Malformed;
        }
        row.flags = ENDED | TIMED | if self.flags & FROM_ITS_START != 0 { START_SEEN } else { 0 };
        (row.first_ns, row.last_ns) = (self.first_ns, self.last_ns);
        row.states = States { scheduled_ns: self.scheduled_ns, suspended_ns: self.suspended_ns, ..States::NONE };
        row.states.add_polled(self.in_poll_ns, off);
        (row.polls, row.wakes, row.wakes_unseen) = (self.polls, self.wakes, self.wakes_unseen);
        row.longest_poll_ns = self.longest_poll_ns;
        let off_ns = off.preempted_ns.saturating_add(off.blocked_ns);
        if off_ns > self.in_poll_ns { Taken::Clamped } else { Taken::Whole }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(first_ns: u64, parts: [u64; 3]) -> KeptTimes {
        let [in_poll_ns, scheduled_ns, suspended_ns] = parts;
        let last_ns = first_ns.wrapping_add(in_poll_ns).wrapping_add(scheduled_ns).wrapping_add(suspended_ns);
        KeptTimes { magic: MAGIC, scope: 7, first_ns, last_ns, in_poll_ns, scheduled_ns, suspended_ns, ..KeptTimes::default() }
    }

    #[test]
    fn time_off_the_cpu_is_taken_out_of_the_polls() {
        let mut row = ScopeRow::NEW;
        let off = OffCpu { preempted_ns: 10, blocked_ns: 30, stopped_ns: 5 };
        assert_eq!(kept(1000, [100, 20, 50]).fill(7, off, &mut row), Taken::Whole);
        let expected = States {
            running_ns: 60,
            preempted_ns: 10,
            blocked_ns: 30,
            scheduled_ns: 20,
            suspended_ns: 50,
            stopped_ns: 5,
            unseen_ns: 0,
        };
        assert_eq!((row.states, row.first_ns, row.last_ns), (expected, 1000, 1170));
    }

    #[test]
    fn what_is_anothers_or_does_not_add_up_is_refused() {
        let mut row = ScopeRow::NEW;
        let whole = kept(1000, [100, 20, 50]);
        for bad in [
            KeptTimes { magic: 1, ..whole },
            KeptTimes { scope: 8, ..whole },
            KeptTimes { last_ns: whole.last_ns + 1, ..whole },
            KeptTimes { first_ns: u64::MAX, ..whole },
            KeptTimes { in_poll_ns: u64::MAX, scheduled_ns: 121, ..whole },
        ] {
            assert_eq!(bad.fill(7, OffCpu::default(), &mut row), Taken::Malformed, "{bad:?}");
        }
        assert_eq!(row, ScopeRow::NEW);
    }

    proptest! {
        /// Check that the five states add up whatever the target and the scheduler say.
        #[test]
        fn states_add_up(
            first_ns in any::<u64>(),
            parts in prop_oneof![any::<[u64; 3]>(), [0_u64..1000, 0_u64..1000, 0_u64..1000]],
            off in [0_u64..2000, 0_u64..2000, 0_u64..2000],
        ) {
            let [preempted_ns, blocked_ns, stopped_ns] = off;
            let mut row = ScopeRow::NEW;
            let taken = kept(first_ns, parts).fill(7, OffCpu { preempted_ns, blocked_ns, stopped_ns }, &mut row);
            prop_assert_eq!(row.states.wall_ns(), row.last_ns - row.first_ns);
            if taken == Taken::Whole {
                prop_assert_eq!((row.states.preempted_ns, row.states.blocked_ns), (preempted_ns, blocked_ns));
            }
        }
    }
}
