//! Every way in which a task ends, and the ways to be polled again without a wake.

use profiler_tests::expect::Attempts;
use profiler_tests::fixture::Fixture;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::compare::{self, ATTEMPTS, compare_tasks, only, record};

#[test]
fn every_end_ends_the_task() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("ends --repeat 3")?;
    let steps = [
        "panicking_step",
        "suspended_then_aborted",
        "scheduled_then_aborted",
        "aborting_hog",
        "detached_step",
        "outliving_step",
        "yielding_step",
        "budget_step",
        "shut_down_step",
    ];
    let report = compare_tasks(&mut fixture, &steps)?;
    for step in steps {
        let alive: Vec<_> = report.tasks.iter().filter(|task| !task.finished && task.type_name.contains(step)).collect();
        assert!(alive.is_empty(), "{step} ended, and is called alive: {alive:?}");
    }
    fixture.ping()?;
    fixture.end()
}

/// `yield_now` and a spent coop budget leave the task ready, not waiting.
#[test]
fn a_task_that_yields_is_not_suspended() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("ends --repeat 3")?;
    let (report, _) = record(&mut fixture, &["--all"])?;
    // 100 yields each; 600 messages on budgets of 128 make at least four.
    for (step, yields) in [("bare_yielding_step", 300), ("bare_budget_step", 12)] {
        let row = only(&report.finished(step).into_iter().collect::<Vec<_>>())?;
        assert!(row.yielded >= yields && row.yielded < row.polls, "{step}: {row:?}");
        assert_eq!(row.times.suspended_ns, 0, "{step}: {row:?}");
        assert!(row.times.scheduled_ns > 0, "{step}: {row:?}");
    }
    Ok(())
}

/// A request is over when its root scope is; the child it spawned goes on, and is still its child.
#[test]
fn a_request_may_end_while_its_child_runs() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("ends --repeat 1")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        // Every request is measured, so that the window stays open for the child.
        let daemon = profiler_tests::daemon::Daemon::attach(fixture.pid(), &["--all-requests", "--mode", "process"])?;
        let round = fixture.round()?;
        let report = daemon.report()?;
        daemon.end(libc::SIGINT)?;
        let request = only(&report.instances("outlived-0"))?;
        let mut found = compare::request(&report, &round, "outlived-0");
        found.extend(compare::children(request, &round, "outliving_step"));
        attempts.note(found);
    }
    attempts.verdict()
}
