//! A round of a fixture, recorded, and held against what the fixture measured.

use std::collections::BTreeSet;
use std::time::Duration;

use fixture_service::truth::{Kind, Row};
use profiler_tests::daemon::Recording;
use profiler_tests::expect::{Attempts, Truth};
use profiler_tests::fixture::{Fixture, Round};
use profiler_tests::report::{Report, Request};
use profiler_tests::{Failure, Result};

/// How often a comparison may be tried before its failure is the profiler's and not the machine's.
pub(crate) const ATTEMPTS: usize = 6;

/// What was compared, and what was wrong with each.
pub(crate) type Found = Vec<(String, Vec<String>)>;

/// Records one round of the fixture. The identity and the schema were checked when the report was read.
pub(crate) fn record(fixture: &mut Fixture, arguments: &[&str]) -> Result<(Report, Round)> {
    let mut words = vec!["--duration", "60s"];
    words.extend(arguments);
    let recording = Recording::attach(fixture.pid(), &words)?;
    let round = fixture.round()?;
    // The last task may still be on its way out when the fixture has said `done`.
    std::thread::sleep(Duration::from_millis(20));
    recording.interrupt()?;
    let report = recording.report()?;
    assert_eq!(report.target.pid, fixture.pid());
    // With --request the window closes when the request has ended, and may do so before the round's end.
    let closed_early = arguments.contains(&"--request");
    let fits = round.ended_ns <= report.window.end_ns;
    assert!(fits || closed_early, "the round did not fit into {:?}", report.window);
    Ok((report, round))
}

/// Records rounds with `--all` until every step's row has agreed with the truth once.
pub(crate) fn compare_tasks(fixture: &mut Fixture, steps: &[&str]) -> Result<Report> {
    let mut attempts = Attempts::default();
    for _ in 1..ATTEMPTS {
        let (report, round) = record(fixture, &["--all"])?;
        attempts.note(tasks(&report, &round, steps));
        if attempts.settled() {
            return Ok(report);
        }
    }
    let (report, round) = record(fixture, &["--all"])?;
    attempts.note(tasks(&report, &round, steps));
    attempts.verdict()?;
    Ok(report)
}

/// Each step's finished row against the sum of its tasks.
pub(crate) fn tasks(report: &Report, round: &Round, steps: &[&str]) -> Found {
    steps
        .iter()
        .map(|step| {
            let rows: Vec<&Row> = round.rows.iter().filter(|row| row.kind != Kind::Scope && row.step == *step).collect();
            ((*step).to_owned(), one_step(report, step, &rows))
        })
        .collect()
}

fn one_step(report: &Report, step: &str, rows: &[&Row]) -> Vec<String> {
    let Some(seen) = report.finished(step) else {
        let names: BTreeSet<_> = report.tasks.iter().map(|task| &task.type_name).collect();
        return vec![format!("{step}: no row among {names:#?}")];
    };
    let truth = Truth::of(rows.iter().copied(), seen.spawn_seen);
    let mut wrong = truth.against(step, &seen.times, seen.polls);
    if !wrong.is_empty() {
        eprintln!("{step}: {truth:?}\n{seen:?}");
        for row in rows {
            eprintln!("  {row:?}");
        }
    }
    if seen.count != truth.count {
        wrong.push(format!("{step}: {} tasks seen, {} ended", seen.count, truth.count));
    }
    // Nothing is guessed where nothing was missing: only what goes past the waker (an abort) leaves a gap unexplained.
    if seen.unseen_ns > truth.unwoken_ns + 50_000 * truth.count {
        wrong.push(format!("{step}: {} ns unexplained, the fixture has {} without a wake", seen.unseen_ns, truth.unwoken_ns));
    }
    let longest = rows.iter().map(|row| row.longest_poll_ns).max().unwrap_or(0);
    // The profiler's poll holds the fixture's; by how much is bounded by the wall time's own bound.
    if seen.longest_poll_ns < longest {
        wrong.push(format!("{step}: longest poll {} ns, the fixture had one of {longest} ns", seen.longest_poll_ns));
    }
    wrong
}

/// The instances of the request `id` against its scopes, first to last.
pub(crate) fn request(report: &Report, round: &Round, id: &str) -> Found {
    let mut rows: Vec<&Row> =
        round.rows.iter().filter(|row| row.kind == Kind::Scope && row.request.as_deref() == Some(id)).collect();
    rows.sort_by_key(|row| row.spawned_ns);
    instances(id, &report.instances(id), &rows)
}

/// The same, with the scopes given.
pub(crate) fn instances(id: &str, seen: &[&Request], rows: &[&Row]) -> Found {
    if seen.len() != rows.len() {
        let wrong = format!("{id}: {} instances seen, {} scopes ended", seen.len(), rows.len());
        return vec![(id.to_owned(), vec![wrong])];
    }
    let instances = seen.iter().zip(rows).zip(1..);
    instances
        .map(|((seen, row), instance)| {
            let name = format!("{id}/{instance}");
            let truth = Truth::of([*row], false);
            let mut wrong = truth.against(&name, &seen.times, seen.polls);
            if seen.instance != instance {
                wrong.push(format!("{name}: is called instance {}", seen.instance));
            }
            if !seen.complete {
                wrong.push(format!("{name}: ended, and is called incomplete"));
            }
            (name, wrong)
        })
        .collect()
}

/// The children of a request against the tasks that the fixture spawned in it, by Tokio's task id.
pub(crate) fn children(request: &Request, round: &Round, step: &str) -> Found {
    let rows = round.rows.iter().filter(|row| row.kind == Kind::Task && row.step == step);
    rows.filter(|row| row.request.as_deref() == Some(request.id.as_str()))
        .zip(1..)
        .map(|(row, place)| {
            // By place and not by task id: the next attempt's child has another id, and must be able to settle this one.
            let name = format!("{} child {place}", request.id);
            let wrong = match request.children.iter().find(|child| child.id == row.task_id) {
                None => vec![format!("{name}: not among {:?}", request.children)],
                Some(child) => Truth::of([row], child.spawn_seen).against(&name, &child.times, child.polls),
            };
            (name, wrong)
        })
        .collect()
}

/// The only element, or a failure that shows what there is.
pub(crate) fn only<'a, T: std::fmt::Debug>(rows: &[&'a T]) -> Result<&'a T> {
    match rows {
        [row] => Ok(row),
        other => Err(Failure::Wrong(vec![format!("one row expected, found {other:?}")])),
    }
}
