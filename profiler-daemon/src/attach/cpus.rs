//! On which CPUs a process may run: a clock on another shows nothing of it, and takes from whoever is there. It wakes a CPU that rests, and who
//! then wakes a thread there pays for that: on a virtual machine of two CPUs, a service that was kept on one of them took 2 to 4 % more CPU time for each
//! request while a clock ticked 99 times a second on the other.

use std::collections::BTreeSet;
use std::fs;

use super::sys;

/// The CPUs on which any thread of process `pid` may run. `None` where that is not known: it has gone, or has more CPUs than a set has
/// places for.
pub(super) fn of_process(pid: u32) -> Option<BTreeSet<u32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut all = BTreeSet::new();
    for thread in threads.flatten() {
        let Some(tid) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A thread that has gone meanwhile runs nowhere.
        let Some(cpus) = sys::cpus_of(tid) else { continue };
        all.extend(cpus.into_iter().filter_map(|cpu| u32::try_from(cpu).ok()));
    }
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a process may run where any of its threads may, and that one that is none is not known.
    #[test]
    fn where_any_thread_may_run() {
        let own = std::process::id();
        let all = of_process(own).unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let cpu = sys::allowed_cpus()[0];
        let pinned = std::thread::spawn(move || {
            sys::run_on(cpu).unwrap();
            ready.send(()).unwrap();
            let _ = is_over.recv();
        });
        is_ready.recv().unwrap();
        assert!(all.contains(&u32::try_from(cpu).unwrap()));
        assert_eq!(of_process(own), Some(all), "the others have not moved");
        drop(over);
        pinned.join().unwrap();
        assert_eq!(of_process(u32::MAX), None);
    }
}
