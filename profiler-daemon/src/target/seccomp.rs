//! Which threads of the target are under seccomp: a return probe can kill these.
//!
//! From Linux 6.11 on the trampoline of a return probe on x86-64 makes a system call of its own (`uretprobe`), and a
//! filter that does not know it kills or fails the thread. Seccomp is a property of each thread, not of the process.

use std::{io, path::Path};

use super::status::Status;

/// How many threads are under which seccomp mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompThreads {
    /// Threads that were there to look at.
    pub threads: usize,
    /// Under a filter (mode 2).
    pub filtered: usize,
    /// In strict mode (mode 1).
    pub strict: usize,
}

impl SeccompThreads {
    /// Whether any thread is under seccomp.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.filtered > 0 || self.strict > 0
    }
}

/// Reads `task/*/status`. Threads that end meanwhile are not counted; threads that start meanwhile inherit the mode of
/// the one that started them.
pub(super) fn of_threads(task: &Path) -> io::Result<SeccompThreads> {
    let mut seen = SeccompThreads::default();
    for entry in std::fs::read_dir(task)? {
        let entry = entry?;
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or(0);
        match Status::of(&entry.path(), id) {
            Ok(status) => {
                seen.threads += 1;
                seen.filtered += usize::from(status.seccomp == Some(2));
                seen.strict += usize::from(status.seccomp == Some(1));
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}
