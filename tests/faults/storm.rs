//! A spawn storm: more tasks than there are rows for, faster than they can be told of; and a daemon that does not come to look while its ring buffer
//! fills up. What is shown and what is counted as lost make up what there was, to the task; what is shown adds up; and the daemon stays small.

use profiler_tests::daemon::Daemon;
use profiler_tests::report::{Report, is_of};
use profiler_tests::serial::turn;
use profiler_tests::victim::{Storm, Victim, soon};
use profiler_tests::{Result, needs_root};

use crate::said::{EVERY_POLL, OWN_TIMES, held_by, proc_text};

/// Tasks of the storm.
const TASKS: u64 = 1_000_000;
/// So many of them are alive at once: more than the kernel side has rows for (`limits::TASKS`, 262,144).
const HELD: u64 = 300_000;
/// The most memory that the daemon may ever have taken (bytes), its own symbols and the report that it writes included. What it keeps is bounded by
/// the constants of `collect`; this is what they come to, and some room.
const MOST_MEMORY: u64 = 400 << 20;

/// How many of a storm's tasks are requests; see the fixture.
fn requests_of(tasks: u64, held: u64, scopes: u64) -> u64 {
    (held..tasks).filter(|number| number % 1000 < scopes).count() as u64
}

fn lost(report: &Report, name: &str) -> u64 {
    report.lost.get(name).copied().unwrap_or_else(|| panic!("no counter {name}"))
}

/// The storm's tasks in the sums of finished ones.
fn finished(report: &Report) -> u64 {
    let of_storm = |name: &str| ["storm_step", "held_step", "storm_request_step"].iter().any(|step| is_of(name, step));
    report.tasks.iter().filter(|row| row.finished && of_storm(&row.type_name)).map(|row| row.count).sum()
}

fn shown(report: &Report) -> u64 {
    report.requests.iter().filter(|row| row.id.starts_with("storm-")).count() as u64
}

fn most_memory(pid: u32) -> Result<u64> {
    let status = proc_text(pid, "status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    Ok(peak.unwrap() * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn tell(what: &str, tasks: u64, storm: Storm, memory: u64) {
    let seconds = storm.took.as_secs_f64();
    eprintln!(
        "{what}: {tasks} tasks in {seconds:.1} s, {:.0} a second; the daemon took {} MiB",
        tasks as f64 / seconds,
        memory >> 20
    );
}

/// The report in which everything of the storm has come: the last ends may be on their way.
fn settled(daemon: &Daemon, mut missing: impl FnMut(&Report) -> Vec<String>) -> Result<Report> {
    let mut last = None;
    soon("what is shown and what is lost do not make up what there was", || {
        // It holds every row to its identity, and the whole to its form.
        let report = daemon.report()?;
        let missing = missing(&report);
        last = Some(report);
        Ok(missing)
    })?;
    Ok(last.unwrap())
}

fn makes_up(what: &str, there_were: u64, parts: &[(&str, u64)]) -> Option<String> {
    let sum: u64 = parts.iter().map(|(_, count)| count).sum();
    (sum != there_were).then(|| format!("{what}: {there_were} there were, {parts:?} are {sum}"))
}

/// Every poll is probed. The map of tasks is full for most of the storm.
#[test]
fn a_million_tasks_are_shown_or_counted() -> Result<()> {
    const SCOPES: u64 = 3;
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(0)?;
    let daemon = Daemon::attach(victim.pid(), EVERY_POLL)?;
    let objects = held_by(daemon.pid())?;
    let storm = victim.storm(TASKS, HELD, SCOPES)?;
    let requests = requests_of(TASKS, HELD, SCOPES);
    let report = settled(&daemon, |report| {
        let tasks = makes_up("tasks", TASKS, &[("finished", finished(report)), ("task_unseen", lost(report, "task_unseen"))]);
        let kept = [
            ("shown", shown(report)),
            ("request_dropped", lost(report, "request_dropped")),
            ("scope_map_full", lost(report, "scope_map_full")),
        ];
        [tasks, makes_up("requests", requests, &kept)].into_iter().flatten().collect()
    })?;
    assert!(lost(&report, "task_map_full") > 0, "the map of tasks was to be full");
    let memory = most_memory(daemon.pid())?;
    tell("every poll", TASKS, storm, memory);
    assert!(memory < MOST_MEMORY, "{memory} bytes");
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    objects.are_gone()?;
    victim.is_asked_nothing()?;
    victim.end()
}

/// The daemon is stopped, as one that gets no CPU is: the ring buffer fills, then the map of requests, in which ended ones wait for it.
#[test]
fn what_a_stopped_daemon_misses_is_counted() -> Result<()> {
    const REQUESTS: u64 = 60_000;
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(0)?;
    // None is so slow: each that was seen is counted as too fast, and a report stays small.
    let daemon = Daemon::attach(victim.pid(), &["--slower-than", "10m", "--mode", "process"])?;
    let objects = held_by(daemon.pid())?;
    daemon.signal(libc::SIGSTOP)?;
    let storm = victim.storm(REQUESTS, 0, 1000)?;
    daemon.signal(libc::SIGCONT)?;
    let report = settled(&daemon, |report| {
        let tasks = makes_up("tasks", REQUESTS, &[("finished", finished(report)), ("task_unseen", lost(report, "task_unseen"))]);
        let kept = [
            ("shown", shown(report)),
            ("request_too_fast", lost(report, "request_too_fast")),
            ("scope_map_full", lost(report, "scope_map_full")),
        ];
        [tasks, makes_up("requests", REQUESTS, &kept)].into_iter().flatten().collect()
    })?;
    assert!(lost(&report, "ring_full_request") > 0 && lost(&report, "scope_map_full") > 0, "{:?}", report.lost);
    let memory = most_memory(daemon.pid())?;
    tell("the daemon stopped", REQUESTS, storm, memory);
    assert!(memory < MOST_MEMORY, "{memory} bytes");
    // Its places are free again.
    let served = victim.storm(1000, 0, 1000)?;
    assert!(served.took.as_nanos() > 0);
    let full = lost(&report, "scope_map_full");
    settled(&daemon, |report| {
        let found = lost(report, "scope_map_full");
        (found != full).then(|| format!("{found} requests found no room, {full} before")).into_iter().collect()
    })?;
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    objects.are_gone()?;
    victim.is_asked_nothing()?;
    victim.end()
}

/// Requests that keep their own times: those that find the ring buffer full are missing, and counted.
#[test]
fn requests_that_keep_their_times_are_in_their_route_or_counted() -> Result<()> {
    const REQUESTS: u64 = 200_000;
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(0)?;
    // Where its threads' words stand is known once there has been a scope.
    victim.storm(10, 0, 1000)?;
    let daemon = Daemon::attach(victim.pid(), OWN_TIMES)?;
    let objects = held_by(daemon.pid())?;
    daemon.signal(libc::SIGSTOP)?;
    let before = victim.storm(REQUESTS / 2, 0, 1000)?;
    daemon.signal(libc::SIGCONT)?;
    let running = victim.storm(REQUESTS / 2, 0, 1000)?;
    let report = settled(&daemon, |report| {
        let routed = report.routes.iter().filter(|route| route.route == "storm-*").map(|route| route.count).sum();
        let parts = [("in their route", routed), ("ring_full_times", lost(report, "ring_full_times"))];
        makes_up("requests", REQUESTS, &parts).into_iter().collect()
    })?;
    assert!(lost(&report, "ring_full_times") > 0, "{:?}", report.lost);
    let memory = most_memory(daemon.pid())?;
    tell("own times, the daemon stopped", REQUESTS / 2, before, memory);
    tell("own times", REQUESTS / 2, running, memory);
    assert!(memory < MOST_MEMORY, "{memory} bytes");
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    objects.are_gone()?;
    victim.is_asked_nothing()?;
    victim.end()
}
