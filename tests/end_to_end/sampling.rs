//! How many samples fall: by default, while a request asked for by name is in flight, and at a chosen rate.

use std::ops::RangeInclusive;

use fixture_service::scenario::holders::CRUNCHED_MS;
use profiler_tests::daemon::Daemon;
use profiler_tests::expect::Attempts;
use profiler_tests::fixture::Fixture;
use profiler_tests::folded;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::compare::{ATTEMPTS, only, record};
use crate::off_cpu::{scaled, stacks};

const CRUNCHER: &str = "cruncher-0";
/// The fixture's function that computes.
const COMPUTES: &str = "crunch_numbers";
const SECOND_NS: u64 = 1_000_000_000;

/// A third to thrice of `hz` over the computing of `rounds` crunchers.
fn around(hz: u64, rounds: u64) -> RangeInclusive<u64> {
    let exact = hz * rounds * CRUNCHED_MS / 1000;
    exact * 3 / 10..=exact * 3
}

/// Records until the crunchers' samples lie in `allowed` once; the last report.
fn sampled(rounds: u64, words: &[&str], allowed: &RangeInclusive<u64>) -> Result<Report> {
    let mut fixture = Fixture::start(&format!("holders --repeat {rounds}"))?;
    let mut attempts = Attempts::default();
    loop {
        let (report, _) = record(&mut fixture, words)?;
        let crunchers = report.requests.iter().filter(|row| row.id.starts_with("cruncher-"));
        crunchers.clone().try_for_each(scaled)?;
        let samples: u64 = crunchers.map(|row| row.samples).sum();
        let wrong =
            if allowed.contains(&samples) { Vec::new() } else { vec![format!("{samples} samples, expected {allowed:?}")] };
        attempts.note(vec![(words.join(" "), wrong)]);
        if attempts.settled() || attempts.compared() == ATTEMPTS {
            attempts.verdict()?;
            fixture.end()?;
            return Ok(report);
        }
    }
}

/// Check that a request asked for by name gets several hundred samples in half a second.
#[test]
fn a_named_request_is_sampled_at_1_khz() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let report = sampled(1, &["--request", CRUNCHER], &around(997, 1))?;
    assert_eq!(report.stacks.period_ns, Some(SECOND_NS / 99), "the process as a whole: {:?}", report.stacks);
    Ok(())
}

/// Check that nothing is sampled at more than 99 Hz where no request was asked for by name.
#[test]
fn a_process_is_sampled_at_99_hz() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let report = sampled(3, &["--all"], &around(99, 3))?;
    assert_eq!(report.stacks.period_ns, Some(SECOND_NS / 99), "{:?}", report.stacks);
    assert!(report.stacks.every_poll, "{:?}", report.stacks);
    Ok(())
}

/// Check that a chosen rate is the rate, for a process as for a request in flight.
#[test]
fn a_chosen_rate_is_kept() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for words in [&["--all", "--rate", "500"][..], &["--request", CRUNCHER, "--rate", "500"]] {
        let report = sampled(1, words, &around(500, 1))?;
        assert_eq!(report.stacks.period_ns, Some(SECOND_NS / 500), "{words:?}: {:?}", report.stacks);
    }
    Ok(())
}

/// Check that samples are stretched to the running time exactly, and that most of it is where the fixture computed.
#[test]
fn samples_are_scaled_to_the_running_time() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let daemon = Daemon::attach(fixture.pid(), &["--request", CRUNCHER])?;
        fixture.round()?;
        let report = daemon.report()?;
        let cpu = stacks(&daemon, CRUNCHER, "cpu")?;
        daemon.end(libc::SIGTERM)?;
        let request = only(&report.instances(CRUNCHER))?;
        assert!(request.children.is_empty(), "{request:?}");
        assert_eq!(folded::sum(&cpu), request.times.running_ns, "{request:?}\n{cpu:#?}");
        let own = folded::sum(cpu.iter().filter(|stack| stack.passes(COMPUTES) || stack.leaf().ends_with(COMPUTES)));
        let most = own * 10 >= request.times.running_ns * 9;
        let wrong = if most { Vec::new() } else { vec![format!("{own} ns in {COMPUTES}: {request:?}\n{cpu:#?}")] };
        attempts.note(vec![(COMPUTES.to_owned(), wrong)]);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}
