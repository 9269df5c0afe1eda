//! Every program is taken by the kernel, runs when its site is hit, and does what it is for, for both kinds of link.
//!
//! The kernel counts a program's runs, so that one that never ran is told apart from one that ran and counted nothing.

use std::collections::BTreeMap;
use std::fs;

use aya::sys::{Stats, enable_stats};
use profiler_common::site::SiteRole;
use profiler_daemon::attach::{Handlers, LinkKind, Probe, UprobeMulti, uprobe_multi};
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root, skip};

use crate::player::clock::{MS, spin};
use crate::player::poll::{complete, defer, enter, idle, pending, poll, queue, spawn, store_waker, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::player::triggers;
use crate::session::{Session, Wish, all_probes, probe};

/// Names as the kernel keeps them, cut to 15 bytes.
const UPROBE_PROGRAMS: [&str; 13] = [
    "local_scheduled",
    "poll_idle",
    "poll_return",
    "poll_returned",
    "poll_start",
    "scope_end",
    "scope_enter",
    "scope_exit",
    "task_complete",
    "task_defer",
    "task_spawn",
    "task_wake",
    "waker_stored",
];

/// A site for every program.
pub(crate) fn probes_of_every_program() -> Vec<Probe> {
    let returned = probe(SiteRole::PollReturn, triggers::trigger_poll_returned as *const ());
    let mut probes = all_probes();
    probes.extend([
        probe(SiteRole::PollStart, triggers::trigger_poll_with_return as *const ()),
        probe(SiteRole::PollReturn, triggers::trigger_poll_return as *const ()),
        probe(SiteRole::PollStart, triggers::trigger_poll_returned as *const ()),
        Probe { on_return: true, ..returned },
    ]);
    probes
}

/// Makes the kernel count runs until it is dropped.
fn counting() -> impl Sized {
    enable_stats(Stats::RunTime).unwrap()
}

/// How often each program that this process holds has run, by name.
fn runs() -> BTreeMap<String, u64> {
    let names: BTreeMap<u32, String> = aya::programs::loaded_programs()
        // Others' programs come and go meanwhile.
        .filter_map(std::result::Result::ok)
        .filter_map(|program| Some((program.id(), program.name_as_str()?.to_owned())))
        .collect();
    let mut runs = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else { continue };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().parse::<u64>().ok()
        };
        // A link's description names its program too, but not its runs.
        let (Some(id), Some(count)) = (field("prog_id"), field("run_cnt")) else { continue };
        let name = names.get(&u32::try_from(id).unwrap()).cloned().unwrap_or_default();
        *runs.entry(name).or_default() += count;
    }
    runs
}

/// Hits the site of every program a known number of times.
fn play(task: &Task, scope: &Scope) {
    spawn(task);
    queue(task);
    pending(task, || {
        scope.polled(|| ());
        scope.end();
        defer([task.header(), 0]);
        store_waker(task);
    });
    wake(task);
    poll(task, || _ = idle(task));
    for function in [triggers::trigger_poll_with_return, triggers::trigger_poll_returned] {
        enter(function, task.header(), || ());
    }
    complete(task);
}

/// How often [`play`] does that.
const PLAYED: [(&str, u64); 13] = [
    ("local_scheduled", 1),
    ("poll_idle", 2),
    ("poll_return", 1),
    ("poll_returned", 1),
    ("poll_start", 4),
    ("scope_end", 1),
    ("scope_enter", 1),
    ("scope_exit", 1),
    ("task_complete", 1),
    ("task_defer", 1),
    ("task_spawn", 1),
    ("task_wake", 1),
    ("waker_stored", 1),
];

fn every_uprobe_program_runs_and_counts(links: LinkKind) {
    let _counting = counting();
    let wish = Wish { links, probes: probes_of_every_program(), ..Wish::default() };
    let mut session = Session::attach(&wish);
    let of_uprobes = |runs: &BTreeMap<String, u64>| -> Vec<(&str, u64)> {
        UPROBE_PROGRAMS.iter().map(|name| (*name, *runs.get(*name).unwrap_or_else(|| panic!("{name} is not loaded")))).collect()
    };
    assert_eq!(of_uprobes(&runs()), UPROBE_PROGRAMS.map(|name| (name, 0)));

    // The window is shut: everything runs, nothing counts.
    let record = Record::new(b"order-42");
    play(&Task::new(Kind::First, 6), &Scope::new(&record, 1));
    assert_eq!(of_uprobes(&runs()), PLAYED);
    let view = session.collect();
    assert_eq!((view.totals(Kind::First).count, view.0.tasks.len(), view.0.ended_requests.len()), (0, 0, 0));
    view.lost(&[]);

    // The window is open: every program leaves what only it can.
    session.attached.open().unwrap();
    let task = Task::new(Kind::First, 7);
    play(&task, &Scope::new(&record, 2));
    assert_eq!(of_uprobes(&runs()), PLAYED.map(|(name, count)| (name, count * 2)));
    let view = session.collect();
    let totals = view.totals(Kind::First);
    assert_eq!((totals.count, totals.polls, totals.wakes, totals.yields, totals.spawns_unseen), (1, 4, 1, 1, 0));
    assert_eq!(totals.wakes_unseen, 2, "the two polls with returns followed no wake");
    let ended = view.ended(&Scope::new(&record, 2));
    assert_eq!((ended.id(), ended.polls, ended.task_id), (&b"order-42"[..], 1, 7));
    view.lost(&[]);
}

/// Check that every program runs at each hit and does what it is for, attached by multi links.
#[test]
fn every_program_works_by_multi_links() -> Result<()> {
    needs_root!();
    if uprobe_multi() != UprobeMulti::Works {
        skip!("the kernel has no multi links that filter by process: {:?}", uprobe_multi());
    }
    let _turn = turn();
    every_uprobe_program_runs_and_counts(LinkKind::Multi);
    Ok(())
}

/// Check the same for one perf event a site, which is all that older kernels have.
#[test]
fn every_program_works_by_single_links() -> Result<()> {
    needs_root!();
    let _turn = turn();
    every_uprobe_program_runs_and_counts(LinkKind::Single);
    Ok(())
}

/// Check that the scheduler's programs and the sampling clock run.
#[test]
fn scheduler_and_sampling_programs_run() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let _counting = counting();
    let session = Session::open_with(&Wish { probes: Vec::new(), rate_hz: Some(999), ..Wish::default() });
    std::thread::spawn(|| spin(20 * MS)).join().unwrap();
    let runs = runs();
    for name in ["sched_switch", "sched_wakeup", "sched_process_e", "sample_tick"] {
        assert!(runs.get(name).is_some_and(|count| *count > 0), "{name}: {runs:?}");
    }
    drop(session);
    Ok(())
}

/// Check that empty programs stand on the same sites, scheduler events and clocks, run as often, and measure nothing.
#[test]
fn empty_programs_stand_in_for_all() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let _counting = counting();
    let wish = Wish { probes: probes_of_every_program(), rate_hz: Some(999), handlers: Handlers::Empty, ..Wish::default() };
    let mut session = Session::open_with(&wish);
    let record = Record::new(b"order-42");
    play(&Task::new(Kind::First, 7), &Scope::new(&record, 2));
    std::thread::spawn(|| spin(20 * MS)).join().unwrap();
    let runs = runs();
    assert_eq!(runs.get("empty").copied(), Some(PLAYED.iter().map(|(_, count)| count).sum()), "{runs:?}");
    for name in ["empty_switch", "empty_wakeup", "empty_exit", "empty_tick"] {
        assert!(runs.get(name).is_some_and(|count| *count > 0), "{name}: {runs:?}");
    }
    for name in UPROBE_PROGRAMS.iter().chain(&["sched_switch", "sched_wakeup", "sched_process_e", "sample_tick"]) {
        assert!(!runs.contains_key(*name), "{name}: {runs:?}");
    }
    let view = session.collect();
    assert_eq!((view.totals(Kind::First).count, view.0.tasks.len(), view.0.ended_requests.len()), (0, 0, 0));
    view.lost(&[]);
    Ok(())
}
