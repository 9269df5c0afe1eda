//! `blocking`, asked of a running daemon: the line that blocks a worker, and the polls that never yield.

use std::path::Path;

use fixture_service::scenario::holders::{CRUNCHED_MS, SLEPT_MS};
use profiler_tests::daemon::{Daemon, Ended};
use profiler_tests::expect::Attempts;
use profiler_tests::fixture::{Fixture, Round};
use profiler_tests::report::{Blocking, Code, is_of};
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::ATTEMPTS;
use crate::off_cpu::scope;

const MS: u64 = 1_000_000;
/// What a daemon says that watches named requests only.
const PARTIAL: &str = "inside wanted requests";

fn answer(daemon: &Daemon, words: &[&str]) -> Result<Ended> {
    let ended = daemon.ask(&[&["blocking"], words].concat())?;
    assert_eq!(ended.code(), 0, "{words:?}: {}", ended.stderr);
    Ok(ended)
}

fn json(daemon: &Daemon, words: &[&str]) -> Result<Blocking> {
    let text = answer(daemon, &[&["--format", "json"], words].concat())?.stdout;
    let path = Path::new("blocking --format json").to_owned();
    serde_json::from_str(&text).map_err(|error| Failure::Form { path, why: format!("{error}: {text}") })
}

fn is_function(code: Option<&Code>, name: &str) -> bool {
    code.is_some_and(|code| is_of(&code.function, name))
}

/// Check that the fixture's one blocking line is the first place, with the fixture's own times, in the table and for a program.
#[test]
fn the_line_that_blocks_a_worker_comes_first() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let daemon = Daemon::attach(fixture.pid(), &[])?;
        let round = fixture.round()?;
        let blocking = json(&daemon, &[])?;
        assert!(blocking.every_poll && blocking.threshold_ns == MS, "{blocking:?}");
        let table = answer(&daemon, &[])?.stdout;
        assert!(!table.contains(PARTIAL), "everything is watched:\n{table}");
        let stacks = answer(&daemon, &["--top", "1", "--stacks"])?.stdout;
        attempts.note(vec![
            ("place".to_owned(), place(&blocking, &round)?),
            ("long polls".to_owned(), long_polls(&blocking)),
            ("table".to_owned(), lines(&table, &["read_settings (holders.rs:", "nanosleep", "sleeper-0"])),
            ("stack".to_owned(), lines(&stacks, &["at std::thread", "sleep"])),
        ]);
        thresholds(&daemon)?;
        assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// The three sleeps are one place, of which the fixture knows the sum, and the longest within the sum's error.
fn place(blocking: &Blocking, round: &Round) -> Result<Vec<String>> {
    let truth = scope(round, "sleeper-0")?;
    let Some(place) = blocking.places.first() else { return Ok(vec![format!("no place: {blocking:?}")]) };
    let mut wrong = Vec::new();
    let asked = SLEPT_MS.iter().sum::<u64>() * MS;
    let near = truth.slept_ns / 100 + MS;
    let longest = (SLEPT_MS.iter().max().unwrap_or(&0) * MS).saturating_sub(MS / 10);
    let checks = [
        ("function", is_function(place.own.as_ref(), "read_settings")),
        ("system call", place.syscall.as_deref().is_some_and(|call| ["clock_nanosleep", "nanosleep"].contains(&call))),
        ("stack", place.whole && place.stack.iter().any(|code| is_function(Some(code), "read_settings"))),
        (
            "line",
            place
                .own
                .as_ref()
                .is_some_and(|own| own.line.is_some() && own.file.as_ref().is_some_and(|file| file.ends_with("holders.rs"))),
        ),
        ("type", place.type_name.as_ref().is_some_and(|name| is_of(name, "sleeper_step"))),
        ("count", place.count == 3),
        ("total", place.total_ns.abs_diff(truth.slept_ns) <= near),
        // What the sleeps took beyond what they were asked for may all be the longest's.
        ("longest", place.longest_ns >= longest && place.longest_ns <= longest + truth.slept_ns.saturating_sub(asked) + near),
    ];
    wrong.extend(
        checks.iter().filter(|(_, right)| !right).map(|(what, _)| format!("{what}: {place:?}, slept {} ns", truth.slept_ns)),
    );
    Ok(wrong)
}

/// The cruncher is the worst, and its samples say where it was.
fn long_polls(blocking: &Blocking) -> Vec<String> {
    let right = blocking.long_polls.first().is_some_and(|polls| {
        polls.type_name.as_ref().is_some_and(|name| is_of(name, "cruncher_step"))
            && polls.count == 1
            && polls.total_ns == polls.longest_ns
            && polls.total_ns >= CRUNCHED_MS * MS
            && polls.samples > 0
            && is_function(polls.own.as_ref(), "crunch_numbers")
    });
    if right { Vec::new() } else { vec![format!("{:?}", blocking.long_polls)] }
}

/// A line that has every one of `words`, or what there is.
fn lines(text: &str, words: &[&str]) -> Vec<String> {
    let found = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    if found { Vec::new() } else { vec![format!("no line has all of {words:?}:\n{text}")] }
}

/// The threshold keeps shorter polls out of the list; places do not care.
fn thresholds(daemon: &Daemon) -> Result<()> {
    let low = json(daemon, &["--threshold", "5ms"])?;
    let high = json(daemon, &["--threshold", "100ms"])?;
    for (blocking, threshold) in [(&low, 5 * MS), (&high, 100 * MS)] {
        assert_eq!(blocking.threshold_ns, threshold);
        assert!(blocking.long_polls.iter().all(|polls| polls.longest_ns >= threshold), "{blocking:?}");
        assert!(!blocking.places.is_empty(), "{blocking:?}");
    }
    // 20 ms of the hog lie between the two.
    let has = |blocking: &Blocking, step: &str| {
        blocking.long_polls.iter().any(|polls| polls.type_name.as_ref().is_some_and(|name| is_of(name, step)))
    };
    assert!(has(&low, "hog_step") && has(&low, "cruncher_step"), "{low:?}");
    assert!(!has(&high, "hog_step") && has(&high, "cruncher_step"), "{high:?}");
    Ok(())
}

/// Check that a daemon which watches one request says that its places are not the process's.
#[test]
fn a_part_of_the_process_is_called_a_part() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let daemon = Daemon::attach(fixture.pid(), &["--request", "cruncher-0"])?;
    fixture.round()?;
    let blocking = json(&daemon, &[])?;
    assert!(!blocking.every_poll, "{blocking:?}");
    let sleepers = blocking.places.iter().filter(|place| is_function(place.own.as_ref(), "read_settings"));
    assert_eq!(sleepers.count(), 0, "another request's: {blocking:?}");
    let table = answer(&daemon, &[])?.stdout;
    assert!(table.contains(PARTIAL), "{table}");
    daemon.end(libc::SIGTERM)?;
    fixture.ping()?;
    fixture.end()
}
