//! The target is stopped, or another traces it already: strace, a debugger.

use std::time::{Duration, Instant};

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, needs_root};

use crate::said::{EVERY_POLL, MODES, held_by, interrupted, proc_text, the_next_one_works};

fn is_in_state(pid: u32, state: char) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let stat = proc_text(pid, "stat")?;
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(state)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::Wrong(vec![format!("process {pid} is not in state {state}: {stat}")]));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Stopped all the while: the profiler comes, answers and leaves without waiting for it.
#[test]
fn a_stopped_target_is_attached_to_and_left() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in MODES {
        let mut victim = Victim::start(4)?;
        victim.goes_on()?;
        victim.process.signal(libc::SIGSTOP)?;
        is_in_state(victim.pid(), 'T')?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        let objects = held_by(daemon.pid())?;
        assert!(daemon.report()?.requests.iter().all(|row| row.polls == 0), "nothing runs");
        let ended = daemon.end(libc::SIGINT)?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        objects.are_gone()?;
        victim.is_asked_nothing()?;
        is_in_state(victim.pid(), 'T')?;
        victim.process.signal(libc::SIGCONT)?;
        the_next_one_works(&mut victim)?;
        victim.end()?;
    }
    Ok(())
}

/// Attached to while it is stopped, it is measured when it goes on; stopped again, it is left.
#[test]
fn a_target_that_goes_on_is_measured() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in MODES {
        let mut victim = Victim::start(4)?;
        victim.process.signal(libc::SIGSTOP)?;
        is_in_state(victim.pid(), 'T')?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        victim.process.signal(libc::SIGCONT)?;
        victim.goes_on()?;
        let report = daemon.report()?;
        assert!(report.requests.iter().any(|row| row.polls > 1), "{arguments:?}: {:?}", report.lost);
        victim.process.signal(libc::SIGSTOP)?;
        is_in_state(victim.pid(), 'T')?;
        assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
        victim.is_asked_nothing()?;
        victim.process.signal(libc::SIGCONT)?;
        victim.goes_on()?;
        victim.end()?;
    }
    Ok(())
}

/// Every thread of a process, traced by the calling thread until it is dropped.
struct Traced(Vec<libc::pid_t>);

impl Traced {
    /// As strace and debuggers begin.
    fn seize(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/task");
        let threads = std::fs::read_dir(&path).map_err(Failure::io(path))?;
        let mut traced = Self(Vec::new());
        for thread in threads.filter_map(|thread| thread.ok()?.file_name().to_str()?.parse::<libc::pid_t>().ok()) {
            // SAFETY: takes numbers.
            if unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, 0, 0) } == 0 {
                traced.0.push(thread);
            }
        }
        assert!(traced.0.contains(&pid.cast_signed()), "{}", std::io::Error::last_os_error());
        Ok(traced)
    }

    /// Brings every thread to a stop of the tracer's.
    fn interrupt(&self) {
        for thread in &self.0 {
            let mut status = 0;
            // SAFETY: takes numbers.
            unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, *thread, 0, 0) };
            // SAFETY: writes one integer. A thread may have ended meanwhile.
            unsafe { libc::waitpid(*thread, &raw mut status, libc::__WALL) };
        }
    }

    fn go_on(&self) {
        for thread in &self.0 {
            // SAFETY: takes numbers. Those that have ended are past it.
            unsafe { libc::ptrace(libc::PTRACE_CONT, *thread, 0, 0) };
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.interrupt();
        for thread in &self.0 {
            // SAFETY: takes numbers.
            unsafe { libc::ptrace(libc::PTRACE_DETACH, *thread, 0, 0) };
        }
    }
}

#[test]
fn a_traced_target_is_profiled_beside_its_tracer() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    let traced = Traced::seize(victim.pid())?;
    for arguments in [&["--all"][..], &["--request-prefix", "load-0-"]] {
        let recording = Recording::attach(victim.pid(), &[arguments, &["--duration", "60s"]].concat())?;
        victim.goes_on()?;
        let report = interrupted(recording)?;
        assert!(report.requests.iter().any(|row| row.polls > 1), "{:?}", report.lost);
        victim.is_asked_nothing()?;
    }
    // It still is its tracer's.
    assert!(proc_text(victim.pid(), "status")?.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")));
    drop(traced);
    the_next_one_works(&mut victim)?;
    victim.end()
}

/// In a debugger's hand, at a breakpoint of the debugger's.
#[test]
fn a_target_that_its_tracer_holds_is_attached_to_and_left() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    victim.goes_on()?;
    let traced = Traced::seize(victim.pid())?;
    traced.interrupt();
    is_in_state(victim.pid(), 't')?;
    let daemon = Daemon::attach(victim.pid(), EVERY_POLL)?;
    let objects = held_by(daemon.pid())?;
    let ended = daemon.end(libc::SIGINT)?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    objects.are_gone()?;
    victim.is_asked_nothing()?;
    traced.go_on();
    victim.goes_on()?;
    drop(traced);
    the_next_one_works(&mut victim)?;
    victim.end()
}
