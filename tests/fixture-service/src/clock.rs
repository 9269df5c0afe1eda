//! The clocks the truth is read from, and the two ways to spend a known time in a poll.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// `CLOCK_MONOTONIC`, ns: the clock of the kernel's `bpf_ktime_get_ns`.
#[must_use]
pub fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread, ns.
#[must_use]
pub fn thread_cpu() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; both clocks exist on every Linux.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) } != 0;
    assert!(!failed, "clock_gettime refused clock {clock}");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

thread_local! {
    static SCHEDSTAT: RefCell<Option<File>> = const { RefCell::new(None) };
    static SLEPT: Cell<u64> = const { Cell::new(0) };
}

/// How long the calling thread has been runnable without a CPU, ns (`/proc/thread-self/schedstat`,
/// second field; `sched_info_arrive` in kernel/sched/stats.h writes it at each switch-in).
/// It includes the way from wake-up to CPU. `None` where the kernel lacks CONFIG_SCHED_INFO.
#[must_use]
pub fn run_delay() -> Option<u64> {
    SCHEDSTAT.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = File::open("/proc/thread-self/schedstat").ok();
        }
        let mut text = [0; 96];
        let length = slot.as_ref()?.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(text.get(..length)?).ok()?.split_whitespace().nth(1)?.parse().ok()
    })
}

/// How often the calling thread has been switched out, by its will or not.
#[must_use]
pub fn switches() -> u64 {
    // SAFETY: an rusage is made of integers; all zero is one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is live; the call cannot fail for the calling thread.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nvcsw.unsigned_abs() + usage.ru_nivcsw.unsigned_abs()
}

/// How long the calling thread has been asleep in [`block`], ns, without CPU time and run delay.
#[must_use]
pub fn slept() -> u64 {
    SLEPT.get()
}

/// Uses up `time` of the calling thread's CPU clock.
pub fn spin(time: Duration) {
    let end = thread_cpu() + nanoseconds(time);
    while thread_cpu() < end {
        std::hint::spin_loop();
    }
}

/// Puts the calling thread to sleep in the kernel, as a blocking call on a worker does.
pub fn block(time: Duration) {
    asleep(|| std::thread::sleep(time));
}

/// Runs `call`, which sleeps in the kernel, and adds what of it was neither CPU nor run delay to
/// [`slept`].
pub fn asleep<R>(call: impl FnOnce() -> R) -> R {
    let (wall, cpu, delay) = (monotonic(), thread_cpu(), run_delay());
    let result = call();
    let delay = run_delay().unwrap_or(0) - delay.unwrap_or(0);
    let awake = thread_cpu() - cpu + delay;
    SLEPT.set(SLEPT.get() + (monotonic() - wall).saturating_sub(awake));
    result
}

/// A duration in ns; ends at `u64::MAX`.
#[must_use]
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
