//! Runs a plan: each test in a process of its own, so that one that hangs or dies costs no other.

use std::io::Write;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::event::{Ending, Event};
use crate::plan::{Plan, Test};

/// How often is looked whether a test has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Runs all of `plan` and writes what happens; what failed is tried again once all have run. What cannot be written is lost: there is no
/// other way out of the machine.
pub fn run(plan: &Plan, out: &mut dyn Write) {
    let mut tests: Vec<&Test> = plan.tests.iter().collect();
    for _ in 0..plan.tries {
        tests.retain(|test| {
            tell(out, &Event::Began((*test).clone()));
            let began = Instant::now();
            let ending = one(test, plan.limit);
            tell(out, &Event::Ended((*test).clone(), ending, began.elapsed()));
            ending != Ending::Exit(0)
        });
    }
}

/// Writes one event in a line of its own.
pub fn tell(out: &mut dyn Write, event: &Event) {
    let _: std::io::Result<()> = writeln!(out, "{event}").and_then(|()| out.flush());
}

fn one(test: &Test, limit: Duration) -> Ending {
    let mut command = Command::new(&test.program);
    // Both streams go where ours go, in the order in which they are written.
    command.args(["--exact", &test.name, "--test-threads=1", "--nocapture"]).stdin(Stdio::null());
    match command.spawn() {
        Ok(child) => wait(child, limit),
        Err(error) => {
            eprintln!("cannot start {}: {error}", test.program);
            Ending::NotStarted
        }
    }
}

fn wait(mut child: Child, limit: Duration) -> Ending {
    let began = Instant::now();
    while began.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return ending(status),
            Ok(None) => std::thread::sleep(LOOK),
            Err(_) => break,
        }
    }
    let _: std::io::Result<()> = child.kill();
    let _: std::io::Result<ExitStatus> = child.wait();
    Ending::Late
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exit(code),
        (None, Some(signal)) => Ending::Signal(signal),
        (None, None) => Ending::Exit(-1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set for the one program that is to be late.
    const ASKED: &str = "MACHINE_TEST_IS_LATE";

    fn events(program: &str, limit: Duration) -> Vec<Event> {
        let plan = Plan { limit, tries: 1, tests: vec![Test { program: program.to_owned(), name: "x".to_owned() }] };
        let mut out = Vec::new();
        run(&plan, &mut out);
        String::from_utf8(out).unwrap().lines().filter_map(Event::parse).collect()
    }

    fn ended(program: &str) -> Ending {
        match events(program, Duration::from_mins(1)).pop() {
            Some(Event::Ended(_, ending, _)) => ending,
            other => panic!("{other:?}"),
        }
    }

    /// Check that each way to end is told.
    #[test]
    fn endings_are_told() {
        assert_eq!(ended("/bin/true"), Ending::Exit(0));
        assert_eq!(ended("/bin/false"), Ending::Exit(1));
        assert_eq!(ended("/no/such/program"), Ending::NotStarted);
    }

    /// Check that what fails is tried again, and what passes is not.
    #[test]
    fn what_fails_is_tried_again() {
        let test = |program: &str| Test { program: program.to_owned(), name: "x".to_owned() };
        let plan = Plan { limit: Duration::from_mins(1), tries: 2, tests: vec![test("/bin/false"), test("/bin/true")] };
        let mut out = Vec::new();
        run(&plan, &mut out);
        let began = |program: &str| String::from_utf8_lossy(&out).matches(&format!("began {program} ")).count();
        assert_eq!((began("/bin/false"), began("/bin/true")), (2, 1));
    }

    /// What `a_late_test_is_killed` runs: a test of this very program, found by its name, that is only late where it was asked to be.
    #[test]
    fn never_ends() {
        if std::env::var_os(ASKED).is_some() {
            std::thread::sleep(Duration::from_mins(10));
        }
    }

    /// Check that a test without an end is killed. Its program is this one: a script written here would now and then be busy (`ETXTBSY`), as
    /// a fork in another test's thread keeps the file open for writing until its exec.
    #[test]
    fn a_late_test_is_killed() {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(&program);
        command.args(["--exact", "run::tests::never_ends"]).env(ASKED, "1").stdout(Stdio::null());
        let began = Instant::now();
        assert_eq!(wait(command.spawn().unwrap(), Duration::from_millis(100)), Ending::Late);
        assert!(began.elapsed() < Duration::from_mins(5));
    }
}
