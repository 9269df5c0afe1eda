//! The harness and the fixtures, without the profiler: what is right passes, what is wrong fails.

#[path = "awaits/corpus.rs"]
mod corpus;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fixture_service::truth::{Kind, Outcome, Row};
use profiler_tests::chained::Chained;
use profiler_tests::daemon::to_end;
use profiler_tests::expect::{Attempts, Truth};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::report::{Report, Times, is_of};
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, cells, failure, text};

#[test]
fn the_fixtures_own_states_add_up() -> Result<()> {
    let _turn = turn();
    for scenario in ["known-times", "known-times --requests", "runtimes", "ends", "requests --concurrent 8"] {
        let mut fixture = Fixture::start(&format!("{scenario} --repeat 1"))?;
        let round = fixture.round()?;
        assert!(!round.rows.is_empty(), "{scenario}");
        for row in &round.rows {
            let sum = row.first_delay_ns + row.poll_wall_ns + row.scheduled_ns + row.suspended_ns;
            assert_eq!(sum, row.wall_ns(), "{scenario}: {row:?}");
        }
        fixture.ping()?;
        fixture.end()?;
    }
    Ok(())
}

#[test]
fn known_times_are_what_their_names_say() -> Result<()> {
    const MS: u64 = 1_000_000;
    let _turn = turn();
    let mut fixture = Fixture::start("known-times --repeat 3")?;
    let rows = fixture.round()?.rows;
    let of = |step: &str| Truth::of(rows.iter().filter(|row| row.step == step), true);
    for (step, state, at_least) in [
        ("busy_step", of("busy_step").cpu_ns, 15 * MS),
        ("blocking_step", of("blocking_step").slept_ns, 15 * MS - 100_000),
        ("await_step", of("await_step").suspended_ns, 60 * MS),
        ("queued_step", of("queued_step").scheduled_ns, 30 * MS - 300_000),
        ("preempted_step", of("preempted_step").run_delay_ns, 15 * MS),
        ("child_step", of("child_step").suspended_ns, 15 * MS),
        ("parent_step", of("parent_step").suspended_ns, of("child_step").cpu_ns),
    ] {
        assert_eq!(of(step).count, 3, "{step}");
        assert!(state >= at_least, "{step}: {state} < {at_least}");
    }
    Ok(())
}

#[test]
fn tasks_end_in_every_way_they_should() -> Result<()> {
    let _turn = turn();
    let mut fixture = Fixture::start("ends --repeat 1")?;
    let rows = fixture.round()?.rows;
    for (step, outcome) in [
        ("panicking_step", Outcome::Panicked),
        ("suspended_then_aborted", Outcome::Dropped),
        ("scheduled_then_aborted", Outcome::Dropped),
        ("detached_step", Outcome::Done),
        ("outlived_step", Outcome::Done),
        ("outliving_step", Outcome::Done),
        ("yielding_step", Outcome::Done),
        ("budget_step", Outcome::Done),
        ("shut_down_step", Outcome::Dropped),
    ] {
        let found: Vec<_> = rows.iter().filter(|row| row.step == step).collect();
        assert!(matches!(found[..], [row] if row.outcome == outcome), "{step}: {found:?}");
    }
    let outlived = rows.iter().find(|row| row.step == "outlived_step").unwrap();
    let child = rows.iter().find(|row| row.step == "outliving_step").unwrap();
    assert!(child.ended_ns > outlived.ended_ns && child.request == outlived.request);
    let polls = |step: &str| rows.iter().find(|row| row.step == step).unwrap().polls;
    assert_eq!(polls("yielding_step"), 101);
    assert!(polls("budget_step") > 4, "the coop budget never ran out");
    Ok(())
}

#[test]
fn churn_reuses_addresses_and_keeps_its_live_tasks() -> Result<()> {
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 5 --rate 500 --millis 200")?;
    assert_eq!(fixture.live.len(), 5);
    let round = fixture.round()?;
    assert_eq!(round.totals, [("brief_step".to_owned(), 100)]);
    fixture.end()
}

#[test]
fn the_filter_kills_for_an_unknown_call_and_lets_the_service_live() -> Result<()> {
    let _turn = turn();
    let path = binaries::fixture("fixture-service")?;
    let broken = to_end(Process::start(Command::new(&path).args(["seccomp", "--break"]))?)?;
    assert_eq!(broken.code(), -libc::SIGSYS, "{}", broken.stderr);
    let mut fixture = Fixture::start("seccomp --repeat 1")?;
    fixture.round()?;
    fixture.end()
}

#[test]
fn the_stripped_twin_has_no_symbols() -> Result<()> {
    use object::{Object as _, ObjectSymbol as _};
    for (name, expected) in [("fixture-service", true), ("fixture-service-stripped", false)] {
        let path = binaries::fixture(name)?;
        let data = std::fs::read(&path).map_err(Failure::io(name))?;
        let file = object::File::parse(&*data).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
        let has = file.symbols().any(|symbol| symbol.name().is_ok_and(|name| name.contains("tokio")));
        assert_eq!(has, expected, "{name}");
    }
    Ok(())
}

#[test]
fn a_code_byte_that_differs_from_the_file_is_found() -> Result<()> {
    let _turn = turn();
    let mut fixture = Fixture::start_binary("fixture-plain", "")?;
    text::untouched(fixture.pid(), "before")?;
    // A breakpoint where the kernel would put one: through /proc/PID/mem, which may write to private code pages.
    let offset = first_code_byte(fixture.pid())?;
    let memory = std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{}/mem", fixture.pid()))
        .map_err(Failure::io("/proc/PID/mem"))?;
    std::os::unix::fs::FileExt::write_at(&memory, &[0xcc], offset.1).map_err(Failure::io("a breakpoint"))?;
    assert_eq!(text::changed_bytes(fixture.pid())?, [offset.0]);
    fixture.process.signal(libc::SIGKILL)?;
    fixture.process.wait(Duration::from_secs(10))?;
    Ok(())
}

/// File offset and address of the first byte of the program's code, which ran long ago.
fn first_code_byte(pid: u32) -> Result<(u64, u64)> {
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path).map_err(Failure::io(path))?;
    let parse = |line: &str| {
        let offset = u64::from_str_radix(line.split_whitespace().nth(2)?, 16).ok()?;
        let start = u64::from_str_radix(line.split('-').next()?, 16).ok()?;
        Some((offset, start))
    };
    let code = maps.lines().find(|line| line.contains("r-xp"));
    code.and_then(parse).ok_or_else(|| Failure::Wrong(vec![format!("no code in {maps}")]))
}

#[test]
fn a_silent_child_is_given_up_and_killed() -> Result<()> {
    let started = Instant::now();
    let mut child = Process::start(Command::new("sleep").arg("100"))?;
    let pid = child.pid();
    let failure = child.stdout.wait("word", Duration::from_millis(50), |_| Some(())).unwrap_err();
    assert!(matches!(failure, Failure::Timeout { .. }), "{failure}");
    drop(child);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

#[test]
fn a_child_that_ends_early_is_told_from_a_silent_one() -> Result<()> {
    let mut child = Process::start(Command::new("sh").args(["-c", "echo one; echo two; echo why >&2"]))?;
    let first = child.stdout.wait("one", Duration::from_secs(10), |line| (line == "one").then_some(7))?;
    assert_eq!(first, 7);
    let failure = child.stdout.wait("three", Duration::from_secs(10), |line| (line == "three").then_some(()));
    let message = failure.unwrap_err().to_string();
    assert!(message.contains("ended before three") && message.contains("two"), "{message}");
    assert_eq!(to_end(child)?.stderr, "why");
    Ok(())
}

/// The smallest report there is: one finished type, with these states.
fn a_report(wall_ns: u64, running_ns: u64) -> String {
    serde_json::json!({
        "schema": "profiler.report/1",
        "target": { "pid": 7, "exe": "/srv/app", "build_id": null, "tokio": "1.54.1" },
        "window": { "clock": "CLOCK_MONOTONIC", "start_ns": 1, "end_ns": 2, "start_unix_ns": 3 },
        "requests": [],
        "foreign": [],
        "tasks": [{
            "id": null, "type": "app::step", "kind": "spawned", "count": 2, "finished": true, "state": null,
            "spawn_seen": true, "request": null,
            "wall_ns": wall_ns, "running_ns": running_ns, "preempted_ns": 1, "blocked_ns": 2, "scheduled_ns": 3,
            "suspended_ns": 4, "stopped_ns": 0, "unseen_ns": 0,
            "polls": 2, "wakes": 0, "wake_unseen": 0, "yielded": 0, "longest_poll_ns": 5,
        }],
        "stacks": {
            "every_poll": true, "period_ns": null, "poll_record_ns": 50_000, "walks": 0, "frames": 0, "walk_ns": 0, "ends": {},
            "tables": { "files": 0, "rows": 0, "bytes": 0, "build_ns": 0 },
        },
        "awaits": { "source": "none", "walks": { "walks": 0, "unchanged": 0, "steps": 0, "words": 0, "walk_ns": 0, "ends": {} } },
        "await_stacks": [],
        "blocking": null,
        "lost": {},
    })
    .to_string()
}

#[test]
fn a_report_is_read_only_if_it_adds_up_and_keeps_to_the_schema() -> Result<()> {
    let read = |text: &str| Report::parse(Path::new("report.json"), text);
    let report = read(&a_report(20, 10))?;
    assert_eq!(report.finished("step").map(|row| row.count), Some(2));
    assert!(report.finished("ste").is_none());
    assert!(matches!(read(&a_report(21, 10)), Err(Failure::Wrong(_))), "one nanosecond off");
    let unknown = a_report(20, 10).replace("\"lost\"", "\"losses\"");
    assert!(matches!(read(&unknown), Err(Failure::Form { .. })), "a field that the schema does not know");
    assert!(matches!(read("{"), Err(Failure::Form { .. })));
    Ok(())
}

/// 10 ms: 1 until the first poll, 4 running, 1 preempted, 2 blocked, 2 suspended, in two polls.
fn a_row() -> Row {
    Row {
        kind: Kind::Task,
        step: "step".to_owned(),
        type_name: String::new(),
        request: None,
        task_id: Some(3),
        outcome: Outcome::Done,
        spawned_ns: 5_000_000,
        ended_ns: 15_000_000,
        polls: 2,
        wakes: 1,
        first_delay_ns: 1_000_000,
        scheduled_ns: 0,
        suspended_ns: 2_000_000,
        unwoken_ns: 0,
        poll_wall_ns: 7_000_000,
        longest_poll_ns: 4_000_000,
        cpu_ns: 4_000_000,
        run_delay_ns: 1_000_000,
        slept_ns: 2_000_000,
        switches: 0,
    }
}

fn its_times() -> Times {
    Times {
        wall_ns: 10_000_000,
        running_ns: 4_000_000,
        preempted_ns: 1_000_000,
        blocked_ns: 2_000_000,
        scheduled_ns: 1_000_000,
        suspended_ns: 2_000_000,
    }
}

type Field = fn(&mut Times) -> &mut u64;

#[test]
fn the_truth_agrees_with_itself_and_with_nothing_else() {
    let truth = Truth::of([&a_row()], true);
    assert_eq!(truth.against("step", &its_times(), 2), [""; 0]);
    // From every state to every other more time is moved than a bound allows: each must be noticed.
    let fields: [Field; 5] = [
        |times| &mut times.running_ns,
        |times| &mut times.preempted_ns,
        |times| &mut times.blocked_ns,
        |times| &mut times.scheduled_ns,
        |times| &mut times.suspended_ns,
    ];
    for (index, from) in fields.iter().enumerate() {
        for (_, to) in fields.iter().enumerate().filter(|(other, _)| *other != index) {
            let mut moved = its_times();
            *from(&mut moved) -= 200_000;
            *to(&mut moved) += 200_000;
            assert_eq!(moved.sum(), moved.wall_ns);
            assert_eq!(truth.against("step", &moved, 2).len(), 2, "from state {index}: {moved:?}");
        }
    }
    let mut longer = its_times();
    longer.wall_ns += 61_000;
    assert_eq!(truth.against("step", &longer, 2).len(), 1);
    assert_eq!(truth.against("step", &its_times(), 3).len(), 1);
}

#[test]
fn without_its_spawn_a_task_begins_with_its_first_poll() {
    let truth = Truth::of([&a_row()], false);
    let mut times = its_times();
    assert!(!truth.against("step", &times, 2).is_empty());
    times.wall_ns -= 1_000_000;
    times.scheduled_ns = 0;
    assert_eq!(truth.against("step", &times, 2), [""; 0]);
}

#[test]
fn unexplained_time_may_be_in_a_poll_and_nowhere_else() {
    let mut row = a_row();
    row.cpu_ns -= 500_000;
    let truth = Truth::of([&row], true);
    assert_eq!(truth.unexplained_ns, 500_000);
    assert_eq!(truth.against("step", &its_times(), 2), [""; 0]);
    let mut times = its_times();
    times.running_ns -= 500_000;
    times.scheduled_ns += 500_000;
    assert_eq!(truth.against("step", &times, 2).len(), 1);
    times.running_ns -= 500_000;
    assert_eq!(truth.against("step", &times, 2).len(), 2);
}

#[test]
fn each_comparison_must_agree_once_and_not_only_by_luck() {
    let right = |name: &str| (name.to_owned(), Vec::new());
    let wrong = |name: &str| (name.to_owned(), vec!["wrong".to_owned()]);
    let mut attempts = Attempts::default();
    attempts.note(vec![wrong("a"), right("b"), right("c")]);
    assert!(!attempts.settled());
    // `b` was right before; that it is wrong now does not take that back.
    attempts.note(vec![right("a"), wrong("b"), right("c")]);
    assert!(attempts.settled() && attempts.verdict().is_ok());

    let mut never = Attempts::default();
    never.note(vec![wrong("a"), right("b"), right("c")]);
    never.note(vec![right("b"), right("c")]);
    assert!(never.verdict().is_err(), "a was never right");

    let mut rarely = Attempts::default();
    (0..3).for_each(|_| rarely.note(vec![wrong("a"), wrong("b")]));
    rarely.note(vec![right("a"), right("b")]);
    assert!(rarely.settled() && rarely.verdict().is_err(), "three of four were wrong");
    assert!(Attempts::default().verdict().is_err(), "nothing was compared");

    let mut early = Attempts::up_to(3);
    assert!(early.go_on());
    early.note(vec![right("a")]);
    assert!(!early.go_on(), "it has agreed");
    let mut late = Attempts::up_to(3);
    let made = std::iter::from_fn(|| late.go_on().then(|| late.note(vec![wrong("a")]))).count();
    assert_eq!(made, 3, "no more than were allowed");
}

#[test]
fn type_names_match_by_whole_words() {
    let name = "fixture_service::measured::Measured<fixture_service::known_times::await_step::{async_fn_env#0}>";
    assert!(is_of(name, "await_step"));
    assert!(!is_of(name, "wait_step") && !is_of(name, "await"));
}

/// Check in each profile that the stack fixture runs, that it tells every phase, and that each function of a chain begins where its symbol
/// says. Building them here, not as root, leaves nothing for the tests that are.
#[test]
fn the_stack_fixture_knows_its_functions() -> Result<()> {
    let mut wrong = Vec::new();
    for cell in cells::tried() {
        let mut fixture = Chained::start(cell, 5)?;
        let phases = fixture.round(|| Ok(()))?;
        let functions = fixture.functions()?;
        fixture.end()?;
        assert_eq!(phases.len(), stack_fixture::phase::plans().len());
        for phase in &phases {
            // How long it took is no matter here: a pipe's writer starts its own clock.
            let ended = phase.start_ns < phase.end_ns;
            let unknown = phase.chain.iter().filter(|function| !functions.holds(function.address, function.address));
            let unknown: BTreeSet<_> = unknown.map(|function| &function.name).collect();
            if !ended || !unknown.is_empty() {
                wrong.push(format!("{cell}: {}: {} ns, without symbol: {unknown:?}", phase.name, phase.end_ns - phase.start_ns));
            }
        }
    }
    failure::all_right(wrong)
}
