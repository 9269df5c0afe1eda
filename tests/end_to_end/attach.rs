//! Coming and going: live tasks, many short ones, ten times in a row, and nothing left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use profiler_tests::daemon::Recording;
use profiler_tests::fixture::Fixture;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root, text};

use crate::compare::record;

#[test]
fn tasks_from_before_the_attach_are_told_from_new_ones() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 16 --rate 2000 --millis 1000")?;
    let (report, round) = record(&mut fixture, &["--all"])?;
    let live: BTreeSet<u64> =
        report.tasks.iter().filter(|task| task.type_name.contains("living_step")).filter_map(|task| task.id).collect();
    assert_eq!(live, fixture.live.iter().copied().collect::<BTreeSet<_>>());
    let window = report.window.end_ns - report.window.start_ns;
    for task in report.tasks.iter().filter(|task| task.type_name.contains("living_step")) {
        assert_eq!(task.count, 1, "{task:?}");
        assert!(!task.spawn_seen, "it was there before: {task:?}");
        assert!(task.times.wall_ns <= window, "{task:?} in a window of {window} ns");
        // It ticks every 10 ms; a busy machine may delay the first tick that is seen.
        assert!(task.times.wall_ns + 200_000_000 >= window, "{task:?} in a window of {window} ns");
        assert!(task.times.suspended_ns * 2 > task.times.wall_ns, "it sleeps all the time: {task:?}");
    }
    // Addresses are reused, tasks are not: each of them is counted once.
    let brief = report.finished("brief_step").ok_or_else(|| Failure::Wrong(vec![format!("{report:#?}")]))?;
    assert_eq!(round.totals, [("brief_step".to_owned(), brief.count)], "lost: {:?}", report.lost);
    assert_eq!(brief.polls, 2 * brief.count, "each yields once");
    fixture.ping()?;
    fixture.end()
}

#[test]
fn ten_attaches_in_a_row() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 4 --rate 500 --millis 100")?;
    for number in 1..=10 {
        let (report, round) = record(&mut fixture, &["--all"])?;
        let counted = report.finished("brief_step").map_or(0, |row| row.count);
        assert_eq!(round.totals, [("brief_step".to_owned(), counted)], "attach {number}, lost: {:?}", report.lost);
        fixture.ping()?;
    }
    text::untouched(fixture.pid(), "after")?;
    fixture.end()
}

/// The probes are in the code while we are attached, and gone after; the service answers before, while and after.
#[test]
fn the_code_is_as_it_was_after_a_detach() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 4 --rate 500 --millis 100")?;
    fixture.ping()?;
    text::untouched(fixture.pid(), "before")?;
    let recording = Recording::attach(fixture.pid(), &["--all", "--duration", "60s"])?;
    fixture.round()?;
    assert!(!text::changed_bytes(fixture.pid())?.is_empty(), "no probe is in");
    fixture.ping()?;
    recording.interrupt()?;
    recording.report()?;
    text::untouched(fixture.pid(), "after")?;
    fixture.ping()?;
    fixture.round()?;
    fixture.end()
}

/// A profiler that is killed takes its probes with it: the kernel closes its links.
#[test]
fn a_killed_profiler_leaves_nothing() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 4 --rate 500 --millis 100")?;
    let recording = Recording::attach(fixture.pid(), &["--all", "--duration", "60s"])?;
    fixture.round()?;
    recording.kill()?;
    // Links are released when the last reference is; that is after the exit, and soon.
    for _ in 0..100 {
        if text::changed_bytes(fixture.pid())?.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    text::untouched(fixture.pid(), "after")?;
    fixture.ping()?;
    fixture.round()?;
    fixture.end()
}

/// `record` ends by itself when its time is over.
#[test]
fn a_recording_takes_as_long_as_asked() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let fixture = Fixture::start("churn --live 4")?;
    let report = Recording::attach(fixture.pid(), &["--all", "--duration", "500ms"])?.report()?;
    let window = report.window.end_ns - report.window.start_ns;
    assert!((450_000_000..1_500_000_000).contains(&window), "{:?}", report.window);
    fixture.end()
}
