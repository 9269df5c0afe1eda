//! Ten thousand requests in flight at the same time, over 64 connections.

use std::collections::BTreeMap;

use profiler_common::limits::SCOPE_SLOTS;
use profiler_tests::daemon::Daemon;
use profiler_tests::report::{Report, Request};
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::load::{Speaks, dealt, send};
use crate::sandwich::{compare, pairs};
use crate::service::Service;

const REQUESTS: u64 = 10_000;
/// 157 streams on the fullest: hyper lets a client have 200 at once.
const CONNECTIONS: u64 = 64;

/// What the profiler may lose of whole requests, by the names of the counters (profiler-common/src/loss.rs).
const LOST_REQUESTS: [&str; 4] = ["scope_map_full", "request_dropped", "record_unreadable", "row_torn"];

/// Every request waits, in the midst of its work, until all of them are there: 10,000 are in flight at once, which the service counts.
/// What each took is held against the service's own clocks on both sides of its scope (`sandwich`). On two CPUs the requests take hundreds
/// of milliseconds and are preempted at any place, so an allowed share of their wall time would hide whole polls of a neighbour; the two
/// clocks stand some microseconds apart, and an exact bound on both sides hides nothing that is longer.
#[test]
fn ten_thousand_requests_at_once() -> Result<()> {
    needs_root!();
    let _turn = turn();
    all_at_once(&["--all-requests", "--mode", "process", "--no-awaits"])
}

/// The same where nothing but these requests reaches a probe.
#[test]
fn ten_thousand_wanted_requests_at_once() -> Result<()> {
    needs_root!();
    let _turn = turn();
    all_at_once(&["--request-prefix", "order"])
}

/// The same where each keeps its own times: all are counted, and those that are kept whole are right.
#[test]
fn ten_thousand_requests_that_keep_their_times() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start("annotated-axum", &["--meeting", &REQUESTS.to_string()])?;
    let daemon = Daemon::attach(service.pid(), &["--all-requests"])?;
    let connections = dealt("order", REQUESTS, CONNECTIONS);
    send(service.address, connections.into_iter().map(|orders| (Speaks::Http2, orders)).collect())?;
    let told = service.told()?;
    let report = daemon.report()?;
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    let pairs = pairs(&told.seen)?;
    let verdict = compare(&report, &pairs);
    assert!(verdict.wrong.is_empty() && verdict.compared >= 100, "{verdict:#?}");
    let counted: u64 = report.routes.iter().map(|route| route.count).sum();
    let lost: u64 = report.lost.iter().filter(|(name, _)| name.contains("times")).map(|(_, count)| count).sum();
    eprintln!("{counted} of {REQUESTS} counted, {lost} losses; {} kept whole", verdict.compared);
    assert!(counted <= REQUESTS && counted + lost >= REQUESTS, "{counted} counted, {:?}", report.lost);
    service.end()
}

fn all_at_once(arguments: &[&str]) -> Result<()> {
    let mut service = Service::start("annotated-axum", &["--meeting", &REQUESTS.to_string()])?;
    let daemon = Daemon::attach(service.pid(), arguments)?;
    let connections = dealt("order", REQUESTS, CONNECTIONS);
    assert_eq!(connections.len() as u64, CONNECTIONS);
    send(service.address, connections.into_iter().map(|orders| (Speaks::Http2, orders)).collect())?;
    let told = service.told()?;
    let report = daemon.report()?;
    let listed = daemon.ask(&["requests", "--format", "json"])?;
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);

    assert_eq!(told.most_at_once, REQUESTS, "they were not all in flight at once");
    let pairs = pairs(&told.seen)?;
    assert_eq!(pairs.len() as u64, REQUESTS);
    let verdict = compare(&report, &pairs);
    let lost: BTreeMap<_, _> = report.lost.iter().filter(|(_, count)| **count > 0).collect();
    eprintln!("{} of {REQUESTS} requests; bounds {} apart; lost: {lost:?}", verdict.compared, verdict.apart());
    assert!(verdict.wrong.is_empty(), "{} are wrong, among them {:#?}", verdict.wrong.len(), verdict.wrong.get(..5));
    let counted: u64 = LOST_REQUESTS.iter().filter_map(|name| report.lost.get(*name)).sum();
    let missing = verdict.missing.len() as u64;
    assert_eq!((verdict.compared + missing, verdict.late), (REQUESTS, 0));
    assert!(missing <= counted, "{missing} requests are missing, {counted} were counted: {:?}", verdict.missing.get(..5));
    verdict.is_tight()?;
    the_same(&report, &listed.stdout)?;
    service.end()
}

/// More requests in flight than there was room asked for: those that do not fit are counted, one by one, and the others are as right as ever.
#[test]
fn what_does_not_fit_is_counted() -> Result<()> {
    const MORE: u64 = 500;
    /// So few that the daemon keeps all that end.
    const ROOM: u64 = 8_000;
    const CONNECTIONS: u64 = 128;
    needs_root!();
    let _turn = turn();
    let requests = ROOM + MORE;
    let mut service = Service::start("annotated-axum", &["--meeting", &requests.to_string()])?;
    // Where they wait is left out: a report that names it for so many is larger than a client takes.
    let room = ROOM.to_string();
    let daemon = Daemon::attach(service.pid(), &["--all-requests", "--mode", "process", "--no-awaits", "--max-requests", &room])?;
    send(service.address, dealt("order", requests, CONNECTIONS).into_iter().map(|orders| (Speaks::Http2, orders)).collect())?;
    let told = service.told()?;
    let report = daemon.report()?;
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    assert_eq!(told.most_at_once, requests);
    let pairs = pairs(&told.seen)?;
    let verdict = compare(&report, &pairs);
    let full = report.lost["scope_map_full"];
    let missing = verdict.missing.len() as u64;
    eprintln!("{} whole, {} late, {missing} missing; scope_map_full {full}", verdict.compared, verdict.late);
    assert!(verdict.wrong.is_empty(), "{} are wrong, among them {:#?}", verdict.wrong.len(), verdict.wrong.get(..5));
    // There are some places more than were asked for. A scope that found no room is tried again at its next poll, by when others may have ended: it then has a row that says so. Each try
    // is counted. Ends free rows of the map a little late (kernel/bpf/hashtab.c keeps freed elements in lists of each CPU).
    assert!(verdict.late + missing >= MORE - u64::from(SCOPE_SLOTS) && verdict.late + missing <= full, "{verdict:#?}");
    assert!(verdict.compared + verdict.late + missing == requests && verdict.compared + 2 * MORE >= requests, "{verdict:#?}");
    assert_eq!(report.lost["request_dropped"], 0);
    service.end()
}

/// The list that people get has the same requests with the same times.
fn the_same(report: &Report, listed: &str) -> Result<()> {
    let listed: Vec<Request> = serde_json::from_str(listed).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
    let by_id = |rows: &[Request]| {
        rows.iter().map(|row| (row.id.clone(), (row.start_ns, row.times, row.polls))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(by_id(&listed), by_id(&report.requests));
    Ok(())
}
