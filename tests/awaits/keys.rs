//! Requests named by the service's own task-local keys, against a service that knows nothing of the profiler and times them itself.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use key_fixture::{Event, Part, Request};
use profiler_tests::daemon::{Daemon, run_to_end};
use profiler_tests::expect::Attempts;
use profiler_tests::process::Process;
use profiler_tests::recipe::Recipe;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Result, binaries, needs_root};

const LIMIT: Duration = Duration::from_mins(1);
/// A busy machine may take a CPU between a clock reading of the service and the probe beside it.
const ATTEMPTS: usize = 4;

/// The service, built with full debug information; `full` false: with lines only.
fn program(is_release: bool, full: bool) -> Result<PathBuf> {
    let debug = if full { "full" } else { "line-tables-only" };
    let folder = match (is_release, full) {
        (true, true) => "release",
        (false, true) => "debug",
        (_, false) => "lines",
    };
    let recipe = Recipe {
        packages: &["key-fixture"],
        files: &["key-fixture"],
        sources: &["tests/key-fixture"],
        folder: binaries::target().join("keys").join(folder),
        is_release,
        settings: vec![("CARGO_PROFILE_DEV_DEBUG", debug), ("CARGO_PROFILE_RELEASE_DEBUG", debug)],
    };
    recipe.program(|_| Ok(()))
}

struct Service(Process);

impl Service {
    fn start(program: &PathBuf) -> Result<Self> {
        let mut service = Self(Process::start(&mut Command::new(program))?);
        let ready = service.event()?;
        assert_eq!(ready, Event::Ready);
        Ok(service)
    }

    fn event(&mut self) -> Result<Event> {
        self.0.stdout.wait("an event of the service", LIMIT, |line| serde_json::from_str(line).ok())
    }

    fn round(&mut self) -> Result<Vec<Request>> {
        self.0.tell("go")?;
        let mut requests = Vec::new();
        loop {
            match self.event()? {
                Event::Request(request) => requests.push(request),
                Event::Done => return Ok(requests),
                Event::Ready | Event::Part(_) => {}
            }
        }
    }

    /// Two requests in one task.
    fn together(&mut self) -> Result<Vec<Part>> {
        self.0.tell("together")?;
        let mut parts = Vec::new();
        loop {
            match self.event()? {
                Event::Part(part) => parts.push(part),
                Event::Done => return Ok(parts),
                Event::Ready | Event::Request(_) => {}
            }
        }
    }

    /// A round under a daemon whose requests `key` names.
    fn named_by(&mut self, arguments: &[&str]) -> Result<(Report, Vec<Request>)> {
        let daemon = Daemon::attach(self.0.pid(), arguments)?;
        let round = self.round()?;
        let report = daemon.report()?;
        daemon.end(libc::SIGTERM)?;
        Ok((report, round))
    }
}

/// What is wrong with the times of each request that `key` names. Those that are not all of their task may be longer, by what the polls hold
/// in which they begin and end: here next to nothing.
fn wrong(key: &str, report: &Report, round: &[Request]) -> Vec<(String, Vec<String>)> {
    let of = |truth: &Request| {
        let own = truth.end_ns - truth.begin_ns;
        let found = report.instances(&truth.id);
        let [seen] = found[..] else { return vec![format!("{}: {} requests", truth.id, found.len())] };
        let apart = seen.times.wall_ns.abs_diff(own);
        if seen.complete && apart <= own / 100 + 100_000 {
            return Vec::new();
        }
        vec![format!("{}: {own} ns by its own clock, {:?}", truth.id, seen.times)]
    };
    round.iter().filter(|request| request.key == key).map(|truth| (truth.id.clone(), of(truth))).collect()
}

/// Every type of key, every shape of request, in a debug and a release build: each has one row, and its own time.
#[test]
fn every_kind_of_key_names_its_requests() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for is_release in [false, true] {
        let mut service = Service::start(&program(is_release, true)?)?;
        for key in ["REQUEST_ID", "TRACE_ID", "NUMBER", "SIGNED", "UID", "SHARED", "STATIC_NAME", "TENANT"] {
            let mut attempts = Attempts::up_to(ATTEMPTS);
            while attempts.go_on() {
                let (report, round) = service.named_by(&["--all-requests", "--request-key", key])?;
                attempts.note(wrong(key, &report, &round));
                let expected = match key {
                    // The name of 65 bytes is none, and is counted; a child that hands the name on is no request of its own.
                    "REQUEST_ID" => 22,
                    "TRACE_ID" | "NUMBER" => 3,
                    _ => 1,
                };
                let ids: Vec<&str> = report.requests.iter().map(|request| request.id.as_str()).collect();
                assert_eq!(ids.len(), expected, "{key}: {ids:?}");
                if key == "REQUEST_ID" {
                    assert!(report.lost.get("key_malformed").is_some_and(|count| *count > 0), "{:?}", report.lost);
                    let parent = report.requests.iter().find(|request| request.id == "parent");
                    assert_eq!(parent.map(|request| request.children.len()), Some(1));
                }
            }
            attempts.verdict()?;
        }
        service.0.end(LIMIT)?;
    }
    Ok(())
}

/// What is wrong with what was seen inside of polls of a request beside another in them.
fn wrong_inside(report: &Report, part: &Part) -> Vec<String> {
    let found: Vec<_> = report.foreign.iter().filter(|row| row.id == part.id).collect();
    let [seen] = found[..] else { return vec![format!("{} rows of {}: {:?}", found.len(), part.id, report.foreign)] };
    // Its calls end when the thread has a CPU again, which is later than its sleep ends.
    let off_ns = seen.blocked_ns + seen.preempted_ns;
    let allowed_ns = part.blocked_ns / 100 + 300_000;
    let is_right = seen.blocked_ns <= part.blocked_ns + allowed_ns && off_ns + allowed_ns >= part.blocked_ns;
    if is_right && seen.source == "task_local" && seen.samples > 0 {
        return Vec::new();
    }
    vec![format!("blocked {} ns by its own clock, {seen:?}", part.blocked_ns)]
}

/// Two requests that are polled in the same polls of one task are told apart by the key's thread-local, in a debug and a release build: each has
/// its own time off the CPU and samples of its own, and the task's request is the outermost of them.
#[test]
fn requests_in_one_poll_are_told_apart() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for is_release in [false, true] {
        let mut service = Service::start(&program(is_release, true)?)?;
        let mut attempts = Attempts::up_to(ATTEMPTS);
        while attempts.go_on() {
            let daemon = Daemon::attach(service.0.pid(), &["--all-requests", "--request-key", "REQUEST_ID"])?;
            let parts = service.together()?;
            let report = daemon.report()?;
            daemon.end(libc::SIGTERM)?;
            assert_eq!(parts.len(), 2);
            attempts.note(parts.iter().map(|part| (part.id.clone(), wrong_inside(&report, part))).collect());
            let ids: Vec<&str> = report.requests.iter().map(|request| request.id.as_str()).collect();
            assert_eq!(ids, ["part-one"], "its polls are whole polls of the task: {:?}", report.foreign);
        }
        attempts.verdict()?;
        service.0.end(LIMIT)?;
    }
    Ok(())
}

/// One request by its name, which for a number or a UUID is written in more than one way.
#[test]
fn one_request_is_asked_for_by_name() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start(&program(true, true)?)?;
    for (key, id, shown) in [
        ("key_fixture::REQUEST_ID", "conn-1-2", "conn-1-2"),
        ("NUMBER", "041", "41"),
        ("UID", "67E5504410B1426F9247BB680E5FE0C8", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
    ] {
        let (report, _) = service.named_by(&["--request", id, "--request-key", key])?;
        let ids: Vec<&str> = report.requests.iter().map(|request| request.id.as_str()).collect();
        assert_eq!(ids, [shown]);
        assert!(report.requests.iter().all(|request| request.complete && request.samples > 0), "{:?}", report.requests);
    }
    service.0.end(LIMIT)?;
    Ok(())
}

/// What cannot be: one sentence that lists the keys, and an exit code of its own.
#[test]
fn what_cannot_name_requests_is_refused() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start(&program(false, true)?)?;
    let pid = service.0.pid().to_string();
    for (key, word) in
        [("NO_SUCH", "key_fixture::REQUEST_ID"), ("STATE", "cannot name requests"), ("EQUEST_ID", "no task-local key")]
    {
        let ended = run_to_end(["run", "--pid", &pid, "--request-key", key])?;
        assert_eq!((ended.code(), ended.stderr.contains(word)), (18, true), "{}", ended.stderr);
    }
    let ended = run_to_end(["run", "--pid", &pid, "--request-key", "NUMBER", "--request", "order"])?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    service.0.end(LIMIT)?;
    let mut lines = Service::start(&program(false, false)?)?;
    let ended = run_to_end(["run", "--pid", &lines.0.pid().to_string(), "--request-key", "NUMBER"])?;
    assert_eq!((ended.code(), ended.stderr.contains("debug = \"full\"")), (18, true), "{}", ended.stderr);
    lines.0.end(LIMIT)?;
    Ok(())
}
