//! One request among many, and every way in which requests come.

use profiler_tests::daemon::Daemon;
use profiler_tests::expect::{Attempts, Truth};
use profiler_tests::fixture::{Fixture, Round};
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::compare::{self, ATTEMPTS, only, record};

/// 64 at once, each with another amount of work: the wanted one's numbers are its own, and nobody else has a row.
#[test]
fn one_of_sixty_four_concurrent_requests() -> Result<()> {
    const WANTED: &str = "req-37";
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 64")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let (report, round) = record(&mut fixture, &["--request", WANTED])?;
        let ids: Vec<_> = report.requests.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, [WANTED]);
        // Its share is 3 x 1.48 ms; all 64 together spend 242 ms on two CPUs.
        let request = only(&report.instances(WANTED))?;
        // Under contention a switch-in that the kernel hides leaves some of it in `preempted`.
        assert!(request.times.running_ns + request.times.preempted_ns >= 2 * 37 * 40_000, "{request:?}");
        attempts.note(compare::request(&report, &round, WANTED));
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// Everything at once: nested, repeated, in `block_on`, many through one task, each with its children.
#[test]
fn all_requests_of_every_shape() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 16")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let daemon = Daemon::attach(fixture.pid(), &["--all-requests", "--mode", "process"])?;
        let round = fixture.round()?;
        let report = daemon.report()?;
        daemon.end(libc::SIGTERM)?;
        let mut found = Vec::new();
        for number in 0..16 {
            let id = format!("req-{number}");
            found.extend(compare::request(&report, &round, &id));
            let request = only(&report.instances(&id))?;
            found.extend(compare::children(request, &round, "request_child_step"));
        }
        for id in ["outer", "inner", "again", "served-0", "served-1", "served-2", "served-3"] {
            found.extend(compare::request(&report, &round, id));
        }
        found.push(("rooted".to_owned(), rooted(&report, &round)?));
        attempts.note(found);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// Outside of any task there is no wake to see: it is said, and the waiting is not guessed apart.
fn rooted(report: &Report, round: &Round) -> Result<Vec<String>> {
    let seen = only(&report.instances("rooted"))?;
    let row = only(&round.rows.iter().filter(|row| row.step == "rooted_step").collect::<Vec<_>>())?;
    let mut truth = Truth::of([row], false);
    truth.suspended_ns += std::mem::take(&mut truth.scheduled_ns);
    let mut wrong = truth.against("rooted", &seen.times, seen.polls);
    if seen.scheduled_known || seen.times.scheduled_ns != 0 {
        wrong.push(format!("rooted: scheduled cannot be known outside of a task: {seen:?}"));
    }
    Ok(wrong)
}
