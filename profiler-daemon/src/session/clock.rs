//! The clock of every event, and how it stands to the calendar.

/// `CLOCK_MONOTONIC` (ns), the clock of `bpf_ktime_get_ns`.
pub(super) fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// The time since the Unix epoch (ns) at the moment `at_ns` of the monotonic clock.
pub(super) fn unix_ns(at_ns: u64) -> u64 {
    let (before, unix, after) = (monotonic_ns(), read(libc::CLOCK_REALTIME), monotonic_ns());
    let now = before.midpoint(after);
    unix.saturating_sub(now.saturating_sub(at_ns))
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec. It cannot fail for these two clocks.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
