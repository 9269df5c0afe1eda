//! Each state lands in its bucket, and the numbers are the clocks' own.

use profiler_tests::expect::Attempts;
use profiler_tests::fixture::Fixture;
use profiler_tests::report::{Report, Times};
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::{self, ATTEMPTS, compare_tasks, record};

const MS: u64 = 1_000_000;
const REPEAT: u64 = 5;
const STEPS: [&str; 9] = [
    "busy_step",
    "blocking_step",
    "await_step",
    "queued_step",
    "hog_step",
    "preempted_step",
    "mixed_step",
    "parent_step",
    "child_step",
];

/// What the steps ask for, whatever the fixture measured: a profiler and a fixture that err alike do not pass.
fn buckets(report: &Report) -> Result<()> {
    type State = fn(&Times) -> u64;
    // A microsleep ends no earlier than asked; the queue delay begins a little after the hog; of 20 ms of contended work
    // the rival takes about as much again, and at the very least a few of its slices.
    let least: [(&str, State, u64); 6] = [
        ("busy_step", |times| times.running_ns, 5 * MS),
        ("blocking_step", |times| times.blocked_ns, 5 * MS - MS / 20),
        ("await_step", |times| times.suspended_ns, 20 * MS - MS / 20),
        ("queued_step", |times| times.scheduled_ns, 10 * MS - MS / 10),
        ("preempted_step", |times| times.preempted_ns, 6 * MS),
        ("parent_step", |times| times.suspended_ns, 7 * MS - MS / 10),
    ];
    for (step, state, each) in least {
        let row = report.finished(step).ok_or_else(|| Failure::Wrong(vec![format!("no row of {step}")]))?;
        let time = state(&row.times);
        assert!(time >= each * REPEAT, "{step}: {time} ns in its state, {REPEAT} x {each} expected: {row:?}");
        assert!(time * 100 >= row.times.wall_ns * 30, "{step}: its state is not even 30 % of its wall time: {row:?}");
    }
    Ok(())
}

#[test]
fn every_state_lands_in_its_bucket() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start(&format!("known-times --repeat {REPEAT}"))?;
    let report = compare_tasks(&mut fixture, &STEPS)?;
    buckets(&report)?;
    fixture.ping()?;
    fixture.end()
}

#[test]
fn a_target_under_a_system_call_filter_lives_and_is_profiled() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start(&format!("seccomp --repeat {REPEAT}"))?;
    let report = compare_tasks(&mut fixture, &STEPS)?;
    buckets(&report)?;
    fixture.ping()?;
    fixture.end()
}

/// Without symbols types have no names, but nothing is lost: the request's numbers are right, and no task is missing.
#[test]
fn a_stripped_target_is_profiled() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start_binary("fixture-service-stripped", "known-times --repeat 2 --requests")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let (report, round) = record(&mut fixture, &["--request", "known-mixed_step-1"])?;
        attempts.note(compare::request(&report, &round, "known-mixed_step-1"));
    }
    attempts.verdict()?;
    let mut fixture = Fixture::start_binary("fixture-service-stripped", "known-times --repeat 2")?;
    let (report, round) = record(&mut fixture, &["--all"])?;
    let seen: u64 = report.tasks.iter().filter(|task| task.finished).map(|task| task.count).sum();
    assert_eq!(seen, u64::try_from(round.rows.len()).unwrap_or(u64::MAX), "{report:#?}");
    fixture.ping()?;
    fixture.end()
}
