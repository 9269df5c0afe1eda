//! What threads of the target did outside of any task, where tasks are read from the threads themselves: mostly waiting for work.

use crate::clock::OffCpu;

/// A sum over every thread, kept by each CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OutsideSum {
    /// Stretches off the CPU.
    pub stretches: u64,
    /// Their time.
    pub off: OffCpu,
}

impl OutsideSum {
    /// Adds a stretch.
    #[inline(always)]
    pub const fn add(&mut self, off: &OffCpu) {
        self.stretches += 1;
        self.off.preempted_ns += off.preempted_ns;
        self.off.blocked_ns += off.blocked_ns;
        self.off.stopped_ns += off.stopped_ns;
    }

    /// Two sums as one.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            stretches: self.stretches + other.stretches,
            off: OffCpu {
                preempted_ns: self.off.preempted_ns + other.off.preempted_ns,
                blocked_ns: self.off.blocked_ns + other.off.blocked_ns,
                stopped_ns: self.off.stopped_ns + other.off.stopped_ns,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_add_up() {
        let off = OffCpu { preempted_ns: 1, blocked_ns: 20, stopped_ns: 3 };
        let mut one = OutsideSum::default();
        one.add(&off);
        let other = one;
        one.add(&off);
        let both = one.plus(&other);
        assert_eq!(both, OutsideSum { stretches: 3, off: OffCpu { preempted_ns: 3, blocked_ns: 60, stopped_ns: 9 } });
    }
}
