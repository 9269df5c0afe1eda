//! The mode without probes: services that measure their tasks themselves, with the annotation and without. CPU time is held to what its samples
//! can tell, time asleep is exact, and what lies between polls is nowhere.

use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, Recording, run_to_end};
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, needs_root};
use serde::Deserialize;

use crate::compare::ATTEMPTS;

const LIMIT: Duration = Duration::from_mins(1);
/// Threads of a service: two workers, and the one that started them.
const THREADS: u64 = 3;
/// Samples a second.
const RATE: &str = "997";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
enum Event {
    Ready,
    Failed,
    Task(Truth),
    Done,
}

/// What a task measured of itself.
#[derive(Debug, Deserialize)]
struct Truth {
    name: String,
    id: u64,
    cpu_ns: u64,
    slept_ns: u64,
}

struct Service(Process);

impl Service {
    fn start(name: &str) -> Result<Self> {
        let mut service = Self(Process::start(&mut Command::new(binaries::fixture(name)?))?);
        match service.event()? {
            Event::Ready => Ok(service),
            other => Err(Failure::Wrong(vec![format!("not ready: {other:?}")])),
        }
    }

    fn event(&mut self) -> Result<Event> {
        self.0.stdout.wait("an event of the service", LIMIT, |line| serde_json::from_str(line).ok())
    }

    fn round(&mut self) -> Result<Vec<Truth>> {
        self.0.tell("go")?;
        let mut all = Vec::new();
        loop {
            match self.event()? {
                Event::Task(truth) => all.push(truth),
                Event::Done => return Ok(all),
                other => return Err(Failure::Wrong(vec![format!("not the service's turn to say {other:?}")])),
            }
        }
    }
}

/// Whether so many samples can stand for this CPU time: four times the standard deviation of as many independent ones.
fn fits(samples: u64, period_ns: u64, cpu_ns: u64) -> bool {
    let expected = cpu_ns / period_ns;
    samples.abs_diff(expected) <= 4 * expected.isqrt() + 2
}

/// Exactly, but for the way into the system call and out of it.
fn is_exact(blocked_ns: u64, slept_ns: u64) -> bool {
    blocked_ns.abs_diff(slept_ns) <= slept_ns / 100 + 100_000
}

/// What is wrong with the tasks of a report.
fn wrong_tasks(report: &Report, truths: &[Truth]) -> Vec<String> {
    let Some(seen) = &report.sampled else { return vec!["no tasks of a target without probes".to_owned()] };
    let period_ns = seen.period_ns.unwrap_or(0).max(1);
    let mut wrong = Vec::new();
    for truth in truths {
        match seen.task(truth.id) {
            None => wrong.push(format!("task {} is missing: {:?}", truth.id, seen.tasks)),
            Some(row) if !fits(row.samples, period_ns, truth.cpu_ns) || !is_exact(row.blocked_ns, truth.slept_ns) => {
                wrong.push(format!("{row:?} {truth:?}"));
            }
            Some(_) => {}
        }
    }
    // Two workers that wait for work most of the time, and nothing of it is a task's.
    let waited_ns = seen.outside.map_or(0, |outside| outside.blocked_ns);
    if waited_ns < 100_000_000 {
        wrong.push(format!("threads waited for work for {waited_ns} ns only"));
    }
    let window_ns = report.window.end_ns - report.window.start_ns;
    if waited_ns > THREADS * window_ns {
        wrong.push(format!("{THREADS} threads waited for {waited_ns} ns of {window_ns}: threads that have ended wait on"));
    }
    if seen.tasks.iter().any(|row| row.type_name.contains("Launch")) {
        wrong.push(format!("a worker's own loop is told as a task: {:?}", seen.tasks));
    }
    wrong
}

/// What is wrong with the requests of a report.
fn wrong_requests(report: &Report, truths: &[Truth]) -> Vec<String> {
    let period_ns = report.sampled.as_ref().and_then(|seen| seen.period_ns).unwrap_or(1);
    let mut wrong = Vec::new();
    for truth in truths.iter().filter(|truth| truth.name != "sampled-c") {
        let row = report.foreign.iter().find(|row| row.id == truth.name);
        let right = row.is_some_and(|row| {
            row.source == "scope"
                && row.tasks == [truth.id]
                && row.wall_ns.is_none()
                && fits(row.samples, period_ns, truth.cpu_ns)
                && is_exact(row.blocked_ns, truth.slept_ns)
        });
        if !right {
            wrong.push(format!("{row:?} {truth:?}"));
        }
    }
    if report.foreign.len() != 2 || !report.requests.is_empty() || !report.tasks.is_empty() {
        wrong.push(format!("more than there is: {:?} {:?} {:?}", report.foreign, report.requests, report.tasks));
    }
    wrong
}

/// Records rounds until one is right: what a virtual machine's host steals is in nobody's account.
fn follow(service: &mut Service, wrong: impl Fn(&Report, &[Truth]) -> Vec<String>) -> Result<()> {
    let mut last = Vec::new();
    for _ in 0..ATTEMPTS {
        let recording = Recording::attach(service.0.pid(), &["--mode", "sample", "--rate", RATE, "--duration", "1m"])?;
        let truths = service.round()?;
        recording.interrupt()?;
        last = wrong(&recording.report()?, &truths);
        if last.is_empty() {
            return Ok(());
        }
    }
    Err(Failure::Wrong(last))
}

#[test]
fn tasks_and_requests_are_told_apart_without_a_probe() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start("sampled-service")?;
    follow(&mut service, |report, truths| [wrong_tasks(report, truths), wrong_requests(report, truths)].concat())
}

#[test]
fn a_program_that_knows_nothing_of_us_has_tasks() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start("sampled-plain")?;
    follow(&mut service, |report, truths| {
        let mut wrong = wrong_tasks(report, truths);
        if !report.foreign.is_empty() {
            wrong.push(format!("requests without a name: {:?}", report.foreign));
        }
        wrong
    })
}

/// The program's code as it is in memory.
fn code(pid: u32) -> Result<Vec<u8>> {
    let failed = |what: String| Failure::Wrong(vec![what]);
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(Failure::io("maps"))?;
    let line = maps.lines().find(|line| line.contains(" r-xp ") && line.contains("sampled-service"));
    let range = line.and_then(|line| line.split_once(' ')).and_then(|(range, _)| range.split_once('-'));
    let (start, end) = range.ok_or_else(|| failed(format!("no code in {maps}")))?;
    let number = |text: &str| u64::from_str_radix(text, 16).map_err(|error| failed(error.to_string()));
    let (start, end) = (number(start)?, number(end)?);
    let mut bytes = vec![0; usize::try_from(end - start).map_err(|error| failed(error.to_string()))?];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).map_err(Failure::io("mem"))?;
    memory.read_exact_at(&mut bytes, start).map_err(Failure::io("mem"))?;
    Ok(bytes)
}

/// Check that not one byte of the program's code changes, which a uprobe would, and that only the wanted request is told.
#[test]
fn no_probe_is_in_the_program() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start("sampled-service")?;
    // Its first scope tells where the slot is.
    service.round()?;
    let before = code(service.0.pid())?;
    let daemon = Daemon::attach(service.0.pid(), &["--mode", "sample", "--request", "sampled-b", "--rate", RATE])?;
    assert!(code(service.0.pid())? == before, "the code has changed");
    service.round()?;
    assert!(code(service.0.pid())? == before, "the code has changed");
    let report = daemon.report()?;
    assert_eq!(report.foreign.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["sampled-b"], "{:?}", report.foreign);
    let tasks = daemon.ask(&["tasks", "--once"])?;
    assert!(tasks.stdout.contains("not known") && !tasks.stdout.contains("[tokio"), "{}", tasks.stdout);
    let requests = daemon.ask(&["requests"])?;
    assert!(requests.stdout.contains("sampled-b") && requests.stdout.contains("not known"), "{}", requests.stdout);
    let waits = daemon.ask(&["waits", "--all"])?;
    assert!(waits.code() == 45 && waits.stderr.contains("without probes"), "{waits:?}");
    daemon.end(libc::SIGTERM).map(drop)
}

#[test]
fn what_cannot_be_told_is_refused_in_a_sentence() -> Result<()> {
    let _turn = turn();
    for choice in [&["--next", "5"][..], &["--slower-than", "5ms"], &["--request-prefix", "a"], &["--sample", "1/10"]] {
        let words = [&["record", "--pid", "1", "-o", "/dev/null", "--mode", "sample"][..], choice].concat();
        let ended = run_to_end(words.iter().copied())?;
        assert!(ended.code() == 2 && ended.stderr.contains("only --request can choose"), "{choice:?}: {ended:?}");
    }
    Ok(())
}
