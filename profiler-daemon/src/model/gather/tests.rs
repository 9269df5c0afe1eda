//! Rows as the kernel side leaves them become a capture whose report is right.

use profiler_common::clock::OffCpu;
use profiler_common::limits::REQUEST_ID_BYTES;
use profiler_common::totals::TypeTotals;

use super::*;
use crate::collect::LiveTask;
use crate::model::capture::TaskKind;
use crate::model::{Filter, report};
use profiler_common::clock::OffCpu as Clocks;

pub(super) fn setting() -> Setting {
    Setting {
        target: Target { pid: 7, exe: "/srv/orders".to_owned(), build_id: None, tokio: None },
        window: Window { clock: "CLOCK_MONOTONIC".to_owned(), start_ns: 100, end_ns: 900, start_unix_ns: 1 },
        types: vec![TaskType { name: "orders::handle".to_owned(), kind: TaskKind::Spawned }],
        sample_period_ns: None,
        fast_period_ns: None,
        every_poll: false,
        poll_record_ns: 50,
        unwind_tables: UnwindTables::default(),
        scopes_before: Some(3),
        key: None,
        awaits: AwaitNames::default(),
        requests_only: false,
        ids_counted: false,
        wakes_seen: true,
        ids_known: true,
        sampled: None,
    }
}

fn task(id: u64, request: u64, first_ns: u64) -> CommonTask {
    CommonTask {
        id,
        request,
        first_ns,
        flags: task::SPAWN_SEEN,
        states: CommonStates { running_ns: 1, suspended_ns: 20, unseen_ns: 5, ..CommonStates::default() },
        polls: 2,
        ..CommonTask::default()
    }
}

fn scope(id: &[u8], first_ns: u64, flags: u32) -> ScopeRow {
    let mut bytes = [0; REQUEST_ID_BYTES];
    bytes[..id.len()].copy_from_slice(id);
    ScopeRow {
        id: bytes,
        id_len: u32::try_from(id.len()).unwrap(),
        task_type: 0,
        task_id: 5,
        first_ns,
        flags,
        off_at_enter: OffCpu::default(),
        states: CommonStates { running_ns: 7, blocked_ns: 300, stopped_ns: 100, ..CommonStates::default() },
        polls: 1,
        ..ScopeRow::NEW
    }
}

fn stack() -> crate::collect::Stack {
    crate::collect::Stack {
        time_ns: 400,
        tid: 1,
        task_type: Some(0),
        task_id: 0,
        requests: [6, 4, 0, 0],
        poll_start_ns: 300,
        frames: Box::new([1, 2]),
        end: End::Poll,
    }
}

fn collected() -> Collected {
    Collected {
        at_ns: 900,
        tasks: vec![
            LiveTask { header: 0x10, row: task(5, 0, 200), doing: Doing::Blocked, since_ns: 0 },
            LiveTask { header: 0x20, row: task(9, 4, 600), doing: Doing::Suspended, since_ns: 0 },
        ],
        totals: vec![TypeTotals {
            count: 2,
            states: CommonStates { scheduled_ns: 8, ..CommonStates::default() },
            spawns_unseen: 1,
            ..TypeTotals::default()
        }],
        foreign: Vec::new(),
        sampled: Vec::new(),
        live_requests: vec![(4, scope(b"a", 300, 0))],
        routes: Vec::new(),
        ended_requests: vec![(3, scope(b"a", 150, scope::NO_TASK)), (6, scope(b"\xff", 310, 0))],
        ended_children: vec![task(8, 4, 500)],
        samples: vec![crate::collect::Sample { stack: stack(), period_ns: 10 }],
        off_cpu: vec![crate::collect::Off {
            stack: stack(),
            syscall: Some(35),
            off: Clocks { preempted_ns: 1, blocked_ns: 20, stopped_ns: 0 },
        }],
        awaits: crate::collect::Awaits::default(),
        blocking: vec![crate::collect::Place {
            frames: Box::new([1, 2]),
            end: End::Poll,
            syscall: Some(35),
            task_type: Some(99),
            sum: crate::collect::PlaceSum { count: 4, blocked_ns: 80, longest_ns: 30, stopped_ns: 10, request: 6 },
        }],
        polls: vec![PollRecord {
            kind: 6,
            tid: 1,
            task: 0x10,
            task_id: 5,
            task_type: u32::MAX,
            what: POLL_OF_SCOPE,
            request: 4,
            ready_ns: 0,
            start_ns: 300,
            end_ns: 450,
            off: Clocks { preempted_ns: 0, blocked_ns: 100, stopped_ns: 0 },
        }],
        wakes: Vec::new(),
        walks: CommonWalks::NONE,
        losses: vec![(KernelLoss::StaleFrame, 3)],
    }
}

#[test]
fn children_live_and_ended_find_their_request() {
    let capture = gather(&setting(), &collected());
    let request = &capture.requests[1];
    assert_eq!((request.scope, request.complete, request.instance), (ScopeSeq(4), false, 2));
    let children: Vec<(Option<u64>, bool)> = request.children.iter().map(|child| (child.task_id, child.complete)).collect();
    assert_eq!(children, [(Some(8), true), (Some(9), false)]);
    assert!(capture.requests.iter().filter(|other| other.scope != request.scope).all(|other| other.children.is_empty()));
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let capture = gather(&setting(), &collected());
    let first = &capture.requests[0];
    assert!(!first.start_seen, "its number was given out before the window");
    assert!(!first.scheduled_known, "it ran outside of any task");
    assert!(capture.requests[1].start_seen && capture.requests[1].scheduled_known);
    let mut late = collected();
    late.live_requests[0].1.flags |= scope::TURNED_AWAY;
    assert!(!gather(&setting(), &late).requests[1].start_seen, "it was entered before, when there was no room for it");
    let blind = Setting { scopes_before: None, wakes_seen: false, ids_known: false, ..setting() };
    let capture = gather(&blind, &collected());
    assert!(capture.requests.iter().all(|row| !row.start_seen && !row.scheduled_known && row.task_id.is_none()));
    assert!(capture.tasks.iter().all(|row| row.id.is_none()));
}

#[test]
fn samples_keep_their_nesting_and_no_made_up_id() {
    let sample = &gather(&setting(), &collected()).samples[0];
    assert_eq!(sample.stack.requests, [ScopeSeq(4), ScopeSeq(6)], "outermost first");
    assert_eq!(
        (sample.stack.task_id, sample.stack.frames.as_slice()),
        (None, [1, 2].as_slice()),
        "with the poll function: a future can be inlined into it"
    );
}

#[test]
fn the_report_adds_up_and_names_every_loss() {
    let report = report(&gather(&setting(), &collected()), &Filter::All);
    let walls: Vec<(u64, u64)> = report.requests.iter().map(|row| (row.times.wall_ns, row.times.stopped_ns)).collect();
    assert_eq!(walls, [(307, 100), (307, 100), (307, 100)]);
    assert_eq!(report.requests[2].name.id_hex.as_deref(), Some("ff"));
    let tasks: Vec<(Option<u64>, u64, u64, bool)> =
        report.tasks.iter().map(|row| (row.task.id, row.count, row.times.wall_ns, row.spawn_seen)).collect();
    assert_eq!(tasks, [(Some(5), 1, 21, true), (Some(9), 1, 21, true), (None, 2, 8, false)]);
    assert_eq!(report.tasks[1].times.unseen_ns, 5);
    assert_eq!(report.tasks[1].request.as_ref().map(|name| (name.id.as_str(), name.instance)), Some(("a", 2)));
    assert_eq!(report.lost.get("stale_frame"), Some(&3));
}

/// Check that a tick of the slow clock inside a request asked for by name stands for no more than its poll, and for no less than a tick of
/// the fast clock; and that elsewhere it stands for what it is.
#[test]
fn a_slow_sample_does_not_outweigh_its_poll() {
    let of = |fast_period_ns, period_ns| {
        let mut collected = collected();
        collected.samples[0].period_ns = period_ns;
        gather(&Setting { fast_period_ns, ..setting() }, &collected).samples[0].period_ns
    };
    // The poll began at 300, the sample was taken at 400.
    assert_eq!(of(Some(20), 1000), 100);
    assert_eq!(of(Some(20), 60), 60);
    assert_eq!(of(Some(150), 1000), 150);
    assert_eq!(of(Some(20), 20), 20);
    assert_eq!(of(None, 1000), 1000);
}

/// Check that stretches and polls keep their times and whose they are.
#[test]
fn stretches_and_polls_are_placed() {
    let capture = gather(&setting(), &collected());
    let off = &capture.off_cpu[0];
    assert_eq!((off.start_ns, off.blocked_ns, off.preempted_ns, off.syscall), (400, 20, 1, Some(35)));
    let place = &capture.blocking[0];
    assert_eq!((place.frames.as_slice(), place.task_type, place.request), ([1, 2].as_slice(), None, Some(ScopeSeq(6))));
    assert_eq!((place.count, place.blocked_ns, place.longest_ns, place.stopped_ns), (4, 80, 30, 10));
    let poll = &capture.polls[0];
    assert_eq!((poll.scope, poll.parent_request, poll.task_type, poll.ready_ns), (Some(ScopeSeq(4)), None, None, None));
    assert_eq!(poll.running_ns(), 50);
}
