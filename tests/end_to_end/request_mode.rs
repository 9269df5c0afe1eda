//! Only the wanted request reaches a probe: its numbers are right, nobody else's are there, and nothing stays behind.

use std::time::Duration;

use profiler_tests::annotation::Annotation;
use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::expect::Attempts;
use profiler_tests::fixture::Fixture;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::{self, ATTEMPTS, only, record};

fn ids(report: &Report) -> Vec<&str> {
    let mut ids: Vec<_> = report.requests.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// The wanted request and its child, which the annotation spawns, against what the fixture measured; and no task at all, because none is
/// seen.
#[test]
fn a_request_and_its_child_agree_with_the_fixture() -> Result<()> {
    const WANTED: &str = "req-11";
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 16")?;
    let annotation = Annotation::of(fixture.pid())?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let recording = Recording::attach(fixture.pid(), &["--request", WANTED, "--duration", "60s"])?;
        assert!(annotation.is_armed()?);
        assert!(annotation.semaphores()?.iter().all(|count| *count == 0), "other requests reach no probe");
        let round = fixture.round()?;
        let report = recording.report()?;
        assert_eq!(ids(&report), [WANTED]);
        let request = only(&report.instances(WANTED))?;
        assert!(request.scheduled_known, "it has a waker of its own");
        let mut found = compare::request(&report, &round, WANTED);
        found.extend(compare::children(request, &round, "request_child_step"));
        attempts.note(found);
        assert_eq!(annotation.left_behind()?, [""; 0]);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// A child that Tokio's own spawn made is not followed, which is said with how many there may be; asked to, it is.
#[test]
fn a_child_of_tokios_own_spawn_is_followed_on_demand() -> Result<()> {
    const WANTED: &str = "req-10";
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start_with_types("requests --concurrent 16")?;
    let (report, _) = record(&mut fixture, &["--request", WANTED])?;
    let request = only(&report.instances(WANTED))?;
    assert_eq!(request.children.len(), 0);
    let unfollowed = request.unfollowed.ok_or_else(|| Failure::Wrong(vec!["nothing is said of children".to_owned()]))?;
    // It awaits its child; and other threads of the service spawn too.
    assert!(unfollowed.awaited == 1 && unfollowed.at_most.is_some_and(|most| most >= 1), "{unfollowed:?}");
    let (report, _) = record(&mut fixture, &["--request", WANTED, "--follow-spawns"])?;
    let request = only(&report.instances(WANTED))?;
    assert_eq!((request.children.len(), report.lost.get("child_unfollowed")), (1, Some(&0)), "{:?}", report.lost);
    assert_eq!(request.unfollowed, None, "every spawn is seen");
    assert_eq!(ids(&report), [WANTED]);
    fixture.ping()?;
    fixture.end()
}

/// By prefix, the next that come, a sample, and the slow ones only.
#[test]
fn requests_are_chosen_in_every_way() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 16")?;
    let (report, _) = record(&mut fixture, &["--request-prefix", "served-", "--request", "rooted"])?;
    assert_eq!(ids(&report), ["rooted", "served-0", "served-1", "served-2", "served-3"]);
    // The next that begin may end in any order, and the recording ends with the second.
    let recording = Recording::attach(fixture.pid(), &["--next", "2", "--duration", "60s"])?;
    fixture.round()?;
    assert_eq!(recording.report()?.requests.len(), 2);
    let (report, round) = record(&mut fixture, &["--sample", "1/1"])?;
    let scopes = round.rows.iter().filter(|row| row.kind == fixture_service::truth::Kind::Scope).count();
    // One of the scopes is inside another of the same request, and is no request of its own.
    assert_eq!(report.requests.len(), scopes - 1);
    let (report, round) = record(&mut fixture, &["--slower-than", "12ms"])?;
    for row in &report.requests {
        assert!(row.times.wall_ns >= 12_000_000, "{row:?}");
    }
    let slow = round.rows.iter().filter(|row| row.kind == fixture_service::truth::Kind::Scope && row.wall_ns() > 13_000_000);
    assert!(report.requests.len() >= slow.count() - 1, "those that are slower for certain are there");
    let dropped = report.lost.get("request_too_fast").copied().unwrap_or(0);
    assert_eq!(usize::try_from(dropped).unwrap_or(0) + report.requests.len(), scopes - 1);
    assert_eq!(Annotation::of(fixture.pid())?.left_behind()?, [""; 0]);
    fixture.ping()?;
    fixture.end()
}

/// Killed while it asks for requests, a daemon leaves rules in the table: the service goes on, and the next attach takes them out.
#[test]
fn what_a_killed_daemon_leaves_is_cleaned_at_the_next_attach() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 16")?;
    let annotation = Annotation::of(fixture.pid())?;
    let recording = Recording::attach(fixture.pid(), &["--request-prefix", "req-", "--duration", "60s"])?;
    fixture.round()?;
    recording.kill()?;
    assert!(annotation.is_armed()?, "nobody could take it out");
    assert!(annotation.semaphores()?.iter().all(|count| *count == 0));
    // Wanted scopes go on as before, and past sites without probes.
    fixture.round()?;
    let (report, _) = record(&mut fixture, &["--all"])?;
    assert!(!report.requests.is_empty());
    assert_eq!(annotation.left_behind()?, [""; 0]);
    let (report, _) = record(&mut fixture, &["--request", "req-7"])?;
    assert_eq!(ids(&report), ["req-7"], "what was wanted before is no longer");
    fixture.ping()?;
    fixture.end()
}

/// Two daemons cannot ask one program for different requests.
#[test]
fn a_second_daemon_is_told_of_the_first() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 4")?;
    let first = Daemon::attach(fixture.pid(), &["--request", "req-1"])?;
    let second = Recording::start(fixture.pid(), &["--request", "req-2"])?;
    let (ended, _folder) = second.ended()?;
    assert_ne!(ended.code(), 0);
    assert!(ended.stderr.contains("measures requests of process"), "{}", ended.stderr);
    // It has not touched what the first asked for.
    fixture.round()?;
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(ids(&first.report()?), ["req-1"]);
    first.end(libc::SIGTERM)?;
    assert_eq!(Annotation::of(fixture.pid())?.left_behind()?, [""; 0]);
    fixture.end()
}
