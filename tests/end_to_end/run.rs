//! The daemon in the foreground: its socket, its tables, its exports, its end.

use std::os::unix::fs::PermissionsExt as _;

use profiler_tests::daemon::Daemon;
use profiler_tests::fixture::Fixture;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root, text};

#[test]
fn a_daemon_answers_and_leaves() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 8")?;
    let daemon = Daemon::attach(fixture.pid(), &["--all-requests", "--mode", "process"])?;
    let socket = daemon.socket();
    let mode = std::fs::metadata(&socket).map_err(Failure::io("the socket"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fixture.round()?;

    let requests = daemon.ask(&["requests", "--format", "json"])?;
    assert_eq!(requests.code(), 0, "{}", requests.stderr);
    json(&requests.stdout)?;
    for id in ["req-0", "req-7", "outer", "inner", "served-3"] {
        assert!(requests.stdout.contains(&format!("\"{id}\"")), "no {id} in {}", requests.stdout);
    }
    let table = daemon.ask(&["requests"])?;
    assert!(table.code() == 0 && table.stdout.contains("req-7"), "{}", table.stdout);
    let tasks = daemon.ask(&["tasks", "--once", "--format", "json"])?;
    assert_eq!(tasks.code(), 0, "{}", tasks.stderr);
    json(&tasks.stdout)?;

    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    for (metric, format) in [("wall", "flamegraph"), ("cpu", "flamegraph"), ("wall", "folded"), ("cpu", "folded")] {
        let path = folder.path().join(format!("{metric}.{format}"));
        daemon.export(&path, &["--request", "req-7", "--metric", metric, "--format", format])?;
        let written = std::fs::read_to_string(&path).map_err(Failure::io("an export"))?;
        assert!(written.contains("req-7"), "{metric} {format}: {written:.300}");
        assert!(!written.contains("req-6"), "{metric} {format}: another request's stacks");
    }

    let ended = daemon.end(libc::SIGINT)?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!socket.exists(), "the socket is left");
    text::untouched(fixture.pid(), "after")?;
    fixture.ping()?;
    fixture.end()
}

#[test]
fn a_daemon_ends_on_sigterm() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 2")?;
    let daemon = Daemon::attach(fixture.pid(), &[])?;
    fixture.round()?;
    let ended = daemon.end(libc::SIGTERM)?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    fixture.end()
}

/// The target's exit is the daemon's: it prints its summary and leaves without being told. Its work is done.
#[test]
fn a_daemon_ends_with_its_target() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 2")?;
    let daemon = Daemon::attach(fixture.pid(), &[])?;
    let socket = daemon.socket();
    fixture.round()?;
    fixture.end()?;
    let ended = daemon.ended()?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("has ended"), "{}", ended.stderr);
    assert!(!socket.exists(), "the socket is left");
    Ok(())
}

/// Two wanted ids: both have rows, and nobody else.
#[test]
fn only_wanted_requests_have_rows() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 8")?;
    let daemon = Daemon::attach(fixture.pid(), &["--request", "req-3", "--request", "req-5"])?;
    fixture.round()?;
    let report = daemon.report()?;
    let mut ids: Vec<_> = report.requests.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["req-3", "req-5"]);
    daemon.end(libc::SIGINT)?;
    fixture.end()
}

fn json(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| Failure::Wrong(vec![format!("{error}: {text}")]))
}
