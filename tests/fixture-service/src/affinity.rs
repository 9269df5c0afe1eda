//! Contention for a CPU: a rival thread on the same core as a poll.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;

/// Uses `time` of the calling thread's CPU clock while another thread spins on the same core, so
/// that the scheduler has to take the core from the caller again and again.
pub fn spin_contended(time: Duration) -> io::Result<()> {
    let before = current()?;
    pin_to_current_cpu()?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    // A new thread inherits the mask of the thread that makes it: the rival is pinned from birth.
    let rival = std::thread::Builder::new().name("rival".to_owned()).spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    })?;
    clock::spin(time);
    stop.store(true, Ordering::Relaxed);
    let joined = clock::asleep(|| rival.join());
    set(&before)?;
    joined.map_err(|_| io::Error::other("the rival panicked"))
}

fn pin_to_current_cpu() -> io::Result<()> {
    // SAFETY: no arguments, no memory.
    let cpu = unsafe { libc::sched_getcpu() };
    let cpu = usize::try_from(cpu).map_err(|_| io::Error::last_os_error())?;
    let mut mask = empty();
    // SAFETY: `mask` is a live cpu_set_t and a CPU's number is below its 1024 bits here.
    unsafe { libc::CPU_SET(cpu, &mut mask) };
    set(&mask)
}

fn empty() -> libc::cpu_set_t {
    // SAFETY: a cpu_set_t is an array of integers; all zero is the empty set.
    unsafe { std::mem::zeroed() }
}

fn current() -> io::Result<libc::cpu_set_t> {
    let mut mask = empty();
    // SAFETY: `mask` is live and of the size given; 0 is the calling thread.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&mask), &raw mut mask) })?;
    Ok(mask)
}

fn set(mask: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: `mask` is live and of the size given; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(mask), mask) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
