//! A capture with everything in it, for the tests of this folder and of the exporters.

mod awaits;
mod blocked;
mod family;
mod foreign;
mod sampled;

pub(crate) use awaits::{awaits, wakers};
pub(crate) use blocked::{blocked, samples_in_the_long_poll};
pub(crate) use family::family;
pub(crate) use foreign::{TRACE, foreign};
pub(crate) use sampled::sampled;

use super::capture::{
    Capture, ChildRow, FinishedTypeRow, Loss, RequestRow, Sample, ScopeSeq, Stack, Target, TaskKind, TaskRow, TaskType,
    TypeIndex, Window,
};
use super::states::{State, States};
use super::symbols::{Frame, Symbolize};
use profiler_common::unwind::End;

/// Two instances of `order-42`, one request outside of any task with a hostile id, live and finished tasks.
///
/// Addresses of samples: 0x1000 `orders::load`, 0x2000 `orders::handle`, 0x3000 a serializer.
pub(crate) fn capture() -> Capture {
    let mut capture = Capture {
        target: Target {
            pid: 1234,
            exe: "/srv/orders".to_owned(),
            build_id: Some("00ff12ab".to_owned()),
            tokio: Some("1.54.1".to_owned()),
        },
        window: Window {
            clock: "CLOCK_MONOTONIC".to_owned(),
            start_ns: 1_000_000_000,
            end_ns: 11_000_000_000,
            start_unix_ns: 1_795_422_397_123_456_789,
        },
        types: vec![
            TaskType { name: "orders::handle::{async_fn_env#0}".to_owned(), kind: TaskKind::Spawned },
            TaskType { name: "orders::audit::{async_fn_env#0}".to_owned(), kind: TaskKind::Spawned },
            TaskType { name: "orders::hash::{closure_env#0}".to_owned(), kind: TaskKind::Blocking },
        ],
        tasks: tasks(),
        finished: vec![FinishedTypeRow {
            task_type: TypeIndex(2),
            count: 3,
            states: States { running_ns: 9_000_000, scheduled_ns: 30_000, ..States::default() },
            polls: 3,
            longest_poll_ns: 4_000_000,
            ..FinishedTypeRow::default()
        }],
        requests: vec![later(), first(), hostile()],
        foreign: Vec::new(),
        sampled: None,
        routes: Vec::new(),
        samples: samples(),
        sample_period_ns: Some(1_000_000),
        every_poll: true,
        off_cpu: Vec::new(),
        blocking: Vec::new(),
        polls: Vec::new(),
        poll_record_ns: 50_000,
        wakes: Vec::new(),
        walks: super::capture::Walks::default(),
        unwind_tables: super::capture::UnwindTables::default(),
        await_source: super::capture::AwaitSource::None,
        await_stacks: Vec::new(),
        awaits: Vec::new(),
        await_sums: Vec::new(),
        await_walks: super::capture::AwaitWalks::default(),
        losses: vec![
            Loss { name: "ring_full", meaning: "Events did not fit into the ring buffer.", count: 0 },
            Loss { name: "stale_polls", meaning: "Polls whose end was not seen were closed.", count: 7 },
        ],
        cost: None,
        refused_sites: Vec::new(),
    };
    capture.number_instances();
    capture
}

fn tasks() -> Vec<TaskRow> {
    vec![
        TaskRow {
            id: Some(12),
            task_type: TypeIndex(0),
            states: States { running_ns: 6_000_000, suspended_ns: 994_000_000, ..States::default() },
            polls: 40,
            wakes: 41,
            longest_poll_ns: 3_000_000,
            spawn_seen: true,
            state_now: Some(State::Suspended),
            ..TaskRow::default()
        },
        TaskRow {
            id: None,
            task_type: TypeIndex(1),
            states: States { blocked_ns: 2_000_000, stopped_ns: 500_000, ..States::default() },
            polls: 1,
            parent_request: Some(ScopeSeq(7)),
            ..TaskRow::default()
        },
    ]
}

fn first() -> RequestRow {
    RequestRow {
        scope: ScopeSeq(7),
        id: "order-42".into(),
        instance: 0,
        complete: true,
        start_seen: true,
        start_ns: 2_000_000_000,
        states: States {
            running_ns: 5_000_001,
            preempted_ns: 250_000,
            blocked_ns: 1_000_000,
            scheduled_ns: 60_000,
            suspended_ns: 20_000_000,
            stopped_ns: 0,
            unseen_ns: 3_000_000,
        },
        polls: 4,
        wakes: 3,
        wake_unseen: 0,
        longest_poll_ns: 3_000_000,
        scheduled_known: true,
        kept_times: false,
        task_type: Some(TypeIndex(0)),
        task_id: Some(12),
        children: vec![ChildRow {
            task_id: Some(13),
            task_type: TypeIndex(1),
            parent_task: Some(12),
            spawned_by_root: false,
            start_ns: 2_012_500_000,
            complete: true,
            states: States { running_ns: 2_000_000, suspended_ns: 7_000_000, ..States::default() },
            polls: 2,
            wakes: 1,
            wake_unseen: 0,
            yielded: 0,
            longest_poll_ns: 1_500_000,
            spawn_seen: true,
        }],
        unfollowed: None,
        trace: None,
    }
}

fn later() -> RequestRow {
    RequestRow {
        scope: ScopeSeq(8),
        complete: false,
        start_ns: 3_000_000_000,
        states: States { running_ns: 40_000, suspended_ns: 900_000, ..States::default() },
        polls: 1,
        wakes: 0,
        children: Vec::new(),
        ..first()
    }
}

fn hostile() -> RequestRow {
    RequestRow {
        scope: ScopeSeq(9),
        id: super::RequestId::new(b"<script>;\x1b[31m\xff\"'\n 7".as_slice()),
        start_ns: 2_500_000_000,
        scheduled_known: false,
        kept_times: false,
        task_type: None,
        task_id: None,
        children: Vec::new(),
        ..first()
    }
}

fn samples() -> Vec<Sample> {
    let stack = |frames: &[u64]| Stack {
        tid: 77,
        task_type: Some(TypeIndex(0)),
        task_id: Some(12),
        requests: vec![ScopeSeq(7)],
        poll_start_ns: Some(1),
        frames: frames.to_vec(),
        end: End::Poll,
    };
    let child = Stack { task_type: Some(TypeIndex(1)), task_id: Some(13), ..stack(&[0x3000]) };
    let elsewhere = Stack { requests: Vec::new(), task_id: Some(99), ..stack(&[0x3000, 0x2001]) };
    let at = |ts_ns: u64, stack: Stack| Sample { ts_ns, period_ns: 1_000_000, stack };
    vec![
        at(1, stack(&[0x1000, 0x2001])),
        at(2, stack(&[0x1000, 0x2001])),
        at(3, stack(&[0x3000, 0x2001])),
        at(5, child),
        at(6, elsewhere),
    ]
}

/// The functions at the addresses of [`capture`], without a process.
pub(crate) struct Names;

impl Symbolize for Names {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        addresses
            .iter()
            .map(|address| {
                let functions: &[&str] = match address {
                    0x1000 => &["orders::load"],
                    0x2000 => &["orders::handle"],
                    0x3000 => &["<[u8; 8] as serde::Serialize>::serialize"],
                    0x6000 => &["a"],
                    0x6100 => &["a::b"],
                    0x4000 => &["orders::tax", "orders::price"],
                    0x7100 => &["__GI___clock_nanosleep"],
                    0x7200 => &["std::thread::sleep"],
                    0x7300 => &["syscall"],
                    0x5000 => &["<script>alert(1)</script>\n\u{1b}[31m\"'& 42"],
                    _ => {
                        return vec![Frame::unresolved(format!("[unknown {address:#x}]"))];
                    }
                };
                functions.iter().map(|&name| Frame::named(name)).collect()
            })
            .collect()
    }
}
