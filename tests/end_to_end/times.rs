//! Every request without a trap per poll: each keeps its own times. The same bounds against the fixture's own clocks as for what the probes on
//! every poll measure, on the same requests.

use std::collections::BTreeMap;

use profiler_tests::daemon::Daemon;
use profiler_tests::expect::Attempts;
use profiler_tests::fixture::{Fixture, Round};
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root, text};
use serde_json::Value;

use crate::compare::{self, ATTEMPTS};

const OWN_TIMES: &[&str] = &["--all-requests"];
const PROBES: &[&str] = &["--all-requests", "--mode", "process"];

/// One round of the fixture, seen by a daemon of its own.
fn seen(fixture: &mut Fixture, arguments: &[&str]) -> Result<(Report, Round)> {
    let daemon = Daemon::attach(fixture.pid(), arguments)?;
    let round = fixture.round()?;
    let report = daemon.report()?;
    let ended = daemon.end(libc::SIGINT)?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    Ok((report, round))
}

/// The ids of all scopes of a round.
fn ids(round: &Round) -> Vec<String> {
    let mut ids: Vec<String> = round.rows.iter().filter_map(|row| row.request.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Every request of some rounds against the fixture's clocks, until each has agreed once.
fn agree(line: &str, arguments: &[&str]) -> Result<()> {
    let mut fixture = Fixture::start(line)?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let (report, round) = seen(&mut fixture, arguments)?;
        let ids = ids(&round);
        assert!(!ids.is_empty());
        // A scope inside one of the same id is the same request.
        let compared = ids.iter().filter(|id| id.as_str() != "same");
        attempts.note(compared.flat_map(|id| compare::request(&report, &round, id)).collect());
    }
    attempts.verdict()?;
    text::untouched(fixture.pid(), "after")?;
    fixture.ping()?;
    fixture.end()
}

#[test]
fn known_times_are_the_same_by_own_times_and_by_probes() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for arguments in [OWN_TIMES, PROBES] {
        agree("known-times --repeat 2 --requests", arguments)?;
    }
    Ok(())
}

/// Nested, repeated, in `block_on`, many through one task.
#[test]
fn requests_of_every_shape_keep_their_times() -> Result<()> {
    needs_root!();
    let _turn = turn();
    agree("requests --concurrent 16", OWN_TIMES)
}

/// The routes that clients are told of, by name.
fn routes(daemon: &Daemon) -> Result<BTreeMap<String, Value>> {
    let told = daemon.ask(&["requests", "--routes", "--format", "json"])?;
    assert_eq!(told.code(), 0, "{}", told.stderr);
    let rows: Vec<Value> =
        serde_json::from_str(&told.stdout).map_err(|error| Failure::Wrong(vec![format!("{error}: {}", told.stdout)]))?;
    Ok(rows.into_iter().map(|row| (row["route"].as_str().unwrap_or_default().to_owned(), row)).collect())
}

#[test]
fn routes_are_told_with_their_quantiles_and_their_worst() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 64")?;
    let daemon = Daemon::attach(fixture.pid(), &["--all-requests", "--route", "serv"])?;
    let round = fixture.round()?;
    let routes = routes(&daemon)?;
    let count = |prefix: &str| {
        let of = |row: &&fixture_service::truth::Row| {
            row.kind == fixture_service::truth::Kind::Scope && row.request.as_deref().is_some_and(|id| id.starts_with(prefix))
        };
        round.rows.iter().filter(of).count() as u64
    };
    for (route, prefix) in [("req-*", "req-"), ("serv*", "served-"), ("outer", "outer")] {
        let row = &routes[route];
        let number = |field: &str| row[field].as_u64().unwrap_or(u64::MAX);
        assert_eq!(number("count"), count(prefix), "{route}: {row}");
        assert!(number("p50_ns") <= number("p99_ns") && number("p99_ns") <= number("worst_ns"), "{row}");
        let parts = ["running_ns", "preempted_ns", "blocked_ns", "scheduled_ns", "suspended_ns"].map(number);
        assert_eq!(parts.into_iter().sum::<u64>(), number("wall_ns"), "{row}");
        assert!(row["worst"]["id"].as_str().is_some_and(|id| id.starts_with(prefix)), "{row}");
    }
    let table = daemon.ask(&["requests"])?;
    assert!(table.stdout.contains("req-*") && table.stdout.contains("p99 ms"), "{}", table.stdout);
    assert!(table.stdout.contains("the slowest of them"), "{}", table.stdout);
    let ended = daemon.end(libc::SIGTERM)?;
    assert!(ended.stderr.contains("keeps its own times"), "{}", ended.stderr);
    text::untouched(fixture.pid(), "after")?;
    fixture.end()
}

/// A daemon that is killed leaves scopes that keep their times for nobody; the next one's are its own.
#[test]
fn a_killed_daemon_leaves_nothing_in_the_next_ones_times() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 8")?;
    let daemon = Daemon::attach(fixture.pid(), OWN_TIMES)?;
    fixture.round()?;
    daemon.end(libc::SIGKILL)?;
    fixture.round()?;
    fixture.ping()?;
    let (report, round) = seen(&mut fixture, OWN_TIMES)?;
    for id in ids(&round) {
        let scopes = round
            .rows
            .iter()
            .filter(|row| row.kind == fixture_service::truth::Kind::Scope && row.request.as_deref() == Some(id.as_str()));
        let expected = if id == "same" { 1 } else { scopes.count() };
        assert_eq!(report.instances(&id).len(), expected, "{id}: of this round, and no other");
    }
    text::untouched(fixture.pid(), "after")?;
    fixture.end()
}
