//! Code that comes into the process late: the fixture loads this library after the profiler has attached.
//!
//! It spins on its own, with nothing of the fixture's below it, so that a stack through it needs the tables of both files.

use std::hint::black_box;

/// `CLOCK_MONOTONIC`, ns.
fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; the call cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Spins for `length_ns` one function further down; returns when it began.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn plugin_outer(length_ns: u64, ended_ns: &mut u64) -> u64 {
    black_box(plugin_inner(length_ns, ended_ns))
}

/// Spins for `length_ns`; returns when it began, and writes when it ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn plugin_inner(length_ns: u64, ended_ns: &mut u64) -> u64 {
    let began = monotonic();
    let mut now = began;
    while now - began < length_ns {
        for step in 0..2_000_u32 {
            black_box(step);
        }
        now = monotonic();
    }
    *ended_ns = now;
    began
}
