//! Where a request's time off the CPU was, and what it waited behind.

use fixture_service::truth::{Kind, Row};
use profiler_common::unwind::End;
use profiler_tests::daemon::Daemon;
use profiler_tests::expect::Attempts;
use profiler_tests::fixture::{Fixture, Round};
use profiler_tests::folded::{self, Stack};
use profiler_tests::report::{Report, Request, is_of};
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::{ATTEMPTS, only, record};

const SLEEPER: &str = "sleeper-0";
const WAITER: &str = "waiter-0";
/// The fixture's function that sleeps.
const SLEEPS: &str = "read_settings";
/// Between the fixture's clocks and the switches lie a system call and our own program, at each of three sleeps.
const NEARBY_NS: u64 = 1_000_000;

/// Check that walked stacks are whole, that every walk that is not has its counter, and that the request says how many samples it had.
#[test]
fn walks_and_samples_are_accounted_for() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let (report, _) = record(&mut fixture, &["--request", SLEEPER])?;
        let request = only(&report.instances(SLEEPER))?;
        assert!(request.complete, "{request:?}");
        scaled(request)?;
        let stacks = &report.stacks;
        assert!(!stacks.every_poll, "a request was asked for: {stacks:?}");
        assert!(stacks.tables.files > 1 && stacks.tables.rows > 0 && stacks.tables.bytes > 0, "{stacks:?}");
        assert_eq!(stacks.ends.values().sum::<u64>(), stacks.walks, "{stacks:?}");
        uncounted(&report)?;
        // The three sleeps leave a stack each, whatever the sampling clock did.
        let enough = stacks.walks >= 3 && stacks.whole() * 100 >= stacks.walks * 95;
        let wrong = if enough { Vec::new() } else { vec![format!("{} whole of {stacks:?}", stacks.whole())] };
        attempts.note(vec![("whole".to_owned(), wrong)]);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// A request's samples, their time and its scale belong together.
pub(crate) fn scaled(request: &Request) -> Result<()> {
    let Request { samples, sampled_ns, scale, times, .. } = request;
    let right = match scale {
        None => *samples == 0 && *sampled_ns == 0,
        Some(scale) => {
            // Exact in a double up to 2^53 ns, which is a hundred days.
            #[expect(clippy::cast_precision_loss, reason = "a request of a test takes less than a hundred days")]
            let (running, sampled) = (times.running_ns as f64, *sampled_ns as f64);
            *samples > 0 && (scale * sampled - running).abs() < 1.0
        }
    };
    if right { Ok(()) } else { Err(Failure::Wrong(vec![format!("samples, their time and the scale disagree: {request:?}")])) }
}

/// Every walk that was cut short stands under the counter of its end.
fn uncounted(report: &Report) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, walks) in &report.stacks.ends {
        let Some(end) = End::ALL.into_iter().find(|end| end.name() == name) else {
            wrong.push(format!("no such end: {name}"));
            continue;
        };
        let counted = end.loss().map(|loss| report.lost.get(loss.name()).copied().unwrap_or(0));
        // One counter may stand for several ends.
        if counted.is_some_and(|counted| counted < *walks) {
            wrong.push(format!("{walks} walks ended {name}, counted: {counted:?}"));
        }
    }
    profiler_tests::failure::all_right(wrong)
}

/// Check that the flamegraphs of a request are its times to the nanosecond, and that its blocked time lies in the function that slept.
#[test]
fn a_sleep_in_a_poll_stands_on_its_line() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let daemon = Daemon::attach(fixture.pid(), &["--request", SLEEPER])?;
        let round = fixture.round()?;
        let report = daemon.report()?;
        let request = only(&report.instances(SLEEPER))?;
        let times = request.times;
        let children: u64 = request.children.iter().map(|child| child.times.running_ns).sum();
        let wall = stacks(&daemon, SLEEPER, "wall")?;
        assert_eq!(folded::sum(&wall), times.wall_ns, "{request:?}\n{wall:#?}");
        assert_eq!(folded::sum(&stacks(&daemon, SLEEPER, "blocked")?), times.blocked_ns, "{request:?}");
        assert_eq!(folded::sum(&stacks(&daemon, SLEEPER, "cpu")?), times.running_ns + children, "{request:?}");
        daemon.end(libc::SIGTERM)?;

        let asleep = folded::sum(wall.iter().filter(|stack| stack.passes(SLEEPS) && is_sleep(stack.leaf())));
        assert!(asleep <= times.blocked_ns, "{asleep} ns in {SLEEPS}: {request:?}");
        let truth = scope(&round, SLEEPER)?.slept_ns;
        let near = asleep.abs_diff(truth) <= truth / 100 + NEARBY_NS;
        let wrong =
            if near { Vec::new() } else { vec![format!("{asleep} ns in {SLEEPS}, the fixture slept {truth}: {wall:#?}")] };
        attempts.note(vec![(SLEEPS.to_owned(), wrong)]);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// `std::thread::sleep` is `clock_nanosleep` with a glibc from 2.31 on, and `nanosleep` before.
fn is_sleep(leaf: &str) -> bool {
    ["[blocked in clock_nanosleep]", "[blocked in nanosleep]"].contains(&leaf)
}

/// Check that what kept a ready request from its worker is named in its row, with as much of its waiting as that took, and in its flamegraph.
#[test]
fn a_wait_for_a_worker_names_who_had_it() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let daemon = Daemon::attach(fixture.pid(), &["--request", WAITER, "--mode", "process"])?;
        let round = fixture.round()?;
        let report = daemon.report()?;
        let request = only(&report.instances(WAITER))?;
        let wall = stacks(&daemon, WAITER, "wall")?;
        daemon.end(libc::SIGTERM)?;
        let behind: u64 = request.scheduled_behind.iter().map(|behind| behind.ns).sum();
        assert!(behind + request.scheduled_unrecorded_ns <= request.times.scheduled_ns, "{request:?}");
        assert_eq!(folded::sum(&wall), request.times.wall_ns, "{request:?}\n{wall:#?}");
        let drawn = folded::sum(wall.iter().filter(|stack| stack.leaf().starts_with("behind task")));
        assert_eq!(drawn, behind, "{request:?}\n{wall:#?}");

        let truth = scope(&round, WAITER)?.scheduled_ns;
        let hog = request.scheduled_behind.first().filter(|behind| is_of(&behind.type_name, "hog_step"));
        // The hog's poll is all but the whole of the wait.
        let right = hog.is_some_and(|hog| hog.polls == 1 && hog.ns * 10 >= truth * 9 && hog.longest_ns >= hog.ns);
        let wrong = if right { Vec::new() } else { vec![format!("scheduled for {truth} ns behind hog_step: {request:?}")] };
        attempts.note(vec![("behind".to_owned(), wrong)]);
    }
    attempts.verdict()?;
    fixture.ping()?;
    fixture.end()
}

/// What the fixture measured of a request.
pub(crate) fn scope<'r>(round: &'r Round, id: &str) -> Result<&'r Row> {
    only(&round.rows.iter().filter(|row| row.kind == Kind::Scope && row.request.as_deref() == Some(id)).collect::<Vec<_>>())
}

/// The folded stacks of a request. Where there is no such time there is nothing to draw, which is said.
pub(crate) fn stacks(daemon: &Daemon, id: &str, metric: &str) -> Result<Vec<Stack>> {
    let ended = daemon.ask(&["export", "--request", id, "--metric", metric, "--format", "folded", "-o", "-"])?;
    if ended.status.success() {
        return folded::parse(&ended.stdout);
    }
    Err(Failure::Wrong(vec![format!("{id} {metric}: {}", ended.stderr)]))
}
