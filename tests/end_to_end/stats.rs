//! `--stats`: what the kernel counts of our programs' runs, held against what the fixture counted of its polls.

use profiler_tests::expect::Attempts;
use profiler_tests::fixture::Fixture;
use profiler_tests::report::Cost;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::{ATTEMPTS, record};

/// What the fixture's round must have made of the programs.
fn wrong(cost: &Cost, polls: u64, tasks: u64) -> Vec<String> {
    let ends = cost.runs("poll_idle") + cost.runs("task_complete");
    let counted = [
        ("poll_start", cost.runs("poll_start"), polls),
        ("poll_idle and task_complete", ends, polls),
        ("task_complete", cost.runs("task_complete"), tasks),
        ("task_spawn", cost.runs("task_spawn"), tasks),
    ];
    let differ = counted.iter().filter(|(_, runs, truth)| runs != truth);
    differ.map(|(name, runs, truth)| format!("{name}: {runs} runs, and not {truth}")).collect()
}

/// Check that programs run once an event: each poll's start, its end, each spawn; that a run takes time; and that the numbers add up.
#[test]
fn runs_are_the_polls() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("known-times --repeat 5")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let (report, round) = record(&mut fixture, &["--all", "--stats"])?;
        let cost = report.cost.ok_or_else(|| Failure::Wrong(vec!["no cost in a report with --stats".to_owned()]))?;
        assert!(cost.clock_ns > 0, "{cost:?}");
        for row in &cost.programs {
            // As the report rounds it.
            assert_eq!(row.run_ns, (row.total_ns + row.runs / 2).checked_div(row.runs).unwrap_or(0), "{row:?}");
            assert_eq!(row.total_ns > 0, row.runs > 0, "{row:?}");
            assert_eq!(row.recursion_misses, 0, "{row:?}");
        }
        for name in ["sched_switch", "sched_wakeup", "task_wake"] {
            assert!(cost.runs(name) > 0, "{name} did not run: {cost:?}");
        }
        let polls = round.rows.iter().map(|row| row.polls).sum();
        let tasks = u64::try_from(round.rows.len()).unwrap_or(u64::MAX);
        // A wake may find Tokio's exchange at the end of a poll, which is then tried again, and its site is reached twice.
        attempts.note(vec![("runs".to_owned(), wrong(&cost, polls, tasks))]);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// Check that nothing is counted, and nothing said of it, where nobody asks.
#[test]
fn nobody_asks_and_nothing_is_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("known-times --repeat 1")?;
    let (report, _) = record(&mut fixture, &["--all"])?;
    assert!(report.cost.is_none(), "{:?}", report.cost);
    fixture.end()
}
