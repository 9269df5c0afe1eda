//! The target runs out of memory: by the kernel's hand, and by its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use profiler_tests::daemon::Daemon;
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, needs_root, skip};

use crate::said::{EVERY_POLL, held_by};

const LIMIT: Duration = Duration::from_mins(1);
/// What it may take beyond what it has.
const ROOM: u64 = 192 << 20;

/// A memory cgroup of its own, of whichever version this machine has.
struct Cgroup(PathBuf);

impl Cgroup {
    fn with_limit(bytes: u64) -> Option<Self> {
        let name = format!("profiler-faults-{}", std::process::id());
        let versions = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        versions.iter().find_map(|(root, limit)| {
            let folder = Path::new(root).join(&name);
            fs::create_dir(&folder).ok()?;
            let group = Self(folder);
            fs::write(group.0.join(limit), bytes.to_string()).ok()?;
            Some(group)
        })
    }

    fn take(&self, pid: u32) -> Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).map_err(Failure::io("the cgroup"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It is empty: its process has ended.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The profiler notices an end like any other.
fn ends_with(mut victim: Victim, signal: i32) -> Result<()> {
    use std::os::unix::process::ExitStatusExt as _;
    let daemon = Daemon::attach(victim.pid(), EVERY_POLL)?;
    let (objects, socket) = (held_by(daemon.pid())?, daemon.socket());
    victim.goes_on()?;
    victim.tell("hog")?;
    let status = victim.process.wait(LIMIT)?;
    assert_eq!(status.signal(), Some(signal), "{status:?}");
    let ended = daemon.ended()?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("has ended"), "{}", ended.stderr);
    assert!(!socket.exists());
    objects.are_gone()
}

#[test]
fn killed_by_the_kernel_for_its_memory() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let Some(group) = Cgroup::with_limit(ROOM) else { skip!("no memory cgroup can be made here") };
    let victim = Victim::start(4)?;
    group.take(victim.pid())?;
    ends_with(victim, libc::SIGKILL)
}

/// An allocation fails, and Rust's runtime aborts.
#[test]
fn no_memory_is_given_any_more() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let victim = Victim::start(4)?;
    let status = crate::said::proc_text(victim.pid(), "status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.split_whitespace().next()?.parse::<u64>().ok());
    let most = size.unwrap() * 1024 + ROOM;
    let limit = libc::rlimit64 { rlim_cur: most, rlim_max: most };
    // SAFETY: reads the structure, and writes nothing where there is no place for the old one.
    let set = unsafe { libc::prlimit64(victim.pid().cast_signed(), libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    ends_with(victim, libc::SIGABRT)
}
