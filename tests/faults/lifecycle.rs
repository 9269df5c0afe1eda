//! The target is killed, begins another program, forks, loads a library.

use std::time::Duration;

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::kernel_objects::KernelObjects;
use profiler_tests::serial::turn;
use profiler_tests::stepping::{LOOKING, Then, step};
use profiler_tests::victim::{Victim, is_clean};
use profiler_tests::{Result, binaries, needs_root, text};

use crate::said::{EVERY_POLL, MODES, SOME_REQUESTS, code, held_by, interrupted, proc_text, sentence, the_next_one_works};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_target_that_is_killed_ends_its_profiler() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in MODES {
        let mut victim = Victim::start(4)?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        let (objects, socket) = (held_by(daemon.pid())?, daemon.socket());
        victim.goes_on()?;
        victim.process.signal(libc::SIGKILL)?;
        victim.process.wait(LIMIT)?;
        let ended = daemon.ended()?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("has ended"), "{}", ended.stderr);
        assert!(!socket.exists());
        objects.are_gone()?;
    }
    Ok(())
}

/// At steps all over the attach: the profiler says in one sentence that its target is gone.
#[test]
fn a_target_that_is_killed_during_the_attach_is_told() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let steps = count_of_steps()?;
    for number in crate::killed::spread(steps, 16) {
        let mut victim = Victim::start(2)?;
        let (pid, mut objects) = (victim.pid(), KernelObjects::default());
        let ended = step(record(&victim, "30s")?, LOOKING, |step| {
            if step.number == number {
                objects = held(step.pid);
                kill(pid);
            }
            Then::GoOn
        })?;
        victim.process.wait(LIMIT)?;
        let told = [code::NO_SUCH_PROCESS, code::TARGET_DIED, code::TARGET_LOST];
        assert!(told.contains(&ended.code()), "at step {number} of {steps}: {} {}", ended.code(), ended.stderr);
        sentence(&ended.stderr);
        objects.are_gone()?;
    }
    Ok(())
}

fn held(pid: u32) -> KernelObjects {
    KernelObjects::of_process(pid).unwrap_or_default()
}

fn kill(pid: u32) {
    // SAFETY: no memory; a child of ours that nobody has waited for.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

/// `record --all` of a target, into a place that does not matter.
fn record(victim: &Victim, duration: &str) -> Result<std::process::Command> {
    let mut command = std::process::Command::new(binaries::profiler()?);
    command.args(["record", "--all", "--format", "json", "-o", "/dev/null", "--duration", duration, "--pid"]);
    command.arg(victim.pid().to_string());
    Ok(command)
}

/// How many steps an attach has.
fn count_of_steps() -> Result<usize> {
    let victim = Victim::start(2)?;
    let mut opened = 0;
    let ended = step(record(&victim, "50ms")?, LOOKING, |step| {
        // The last link is followed by the window's opening.
        if step.name == "bpf link create" {
            opened = step.number;
        }
        Then::GoOn
    })?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    victim.end()?;
    Ok(opened)
}

/// execve(2): the pid stays, and everything that was known about it is wrong.
#[test]
fn a_target_that_begins_another_program_is_left() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in MODES {
        let mut victim = Victim::start(4)?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        let objects = held_by(daemon.pid())?;
        victim.goes_on()?;
        victim.tell("exec /bin/sleep 1000")?;
        let ended = daemon.ended()?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("began another program (execve)"), "{}", ended.stderr);
        objects.are_gone()?;
        assert_eq!(proc_text(victim.pid(), "comm")?.trim(), "sleep");
        text::untouched(victim.pid(), "after the execve")?;
    }
    Ok(())
}

#[test]
fn a_recording_says_that_its_target_began_another_program() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    let recording = Recording::attach(victim.pid(), &["--all", "--duration", "60s"])?;
    let path = recording.path();
    victim.goes_on()?;
    victim.tell("exec /bin/sleep 1000")?;
    let (ended, _folder) = recording.ended()?;
    assert_eq!(ended.code(), code::TARGET_LOST, "{}", ended.stderr);
    assert!(sentence(&ended.stderr).contains("began another program (execve)"), "{}", ended.stderr);
    assert!(!profiler_tests::report::Report::read(&path)?.tasks.is_empty(), "what was seen is written");
    Ok(())
}

/// The same program anew, from the same file: its probes would be at the right places, in the wrong program.
#[test]
fn a_target_that_begins_itself_anew_is_left_and_lives() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in MODES {
        let mut victim = Victim::start(4)?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        let objects = held_by(daemon.pid())?;
        victim.goes_on()?;
        victim.tell("exec /proc/self/exe --clients 4")?;
        victim.ready()?;
        let ended = daemon.ended()?;
        assert!(ended.stderr.contains("began another program (execve)"), "{}", ended.stderr);
        objects.are_gone()?;
        victim.is_asked_nothing()?;
        the_next_one_works(&mut victim)?;
        victim.end()?;
    }
    Ok(())
}

/// A child has a copy of its parent's code with the probes in it, of its raised semaphores and of its table. It serves requests with them, is in
/// nobody's numbers, and is as it was when the profiler leaves.
#[test]
fn a_forked_child_lives_and_is_nobodys() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in [EVERY_POLL, &["--request-prefix", "load-0-", "--request-prefix", "child-"]] {
        let mut victim = Victim::start(4)?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        victim.tell("fork")?;
        let child = u32::try_from(victim.told("forked")?).unwrap();
        assert_eq!(victim.told("served_by_child")?, 300);
        victim.goes_on()?;
        let report = daemon.report()?;
        assert!(report.requests.iter().any(|row| row.id.starts_with("load-0-")));
        assert!(!report.requests.iter().any(|row| row.id.starts_with("child-")), "a child's requests are not its parent's");
        assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
        victim.is_asked_nothing()?;
        is_clean(child)?;
        // What the child's copy of the table asks for is nobody's, and in nobody's way.
        for arguments in [&["--all"][..], SOME_REQUESTS] {
            let recording = Recording::attach(child, &[arguments, &["--duration", "60s"]].concat())?;
            recording.interrupt()?;
            let (ended, _folder) = recording.ended()?;
            assert!(ended.code() == 0 || ended.stderr.contains("interrupted before"), "{}", ended.stderr);
        }
        is_clean(child)?;
        victim.goes_on()?;
        victim.end()?;
    }
    Ok(())
}

/// A library that comes while it is profiled. (`stacks` walks through one that comes late.)
#[test]
fn a_library_that_is_loaded_changes_nothing() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    let recording = Recording::attach(victim.pid(), &["--all", "--duration", "60s"])?;
    victim.goes_on()?;
    for library in ["libresolv.so.2", "libanl.so.1"] {
        victim.tell(&format!("load {library}"))?;
        assert_eq!(victim.told("loaded")?, 1);
        victim.goes_on()?;
    }
    let report = interrupted(recording)?;
    assert!(report.finished("child_step").is_some_and(|row| row.count > 0));
    victim.is_asked_nothing()?;
    victim.goes_on()?;
    victim.end()
}
