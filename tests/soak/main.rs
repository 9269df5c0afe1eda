//! A long run: profilers stay, or come and go, at a service under mixed load, in every mode, for minutes or an hour. Neither the profiler nor its target grows, no
//! descriptor and no kernel object stays, and the first report adds up like the last. `cargo xtask soak`. Needs root.
//!
//! `PROFILER_SOAK_MINUTES` says how long; two minutes without.

mod flat;
mod sampled;

use std::time::{Duration, Instant};

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::kernel_objects::KernelObjects;
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, needs_root};

use flat::Series;
use sampled::{descriptors, memory_kib};

/// The variable that says how many minutes it takes.
const MINUTES: &str = "PROFILER_SOAK_MINUTES";
/// What it takes else.
const DEFAULT_MINUTES: f64 = 2.0;
/// In a run of this length, what a daemon keeps has reached its bounds long before the last half.
const LONG: Duration = Duration::from_mins(40);
/// How long one daemon stays in a cycle.
const STAY: Duration = Duration::from_secs(3);
/// Those that stay: requests that keep their own times, and probes on every poll. Of the latter, no request is so slow that it is kept and few samples are
/// taken: what a daemon keeps grows up to its bounds (`tests/faults/storm.rs` holds these), and here it is to be told from what leaks.
const STAY_ON: [(&str, &[&str]); 2] =
    [("own times", &["--all-requests"]), ("every poll", &["--slower-than", "10m", "--mode", "process", "--rate", "1"])];
/// Pause between two looks at a daemon that stays to the end.
const LOOK: Duration = Duration::from_millis(500);

/// Ways to measure, in turn.
const CYCLES: [(&str, &[&str]); 4] = [
    ("every poll", &["--all-requests", "--mode", "process"]),
    ("some requests", &["--request-prefix", "load-0-"]),
    ("own times", &["--all-requests"]),
    ("one in a hundred", &["--sample", "1/100"]),
];

fn minutes() -> f64 {
    std::env::var(MINUTES).ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_MINUTES)
}

/// What is watched.
#[derive(Default)]
struct Watched {
    /// Of the daemons that stay.
    stays_memory: [Series; 2],
    stays_descriptors: [Series; 2],
    /// Of each that comes and goes, when it has been there for a while.
    comes_memory: [Series; CYCLES.len()],
    /// Of the targets of those that stay, and of the one that others come to.
    target_memory: [Series; 3],
    target_descriptors: [Series; 3],
    cycles: usize,
    reports: usize,
    requests: u64,
    /// Recordings in which no child ended.
    idle: usize,
}

/// Two daemons stay from the first minute to the last; others come to another service and go.
#[test]
fn nothing_grows_and_nothing_stays() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let time = Duration::from_secs_f64(minutes() * 60.0);
    let began = Instant::now();
    // Of as many files: a program's requests are probed in one mode at a time.
    let (mut stayed_at, mut victim) = ([Victim::start(2)?, Victim::start(2)?], Victim::start(2)?);
    victim.goes_on()?;
    let stay = |nth: usize| Daemon::attach(stayed_at[nth].pid(), STAY_ON[nth].1);
    let stays = [stay(0)?, stay(1)?];
    let held = |daemon: &Daemon| KernelObjects::of_process(daemon.pid());
    let objects = [held(&stays[0])?, held(&stays[1])?];
    // The first report takes the program's symbols into memory, once.
    stayed_at.iter_mut().try_for_each(Victim::goes_on)?;
    for daemon in &stays {
        daemon.report()?;
    }
    let mut watched = Watched::default();
    while began.elapsed() < time {
        let nth = watched.cycles % CYCLES.len();
        cycle(&mut victim, nth, &mut watched)?;
        look([&stayed_at[0], &stayed_at[1], &victim], &stays, &mut watched)?;
        stayed_at.iter_mut().try_for_each(Victim::goes_on)?;
        for (daemon, objects) in stays.iter().zip(&objects) {
            if watched.cycles.is_multiple_of(4) {
                // Every row of every report is held to its identity as it is read.
                watched.requests += daemon.report()?.requests.len() as u64;
                watched.reports += 1;
            }
            assert_eq!(held(daemon)?.counts(), objects.counts(), "a daemon that stays holds more");
        }
    }
    for (daemon, objects) in stays.into_iter().zip(objects) {
        let last = daemon.report()?;
        assert!(last.finished("child_step").is_some_and(|row| row.count > 0) || !last.requests.is_empty(), "{:?}", last.lost);
        watched.reports += 1;
        let ended = daemon.end(libc::SIGINT)?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        objects.are_gone()?;
    }
    let mut served = 0;
    for mut target in stayed_at.into_iter().chain([victim]) {
        target.is_asked_nothing()?;
        target.goes_on()?;
        served += target.served()?;
        target.end()?;
    }
    verdict(&watched, began.elapsed(), served)
}

/// One daemon comes, is asked, and goes; the target is as it was.
fn cycle(victim: &mut Victim, nth: usize, watched: &mut Watched) -> Result<()> {
    let (name, arguments) = CYCLES[nth];
    let wrong = |failure: Failure| Failure::Wrong(vec![format!("cycle {} ({name}): {failure}", watched.cycles)]);
    let daemon = Daemon::attach(victim.pid(), arguments).map_err(wrong)?;
    let objects = KernelObjects::of_process(daemon.pid())?;
    std::thread::sleep(STAY);
    victim.goes_on()?;
    let report = daemon.report().map_err(wrong)?;
    assert!(!report.requests.is_empty(), "cycle {} ({name}): {:?}", watched.cycles, report.lost);
    let memory = memory_kib(daemon.pid())?;
    let ended = daemon.end(libc::SIGINT)?;
    assert_eq!(ended.code(), 0, "cycle {} ({name}): {}", watched.cycles, ended.stderr);
    objects.are_gone()?;
    // And a recording, which is the other way to come and go.
    let cycle = watched.cycles;
    recorded(victim, watched).map_err(|failure| Failure::Wrong(vec![format!("cycle {cycle} ({name}): {failure}")]))?;
    victim.is_asked_nothing()?;
    victim.goes_on()?;
    watched.comes_memory[nth].push(memory);
    watched.requests += report.requests.len() as u64;
    watched.reports += 1;
    watched.cycles += 1;
    Ok(())
}

/// A recording that sees a child end. On a busy machine the target may get no CPU for as long as a short one lasts, so that the next is longer.
fn recorded(victim: &Victim, watched: &mut Watched) -> Result<()> {
    let mut lost = None;
    for duration in ["300ms", "1s", "4s", "16s"] {
        let report = Recording::attach(victim.pid(), &["--all", "--duration", duration])?.report()?;
        watched.reports += 1;
        if report.finished("child_step").is_some_and(|row| row.count > 0) {
            return Ok(());
        }
        watched.idle += 1;
        lost = Some(report.lost);
    }
    Err(Failure::Wrong(vec![format!("no recording saw a child end: {lost:?}")]))
}

fn look(targets: [&Victim; 3], stays: &[Daemon; 2], watched: &mut Watched) -> Result<()> {
    for _ in 0..2 {
        for (nth, daemon) in stays.iter().enumerate() {
            watched.stays_memory[nth].push(memory_kib(daemon.pid())?);
            watched.stays_descriptors[nth].push(descriptors(daemon.pid())?);
        }
        for (nth, target) in targets.iter().enumerate() {
            watched.target_memory[nth].push(memory_kib(target.pid())?);
            watched.target_descriptors[nth].push(descriptors(target.pid())?);
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn verdict(watched: &Watched, took: Duration, served: u64) -> Result<()> {
    let mut rows = Vec::new();
    for (nth, (name, _)) in STAY_ON.iter().enumerate() {
        // Whoever measures every poll keeps stretches off the CPU and long polls, the latest so many of each.
        let bound = if nth == 0 { flat::Bound::memory() } else { flat::Bound::filling(took >= LONG) };
        rows.push((format!("daemon that stays ({name}), memory KiB"), &watched.stays_memory[nth], bound));
        rows.push((format!("daemon that stays ({name}), descriptors"), &watched.stays_descriptors[nth], flat::Bound::count()));
    }
    for (nth, name) in ["target of the first", "target of the second", "target of those that come"].into_iter().enumerate() {
        rows.push((format!("{name}, memory KiB"), &watched.target_memory[nth], flat::Bound::memory()));
        rows.push((format!("{name}, descriptors"), &watched.target_descriptors[nth], flat::Bound::count()));
    }
    for ((name, _), series) in CYCLES.iter().zip(&watched.comes_memory) {
        rows.push((format!("daemons that come ({name}), memory KiB"), series, flat::Bound::memory()));
    }
    println!(
        "soak: {:.1} minutes, {} cycles, {served} requests served, {} reports with {} requests, each row to its identity; {} recordings saw no child end and \
         were taken again",
        took.as_secs_f64() / 60.0,
        watched.cycles,
        watched.reports,
        watched.requests,
        watched.idle
    );
    println!("{:<48} {:>10} {:>10} {:>10}", "", "first 1/4", "last 1/4", "most");
    let mut wrong = Vec::new();
    for (name, series, bound) in rows {
        println!("{name:<48} {:>10} {:>10} {:>10}", series.first(), series.last(), series.most());
        wrong.extend(series.against(bound).map(|why| format!("{name} {why}")));
    }
    profiler_tests::failure::all_right(wrong)
}
