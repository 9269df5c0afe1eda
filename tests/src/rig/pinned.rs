//! Which CPU runs what.

use crate::{Failure, Result};

/// The CPU of the measured service; all else has the others.
pub const SERVICE_CPU: usize = 0;

/// Lets this thread, and what it starts, run on `cpu` only, or on all others.
pub fn run_on(cpu: usize, only: bool) -> Result<()> {
    // SAFETY: all zeros is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from).max(2);
    for other in 0..cpus {
        if (other == cpu) == only {
            // SAFETY: the set is ours, and the macro checks the number.
            unsafe { libc::CPU_SET(other, &mut set) };
        }
    }
    // SAFETY: the set is ours and as long as is said.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(Failure::io("sched_setaffinity")(std::io::Error::last_os_error())) }
}
