//! The target dies while the profiler looks at it, and its pid goes to another process of the same program: the worst that a reused pid can do. The
//! profiler is held at steps of its attach; the first process is killed there, and another is made with its very number (clone3(2), `set_tid`).

use std::process::Command;
use std::time::Duration;

use profiler_tests::kernel_objects::KernelObjects;
use profiler_tests::serial::turn;
use profiler_tests::stepping::{LOOKING, Then, step};
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, binaries, needs_root};

use crate::killed::spread;
use crate::said::{EVERY_POLL, SOME_REQUESTS, code, sentence};

const LIMIT: Duration = Duration::from_mins(1);

fn run(pid: u32, socket: &std::path::Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binaries::profiler()?);
    command.args(["run", "--pid", &pid.to_string(), "--socket"]).arg(socket).args(arguments);
    Ok(command)
}

/// Its number is another's now.
fn reborn(first: &mut Victim) -> Result<Victim> {
    let pid = first.pid();
    first.process.signal(libc::SIGKILL)?;
    first.process.wait(LIMIT)?;
    let program = first.program.clone();
    let mut second = Victim::start_by(2, |_| {
        let mut command = Command::new(program);
        command.args(["--as-pid", &pid.to_string()]);
        command
    })?;
    second.serves_as(pid);
    Ok(second)
}

fn at_steps(arguments: &[&str], count: usize) -> Result<()> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let socket = folder.path().join("control.sock");
    // From the first look at the process to the last link.
    let (mut first_look, mut last_link) = (0, 0);
    let victim = Victim::start(2)?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    step(run(victim.pid(), &socket, arguments)?, LOOKING, |step| {
        if step.name == "pidfd_open" && first_look == 0 {
            first_look = step.number;
        }
        if step.name == "bpf link create" {
            last_link = step.number;
        } else if last_link != 0 && step.name.starts_with("bpf map") && step.number > last_link + 40 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        if stop.load(std::sync::atomic::Ordering::Relaxed) { Then::Kill } else { Then::GoOn }
    })?;
    victim.end()?;
    assert!(first_look > 0 && last_link > first_look, "{first_look} {last_link}");
    for place in spread(last_link - first_look, count) {
        let number = first_look + place;
        let mut first = Victim::start(2)?;
        let (mut second, mut held, mut name) = (None, KernelObjects::default(), String::new());
        let pid = first.pid();
        let ended = step(run(pid, &socket, arguments)?, LOOKING, |step| {
            if step.number == number {
                held = KernelObjects::of_process(step.pid).unwrap_or_default();
                name.clone_from(&step.name);
                second = Some(reborn(&mut first));
            }
            Then::GoOn
        })?;
        let mut second = second.ok_or_else(|| Failure::Wrong(vec![format!("no step {number}: {}", ended.stderr)]))??;
        let told = [code::NO_SUCH_PROCESS, code::TARGET_DIED];
        assert!(told.contains(&ended.code()), "reused at step {number} ({name}): {} {}", ended.code(), ended.stderr);
        sentence(&ended.stderr);
        held.are_gone()?;
        second.is_asked_nothing()?;
        second.goes_on()?;
        second.end()?;
    }
    Ok(())
}

#[test]
fn another_process_with_the_targets_pid_is_not_touched() -> Result<()> {
    needs_root!();
    let _turn = turn();
    at_steps(EVERY_POLL, 14)
}

#[test]
fn nor_is_its_table_written() -> Result<()> {
    needs_root!();
    let _turn = turn();
    at_steps(SOME_REQUESTS, 10)
}
