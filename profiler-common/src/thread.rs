//! The row of one thread: whether it is on a CPU, its cumulative clocks, and the polls and scopes open on it.

use crate::awaits::AwaitWalks;
use crate::clock::OffCpu;
use crate::frame::FrameStack;
use crate::limits::{THREADS, TIMED_DEPTH};

/// Why a thread is off its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum OffReason {
    /// It is on a CPU.
    OnCpu = 0,
    /// It was runnable when it was switched out.
    Preempted = 1,
    /// It went to sleep.
    Asleep = 2,
    /// It was stopped by a signal or by a tracer.
    Stopped = 3,
}

/// `TASK_STOPPED | TASK_TRACED` and their bits' owner `__TASK_STOPPED`/`__TASK_TRACED` (include/linux/sched.h, 6.1 to 6.18).
const STOPPED_OR_TRACED: u64 = 0x4 | 0x8;

impl OffReason {
    /// Reads what `sched_switch` says of the thread that leaves. `preempt` is tested first: a thread that was preempted on its way
    /// to sleep already has a sleeping state, but is still runnable (kernel/sched/core.c, `__schedule`).
    #[inline(always)]
    #[must_use]
    pub const fn of_switch(preempt: bool, prev_state: u64) -> Self {
        if preempt || prev_state == 0 {
            Self::Preempted
        } else if prev_state & STOPPED_OR_TRACED != 0 {
            Self::Stopped
        } else {
            Self::Asleep
        }
    }
}

/// One row of the `THREADS` map, whose place [`ThreadPlaces`] tells.
///
/// Writers: `sequence`, `off_reason`, `off_since_ns`, `cpu_ns`, `outside`, `timed` and `off` are written by the thread's own switches, `woken_ns` by whoever wakes
/// it, `ids_seen`, `walks` and `frames` by handlers that run on the thread. No word has two writers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ThreadRow {
    /// Moves at every switch of the thread.
    pub sequence: u32,
    /// [`OffReason`] as a number.
    pub off_reason: u32,
    /// When it was last switched out (ns); meaningful while off its CPU.
    pub off_since_ns: u64,
    /// When it was last woken (ns), by `sched_wakeup` on any CPU.
    pub woken_ns: u64,
    /// When it was last switched in or out (ns).
    pub switched_ns: u64,
    /// Its CPU time by the kernel's own account (`se.sum_exec_runtime`, ns) when it was last switched out.
    pub cpu_ns: u64,
    /// The switch-out (ns) of which a record was made; its return makes another.
    pub recorded_ns: u64,
    /// 1: it is off its CPU since a moment at which it was in no task and no request, as far as the sampling mode could read.
    pub outside: u64,
    /// The scopes that keep their own times and were being polled on it when it was last switched out, the innermost first; 0 for none.
    pub timed: [u64; TIMED_DEPTH],
    /// Where only scopes are seen: what Tokio's counter of task ids showed when a scope was entered or left on it last, and one more for each
    /// child since whose id it gave out; 0 outside of scopes.
    pub ids_seen: u64,
    /// Its cumulative clocks.
    pub off: OffCpu,
    /// Walks of awaits on it.
    pub walks: AwaitWalks,
    /// The polls and scopes open on it.
    pub frames: FrameStack,
}

/// How many places in a row one thread may have.
pub const NEARBY: u32 = 16;

/// [`ThreadPlaces::tids`]: the row is being made. No thread id is as large (`PID_MAX_LIMIT`, include/linux/threads.h).
pub const MAKING: u32 = 1 << 31;

/// The value of the map `THREAD_PLACES`: which thread has which place in `THREADS`. A thread has one of the [`NEARBY`] places from its id on, so that
/// ids that follow one another, as those of a program's threads mostly do, take a place each.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ThreadPlaces {
    /// The thread that has the place, with [`MAKING`] while its row is being made; 0: nobody has it.
    pub tids: [u32; THREADS as usize],
}

impl ThreadPlaces {
    /// The place of thread `tid` that is looked at as the `nth`.
    #[inline(always)]
    #[must_use]
    pub const fn place(tid: u32, nth: u32) -> usize {
        const { assert!(THREADS.is_power_of_two() && NEARBY <= THREADS) };
        (tid.wrapping_add(nth) & (THREADS - 1)) as usize
    }

    /// The threads whose rows are made, with their places.
    pub fn made(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..).zip(self.tids).filter(|(_, tid)| *tid != 0 && tid & MAKING == 0)
    }
}

impl ThreadRow {
    /// The row of a thread first seen on a CPU.
    pub const NEW: Self = Self {
        sequence: 0,
        off_reason: OffReason::OnCpu as u32,
        off_since_ns: 0,
        woken_ns: 0,
        switched_ns: 0,
        cpu_ns: 0,
        recorded_ns: 0,
        outside: 0,
        timed: [0; TIMED_DEPTH],
        ids_seen: 0,
        off: OffCpu { preempted_ns: 0, blocked_ns: 0, stopped_ns: 0 },
        walks: AwaitWalks::NONE,
        frames: FrameStack::EMPTY,
    };

    /// The thread leaves its CPU.
    #[inline(always)]
    pub fn on_switch_out(&mut self, now_ns: u64, reason: OffReason) {
        self.sequence = self.sequence.wrapping_add(1);
        self.off_reason = reason as u32;
        self.off_since_ns = now_ns;
        self.switched_ns = now_ns;
    }

    /// Somebody makes the thread runnable again. The last wake before the switch-in counts; an old one is ignored there.
    #[inline(always)]
    pub fn on_wakeup(&mut self, now_ns: u64) {
        self.woken_ns = now_ns;
    }

    /// The thread gets a CPU: the time since it left goes to the clocks. Returns that time.
    #[inline(always)]
    pub fn on_switch_in(&mut self, now_ns: u64) -> OffCpu {
        let before = self.off;
        self.off = self.off_at(now_ns);
        self.off_reason = OffReason::OnCpu as u32;
        self.switched_ns = now_ns;
        self.sequence = self.sequence.wrapping_add(1);
        self.off.since(&before)
    }

    /// Whether it is off its CPU, as far as its switches were seen.
    #[inline(always)]
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.off_reason != OffReason::OnCpu as u32
    }

    /// The thread is on a CPU at `now_ns` although no switch-in was seen: the kernel skipped our program, or hides the thread that it
    /// took over from. It has run for `ran_ns` since then, the last part of the open stretch.
    #[inline(always)]
    pub fn on_unseen_switch_in(&mut self, now_ns: u64, ran_ns: u64) -> OffCpu {
        let since = now_ns.saturating_sub(ran_ns);
        self.on_switch_in(if since > self.off_since_ns { since } else { self.off_since_ns })
    }

    /// What the clocks show at `now_ns`, the open stretch included.
    #[inline(always)]
    #[must_use]
    pub fn off_at(&self, now_ns: u64) -> OffCpu {
        let mut off = self.off;
        let away = now_ns.saturating_sub(self.off_since_ns);
        if self.off_reason == OffReason::Preempted as u32 {
            off.preempted_ns += away;
        } else if self.off_reason != OffReason::OnCpu as u32 {
            let asleep = if self.woken_ns >= self.off_since_ns && self.woken_ns < now_ns {
                self.woken_ns - self.off_since_ns
            } else {
                away
            };
            off.blocked_ns += asleep;
            off.preempted_ns += away - asleep;
            if self.off_reason == OffReason::Stopped as u32 {
                off.stopped_ns += asleep;
            }
        }
        off
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Check that a thread looks at different places, and at the same ones again whatever its id; and that a row that is being made is none yet.
    #[test]
    fn places_of_threads() {
        for tid in [1, THREADS - 3, 4_194_303] {
            let places: Vec<usize> = (0..NEARBY).map(|nth| ThreadPlaces::place(tid, nth)).collect();
            assert!(places.iter().all(|place| *place < THREADS as usize));
            assert!(places.windows(2).all(|two| (two[0] + 1) % THREADS as usize == two[1]));
        }
        let mut places = ThreadPlaces { tids: [0; THREADS as usize] };
        (places.tids[3], places.tids[9]) = (7, MAKING | 8);
        assert_eq!(places.made().collect::<Vec<_>>(), [(3, 7)]);
    }

    /// Check that a sleep is split at the wake-up: asleep before it, runnable after it.
    #[test]
    fn sleep_is_split_at_the_wakeup() {
        let mut row = ThreadRow::NEW;
        row.on_switch_out(100, OffReason::Asleep);
        row.on_wakeup(150);
        row.on_switch_in(170);
        assert_eq!(row.off, OffCpu { preempted_ns: 20, blocked_ns: 50, stopped_ns: 0 });
    }

    /// Check that a wake-up from before the switch-out is not taken for the one that ended the sleep.
    #[test]
    fn stale_wakeup_is_ignored() {
        let mut row = ThreadRow::NEW;
        row.on_wakeup(90);
        row.on_switch_out(100, OffReason::Asleep);
        row.on_switch_in(170);
        assert_eq!(row.off, OffCpu { preempted_ns: 0, blocked_ns: 70, stopped_ns: 0 });
    }

    /// Check that a stretch whose end was not seen is closed where the thread's CPU time says, and never before it began.
    #[test]
    fn unseen_switch_in_is_placed_by_the_cpu_time() {
        let mut row = ThreadRow::NEW;
        row.on_switch_out(100, OffReason::Preempted);
        assert!(row.is_off());
        row.on_unseen_switch_in(200, 30);
        assert!(!row.is_off());
        assert_eq!(row.off, OffCpu { preempted_ns: 70, blocked_ns: 0, stopped_ns: 0 });
        row.on_switch_out(300, OffReason::Asleep);
        row.on_unseen_switch_in(320, 50);
        assert_eq!(row.off, OffCpu { preempted_ns: 70, blocked_ns: 0, stopped_ns: 0 });
    }

    /// Check that preemption wins over the state the thread was about to sleep in.
    #[test]
    fn preempted_on_the_way_to_sleep() {
        assert_eq!(OffReason::of_switch(true, 1), OffReason::Preempted);
        assert_eq!(OffReason::of_switch(false, 0), OffReason::Preempted);
        assert_eq!(OffReason::of_switch(false, 1), OffReason::Asleep);
        assert_eq!(OffReason::of_switch(false, 2), OffReason::Asleep);
        assert_eq!(OffReason::of_switch(false, 4), OffReason::Stopped);
        assert_eq!(OffReason::of_switch(false, 0x108), OffReason::Stopped);
    }
}
