//! What another process uses: CPU time and memory.

use std::fs;

/// CPU time of all its threads (ns), by the scheduler's own account: of a process that mostly sleeps it is up to date.
pub(crate) fn cpu_ns(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let texts = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    texts.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// The most memory that it has had at once (bytes).
pub(crate) fn peak_bytes(pid: u32) -> Option<u64> {
    of_status(pid, "VmHWM:")
}

/// The memory that it has now (bytes).
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    of_status(pid, "VmRSS:")
}

fn of_status(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field_kb(&status, name).map(|kb| kb * 1024)
}

/// What its BPF maps take in the kernel (bytes): `memlock` of each, which is what they use since Linux 6.4 and what they may at most before.
pub(crate) fn map_bytes(pid: u32) -> u64 {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return 0 };
    let texts = files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.filter(|text| text.contains("map_type:")).filter_map(|text| field_kb(&text, "memlock:")).sum()
}

fn field_kb(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
