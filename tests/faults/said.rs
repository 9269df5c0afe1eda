//! What every test here asks of the profiler's end.

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::kernel_objects::KernelObjects;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result};

/// Every poll is probed, and the semaphores are raised.
pub(crate) const EVERY_POLL: &[&str] = &["--all-requests", "--mode", "process"];
/// Only some requests are, by the annotation's table.
pub(crate) const SOME_REQUESTS: &[&str] = &["--request-prefix", "load-0-"];
/// Every request keeps its own times.
pub(crate) const OWN_TIMES: &[&str] = &["--all-requests"];
/// All ways to measure.
pub(crate) const MODES: [&[&str]; 3] = [EVERY_POLL, SOME_REQUESTS, OWN_TIMES];

/// The exit codes that the manual promises.
pub(crate) mod code {
    pub(crate) const NO_SUCH_PROCESS: i32 = 10;
    pub(crate) const TABLE_TAKEN: i32 = 19;
    pub(crate) const TARGET_DIED: i32 = 30;
    pub(crate) const TARGET_LOST: i32 = 31;
}

/// The one sentence of an error, the last line of what was said.
#[track_caller]
pub(crate) fn sentence(stderr: &str) -> &str {
    let errors: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert!(matches!(errors[..], [line] if line.len() > 20 && line.len() < 300), "not one sentence: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0]
}

/// What a daemon holds in the kernel: something, or it is not attached.
pub(crate) fn held_by(pid: u32) -> Result<KernelObjects> {
    let objects = KernelObjects::of_process(pid)?;
    let [programs, maps, links] = objects.counts();
    assert!(programs > 3 && maps > 20 && links > 3, "{objects:?}");
    Ok(objects)
}

/// A profiler that comes now works, and leaves the target as it was: whatever happened before has left nothing that is in its way.
pub(crate) fn the_next_one_works(victim: &mut Victim) -> Result<()> {
    for arguments in MODES {
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        victim.goes_on()?;
        let report = daemon.report()?;
        assert!(!report.requests.is_empty(), "{arguments:?}: {:?}", report.lost);
        let ended = daemon.end(libc::SIGINT)?;
        assert_eq!(ended.code(), 0, "{arguments:?}: {}", ended.stderr);
        victim.is_asked_nothing()?;
    }
    victim.goes_on()
}

/// A recording that was interrupted succeeds, and its report's rows add up.
pub(crate) fn interrupted(recording: Recording) -> Result<profiler_tests::report::Report> {
    recording.interrupt()?;
    recording.report()
}

/// What `/proc` says about a process.
pub(crate) fn proc_text(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).map_err(Failure::io(path))
}
