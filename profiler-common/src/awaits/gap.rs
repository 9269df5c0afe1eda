//! The time between two polls, as a wait in one await stack.

use crate::states::States;

/// Where a task, or a scope, waits since its last poll's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Awaiting {
    /// Id of the await stack, 0 for none: nothing was walked, or nothing was pending.
    pub stack: u64,
    /// Id of the task that is awaited through a `JoinHandle`, 0 for none.
    pub task: u64,
}

impl Awaiting {
    /// Nowhere.
    pub const NOWHERE: Self = Self { stack: 0, task: 0 };

    /// Makes it nowhere, as polls' starts do.
    #[inline(always)]
    pub fn clear(&mut self) {
        // Not a plain 0: LLVM would call `memset` for the two words, which is a loop of bytes on BPF.
        let none = core::hint::black_box(0_u64);
        self.stack = none;
        self.task = none;
    }
}

/// One wait: what a poll's start adds to the row's two waiting states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Gap {
    /// When it began (ns): the end of the poll before.
    pub start_ns: u64,
    /// The suspended part (ns).
    pub suspended_ns: u64,
    /// The scheduled part (ns), which follows it.
    pub scheduled_ns: u64,
}

impl Gap {
    /// A gap from `start_ns` on, before its end has been added to `states`.
    #[inline(always)]
    #[must_use]
    pub const fn open(start_ns: u64, states: &States) -> Self {
        Self { start_ns, suspended_ns: states.suspended_ns, scheduled_ns: states.scheduled_ns }
    }

    /// The same once it has been added.
    #[inline(always)]
    #[must_use]
    pub const fn closed(self, states: &States) -> Self {
        Self {
            start_ns: self.start_ns,
            suspended_ns: states.suspended_ns.saturating_sub(self.suspended_ns),
            scheduled_ns: states.scheduled_ns.saturating_sub(self.scheduled_ns),
        }
    }

    /// Its length (ns).
    #[inline(always)]
    #[must_use]
    pub const fn ns(&self) -> u64 {
        self.suspended_ns.wrapping_add(self.scheduled_ns)
    }
}
