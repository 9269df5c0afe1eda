//! Two daemons that ask a program for requests at the very same moment: one of them wins, and the other is told. They are held at the steps between
//! looking whether the table is free and having written it.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use profiler_tests::annotation::Annotation;
use profiler_tests::daemon::Daemon;
use profiler_tests::serial::turn;
use profiler_tests::stepping::{Stepped, TOUCHING, Then, step};
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, binaries, needs_root};

use crate::said::{SOME_REQUESTS, code, sentence};

/// `record` of what never comes, so that it stays until its time is over.
fn waiting(pid: u32, id: &str) -> Result<Command> {
    let mut command = Command::new(binaries::profiler()?);
    command.args([
        "record",
        "--request",
        id,
        "--format",
        "json",
        "-o",
        "/dev/null",
        "--duration",
        "1s",
        "--pid",
        &pid.to_string(),
    ]);
    Ok(command)
}

/// One daemon is held at each step in turn at which it takes the lock or writes; another one comes meanwhile, whole. Whoever is late is told,
/// and whoever is not has what it asked for.
#[test]
fn the_one_that_is_late_is_told_whenever_it_comes() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(2)?;
    let pid = victim.pid();
    let whole = step(waiting(pid, "none-1")?, TOUCHING, |_| Then::GoOn)?;
    // It waits for what does not come; its code says so.
    assert!(whole.stderr.contains("did not come"), "{}", whole.stderr);
    let last_link = whole.steps.iter().rposition(|name| name == "bpf link create").unwrap_or(0);
    let until =
        whole.steps.iter().skip(last_link).position(|name| name == "bpf map lookup" || name == "ioctl").unwrap_or(usize::MAX);
    let held_at: Vec<usize> = (1..)
        .zip(&whole.steps)
        .filter(|(number, name)| matches!(name.as_str(), "flock" | "pwrite") && *number <= last_link.saturating_add(until))
        .map(|(number, _)| number)
        .collect();
    assert!(held_at.len() >= 3, "{:?}", whole.steps);
    let (mut first_won, mut second_won) = (0, 0);
    for number in held_at {
        let mut second = None;
        let first = step(waiting(pid, "none-1")?, TOUCHING, |step| {
            if step.number == number {
                second = Some(Daemon::attach(pid, SOME_REQUESTS));
            }
            Then::GoOn
        })?;
        match second.ok_or_else(|| Failure::Wrong(vec![format!("no step {number}")]))? {
            Ok(second) => {
                second_won += 1;
                // The one that was held comes late, and has to go, without having touched what the other asked for.
                assert_eq!(first.code(), code::TABLE_TAKEN, "step {number}: {}", first.stderr);
                assert!(sentence(&first.stderr).contains("measures requests of process"), "{}", first.stderr);
                assert!(Annotation::of(pid)?.is_armed()?);
                victim.goes_on()?;
                assert!(second.report()?.requests.iter().any(|row| row.id.starts_with("load-0-")));
                assert_eq!(second.end(libc::SIGINT)?.code(), 0);
            }
            Err(Failure::Ended { seen, .. }) => {
                first_won += 1;
                assert!(sentence(&seen).contains("measures requests of process"), "step {number}: {seen}");
                assert!(first.stderr.contains("did not come"), "step {number}: {}", first.stderr);
            }
            Err(other) => return Err(other),
        }
        victim.is_asked_nothing()?;
    }
    assert!(first_won > 0 && second_won > 0, "{first_won} {second_won}");
    victim.goes_on()?;
    victim.end()
}

/// Without a hand in it: of several that start together, one at a time has the table.
#[test]
fn of_many_at_once_one_wins() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(2)?;
    let pid = victim.pid();
    for _ in 0..3 {
        let (done, ends) = channel::<Result<Stepped>>();
        for number in 0..3 {
            let (done, command) = (done.clone(), waiting(pid, &format!("none-{number}"))?);
            // Both sides of a send that fails have gone.
            std::thread::spawn(move || _ = done.send(step(command, &[], |_| Then::GoOn)));
        }
        drop(done);
        let mut codes = Vec::new();
        while let Ok(ended) = ends.recv_timeout(Duration::from_mins(1)) {
            let ended = ended?;
            sentence(&ended.stderr);
            codes.push(ended.code());
        }
        let taken = codes.iter().filter(|found| **found == code::TABLE_TAKEN).count();
        assert!(codes.len() == 3 && (1..3).contains(&taken), "{codes:?}");
        victim.is_asked_nothing()?;
    }
    victim.goes_on()?;
    victim.end()
}
