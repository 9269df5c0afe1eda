//! How the clock of every event stands to the calendar.

use std::time::SystemTime;

use crate::attach::monotonic_ns;

/// The time since the Unix epoch (ns) at the moment `at_ns` of the monotonic clock.
pub(super) fn unix_ns(at_ns: u64) -> u64 {
    let (before, unix, after) = (monotonic_ns(), SystemTime::now(), monotonic_ns());
    // A calendar that stands before 1970 has no such time.
    let unix = unix.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let unix_ns = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
    unix_ns.saturating_sub(before.midpoint(after).saturating_sub(at_ns))
}
