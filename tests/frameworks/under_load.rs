//! Each framework under load: every request's times are its own, also where many share a connection's task.

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::load::{Speaks, dealt, send};
use crate::sandwich::{compare, pairs};
use crate::service::Service;

/// Orders for each way to speak.
const ORDERS: u64 = 1_000;
/// Connections that carry them.
const CONNECTIONS: u64 = 16;

fn all_at_once(program: &str, ways: &[Speaks]) -> Result<Report> {
    let mut service = Service::start(program, &[])?;
    let daemon = Daemon::attach(service.pid(), &["--all-requests", "--mode", "process"])?;
    let mut connections = Vec::new();
    for way in ways {
        connections.extend(dealt(&format!("{way:?}"), ORDERS, CONNECTIONS).into_iter().map(|orders| (*way, orders)));
    }
    send(service.address, connections)?;
    let told = service.told()?;
    let report = daemon.report()?;
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    let pairs = pairs(&told.seen)?;
    assert_eq!(pairs.len() as u64, ORDERS * ways.len() as u64);
    let verdict = compare(&report, &pairs);
    let lost: Vec<_> = report.lost.iter().filter(|(_, count)| **count > 0).collect();
    eprintln!(
        "{program}: {} requests, {} at once, bounds {} apart; lost: {lost:?}",
        verdict.compared,
        told.most_at_once,
        verdict.apart()
    );
    assert!(verdict.wrong.is_empty() && verdict.missing.is_empty(), "{:#?}\n{:?}", verdict.wrong, verdict.missing);
    verdict.is_tight()?;
    service.end()?;
    Ok(report)
}

#[test]
fn axum() -> Result<()> {
    needs_root!();
    let _turn = turn();
    all_at_once("annotated-axum", &[Speaks::Http1, Speaks::Http2]).map(drop)
}

#[test]
fn hyper_alone() -> Result<()> {
    needs_root!();
    let _turn = turn();
    all_at_once("annotated-hyper", &[Speaks::Http1, Speaks::Http2]).map(drop)
}

#[test]
fn tonic() -> Result<()> {
    needs_root!();
    let _turn = turn();
    all_at_once("annotated-tonic", &[Speaks::Grpc]).map(drop)
}

/// Its handlers run in local tasks, which the profiler sees like others, wakes included.
#[test]
fn actix_web() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let report = all_at_once("annotated-actix", &[Speaks::Http1])?;
    let local = report.tasks.iter().filter(|task| task.kind == "local" && task.polls > 0);
    assert!(local.count() > 0, "{:#?}", report.tasks);
    let known = report.requests.iter().filter(|request| request.scheduled_known).count();
    assert_eq!(known, report.requests.len());
    Ok(())
}

#[test]
fn jobs_of_a_queue() -> Result<()> {
    needs_root!();
    let _turn = turn();
    all_at_once("annotated-jobs", &[Speaks::Queue]).map(drop)
}

/// One request by name under the same load: nobody else has a row.
#[test]
fn one_among_many() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let ways = [
        ("annotated-axum", Speaks::Http2),
        ("annotated-hyper", Speaks::Http1),
        ("annotated-tonic", Speaks::Grpc),
        ("annotated-actix", Speaks::Http1),
        ("annotated-jobs", Speaks::Queue),
    ];
    for (program, way) in ways {
        let mut service = Service::start(program, &[])?;
        let recording = Recording::attach(service.pid(), &["--request", "wanted-333", "--duration", "60s"])?;
        send(service.address, dealt("wanted", 640, 64).into_iter().map(|orders| (way, orders)).collect())?;
        let report = recording.report()?;
        let told = service.told()?;
        let mut pairs = pairs(&told.seen)?;
        pairs.retain(|id, _| *id == "wanted-333");
        let verdict = compare(&report, &pairs);
        assert!(verdict.wrong.is_empty() && verdict.compared == 1, "{program}: {verdict:#?}");
        service.end()?;
    }
    Ok(())
}
