//! Clock readings around a move, and what they say of the time between two moves.

use std::ops::RangeInclusive;
use std::time::Duration;

/// One millisecond (ns).
pub(crate) const MS: u64 = 1_000_000;

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec; these clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The clock of the kernel side (ns).
pub(crate) fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// The CPU time of the calling thread (ns).
pub(crate) fn thread_cpu() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// A move: the kernel side's own reading lies between these two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Move {
    /// Makes it.
    pub(crate) fn of(act: impl FnOnce()) -> Self {
        let before = now();
        act();
        Self { before, after: now() }
    }

    /// Whether the kernel side's reading can be `at_ns`.
    pub(crate) fn holds(self, at_ns: u64) -> bool {
        (self.before..=self.after).contains(&at_ns)
    }

    /// What can have passed from this move to a later one (ns).
    pub(crate) fn until(self, later: Self) -> RangeInclusive<u64> {
        later.before.saturating_sub(self.after)..=later.after - self.before
    }
}

/// Burns this much CPU time (ns) of the calling thread.
#[inline(never)]
pub(crate) fn spin(cpu_ns: u64) {
    let until = thread_cpu() + cpu_ns;
    while thread_cpu() < until {}
}

/// Sleeps in the kernel.
pub(crate) fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Burns about this much CPU time (ns), nearly all of it inside [`count`].
pub(crate) fn count_for(cpu_ns: u64) {
    let until = thread_cpu() + cpu_ns;
    while thread_cpu() < until {
        count(100_000);
    }
}

/// A loop of three instructions.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn count(times: u64) {
    std::arch::naked_asm!("2:", "dec rdi", "jnz 2b", "ret")
}
