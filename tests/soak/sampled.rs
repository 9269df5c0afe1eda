//! What is looked at of a process.

use std::fs;

use profiler_tests::{Failure, Result};

/// Its resident memory (KiB).
pub(crate) fn memory_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(Failure::io(path))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    resident.ok_or_else(|| Failure::Wrong(vec![format!("process {pid} has no VmRSS")]))
}

/// Its open descriptors.
pub(crate) fn descriptors(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).map_err(Failure::io(path))?.count() as u64)
}
