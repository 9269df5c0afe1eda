//! What is exported: a capture of two requests, one of which is called by everything that could break a format.

use profiler_common::unwind::End;
use profiler_daemon::model::{
    Capture, Frame, MappedFile, OffCpu, PollSpan, RequestId, RequestRow, Sample, ScopeSeq, Selection, Stack, States, Symbolize,
    Target, TaskKind, TaskRow, TaskType, TypeIndex, Wake, Window,
};

const MS: u64 = 1_000_000;
/// When the window begins.
pub(crate) const START: u64 = 5_000 * MS;
/// The wall time of the plain request.
pub(crate) const WALL_NS: u64 = 40 * MS + 3;

/// Bytes that end strings, tags, lines and terminals' patience, as many as an id may have.
pub(crate) fn hostile_bytes() -> Vec<u8> {
    let mut bytes = b"<script>alert(1)</script>\"'&;\\\n\r\t\x00\x1b[31m\xff{}".to_vec();
    bytes.resize(64, b'x');
    bytes
}

/// The hostile id as every format must show it.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"'&;\\\\\\x0a\\x0d\\x09\\x00\\x1b[31m\\xff{}";

/// A function's name with the same in it, and 10,000 letters more.
pub(crate) fn hostile_function() -> String {
    format!("</script><b>\"\n\u{1b}]0;\u{202e}{}", "long".repeat(2500))
}

/// The same as it is to be shown.
pub(crate) fn hostile_function_shown() -> String {
    format!("</script><b>\"\\x0a\\x1b]0;\\xe2\\x80\\xae{}", "long".repeat(2500))
}

/// The plain request.
pub(crate) fn plain() -> Selection {
    Selection::Request { id: "order-42".into() }
}

/// The hostile one.
pub(crate) fn hostile() -> Selection {
    Selection::Request { id: RequestId::new(hostile_bytes()) }
}

fn stack(scope: u64, task_id: u64, frames: &[u64]) -> Stack {
    Stack {
        tid: 101,
        task_type: Some(TypeIndex(0)),
        task_id: Some(task_id),
        requests: vec![ScopeSeq(scope)],
        poll_start_ns: Some(START),
        frames: frames.to_vec(),
        end: End::Poll,
    }
}

fn request(scope: u64, id: RequestId, task_id: u64) -> RequestRow {
    RequestRow {
        scope: ScopeSeq(scope),
        id,
        instance: 1,
        complete: true,
        start_seen: true,
        start_ns: START + MS,
        states: States {
            running_ns: 10 * MS + 1,
            preempted_ns: MS,
            blocked_ns: 6 * MS + 2,
            scheduled_ns: 3 * MS,
            suspended_ns: 20 * MS,
            ..States::default()
        },
        polls: 2,
        wakes: 1,
        wake_unseen: 0,
        longest_poll_ns: 10 * MS,
        scheduled_known: true,
        task_type: Some(TypeIndex(0)),
        task_id: Some(task_id),
        trace: None,
        kept_times: false,
        unfollowed: None,
        children: Vec::new(),
    }
}

/// Both requests on one worker, one after the other in time; the first is woken by a poll on another worker.
pub(crate) fn capture() -> Capture {
    let poll = |tid, task_id, ready_ns, from: u64, to: u64| PollSpan {
        tid,
        task_type: Some(TypeIndex(0)),
        task_id: Some(task_id),
        ready_ns,
        start_ns: START + from * MS,
        end_ns: START + to * MS,
        ..PollSpan::default()
    };
    let sample = |at: u64, stack| Sample { ts_ns: START + at * MS, period_ns: MS, stack };
    let mut capture = Capture {
        target: Target { pid: 100, exe: "/srv/or\"ders".to_owned(), build_id: Some("00ff".to_owned()), tokio: None },
        window: Window {
            clock: "CLOCK_MONOTONIC".to_owned(),
            start_ns: START,
            end_ns: START + 100 * MS,
            start_unix_ns: 1_700_000_000_000_000_000,
        },
        types: vec![
            TaskType { name: "orders::handle".to_owned(), kind: TaskKind::Spawned },
            TaskType { name: "orders::db".to_owned(), kind: TaskKind::Spawned },
        ],
        tasks: vec![TaskRow { id: Some(12), states: States { running_ns: MS, ..States::default() }, ..TaskRow::default() }],
        requests: vec![request(7, "order-42".into(), 12), request(8, RequestId::new(hostile_bytes()), 13)],
        samples: vec![
            sample(2, stack(7, 12, &[0x1000, 0x2001])),
            sample(3, stack(7, 12, &[0x3000, 0x2001])),
            sample(38, stack(8, 13, &[0x4000])),
        ],
        sample_period_ns: Some(MS),
        off_cpu: vec![OffCpu {
            start_ns: START + 4 * MS,
            blocked_ns: 4 * MS,
            preempted_ns: MS,
            syscall: Some(202),
            stack: stack(7, 12, &[0x9000, 0x1001, 0x2001]),
            ..OffCpu::default()
        }],
        polls: vec![
            PollSpan { blocked_ns: 4 * MS, preempted_ns: MS, ..poll(101, 12, None, 1, 11) },
            PollSpan { scope: Some(ScopeSeq(7)), ..poll(101, 12, None, 2, 11) },
            PollSpan { task_type: Some(TypeIndex(1)), ..poll(102, 30, None, 20, 33) },
            poll(101, 12, Some(START + 31 * MS), 34, 41),
            poll(101, 13, None, 41, 45),
        ],
        wakes: vec![Wake {
            at_ns: START + 31 * MS,
            tid: 102,
            by_task: Some(30),
            task_type: Some(TypeIndex(0)),
            task_id: Some(12),
        }],
        ..Capture::default()
    };
    capture.number_instances();
    capture
}

/// Many polls of many tasks, each woken.
pub(crate) fn many(polls: u64) -> Capture {
    let tid = |number| 101 + u32::try_from(number % 8).unwrap_or_default();
    let at = |number: u64| START + number / 8 * 20_000;
    Capture {
        polls: (0..polls)
            .map(|number| PollSpan {
                tid: tid(number),
                task_type: Some(TypeIndex(0)),
                task_id: Some(number % 1000),
                ready_ns: Some(at(number) - 2_000),
                start_ns: at(number),
                end_ns: at(number) + 15_000,
                ..PollSpan::default()
            })
            .collect(),
        wakes: (0..polls)
            .map(|number| Wake {
                at_ns: at(number) - 2_000,
                tid: tid(number + 1),
                by_task: None,
                task_type: Some(TypeIndex(0)),
                task_id: Some(number % 1000),
            })
            .collect(),
        ..capture()
    }
}

/// Functions of a program that does not exist.
pub(crate) struct Names;

impl Symbolize for Names {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        let named = |function: &str, line| Frame {
            full: format!("{function}::<u8>"),
            file: Some("src/or\"ders.rs".to_owned()),
            line: Some(line),
            ..Frame::named(function)
        };
        let of = |address: &u64| match address {
            0x1000 => vec![named("orders::tax", 7), named("orders::price", 11)],
            0x2000 => vec![named("orders::handle", 20)],
            0x3000 => vec![named("orders::load", 30)],
            0x4000 => vec![Frame::named(&hostile_function())],
            0x9000 => vec![Frame::named("pthread_mutex_lock")],
            other => vec![Frame::unresolved(format!("[unknown {other:#x}]"))],
        };
        addresses.iter().map(of).collect()
    }

    fn modules(&self) -> Vec<MappedFile> {
        let file = |start, end, path: &str, build_id: &str| MappedFile {
            start,
            end,
            file_offset: 0,
            path: path.to_owned(),
            build_id: Some(build_id.to_owned()),
        };
        vec![file(0x1000, 0x5000, "/srv/or\"ders", "00ff"), file(0x9000, 0xa000, "/lib/libc.so.6", "11ee")]
    }
}
