//! Time off the CPU and time behind other tasks, each where it was spent.

use super::*;
use crate::model::capture::{OffCpu, PollSpan, Stack};
use crate::model::held::held;

#[test]
fn off_cpu_time_stands_on_its_stack_and_scheduled_on_what_held_the_workers() {
    let graph = drawn(&fixture::blocked(), &order_42(), Metric::Wall, false);
    let root = "request order-42 #1 / task orders::handle";
    let sleep = "orders::handle / orders::load / std::thread::sleep / __GI___clock_nanosleep";
    let serialize = "orders::handle / <[u8; 8] as serde::Serialize>::serialize";
    let drawn = text(&graph);
    for (stack, ns) in [
        (format!("{sleep} / [blocked in clock_nanosleep]"), 900_000),
        ("[blocked, no stack]".to_owned(), 100_000),
        (format!("{sleep} / [preempted]"), 50_000),
        (format!("{serialize} / [preempted]"), 200_000),
        ("[scheduled] / behind task orders::audit".to_owned(), 30_000),
        ("[scheduled] / [no recorded poll]".to_owned(), 20_000),
        ("[scheduled]".to_owned(), 10_000),
        ("[suspended]".to_owned(), 20_000_000),
        (format!("{serialize} / [running]"), 1_666_667),
    ] {
        assert_eq!(drawn.get(&format!("{root} / {stack}")), Some(&ns), "{stack} in {drawn:#?}");
    }
    assert_eq!((graph.total_ns(), graph.wall_ns), (27_250_001, 27_250_001));
}

#[test]
fn a_blocked_graph_is_blocked_time_only_with_that_of_spawned_tasks() {
    let mut capture = fixture::blocked();
    let row = capture.requests.iter_mut().find(|row| row.scope == ScopeSeq(7)).unwrap();
    row.children[0].states.blocked_ns = 2_000_000;
    let graph = drawn(&capture, &order_42(), Metric::Blocked, false);
    let drawn = text(&graph);
    let child = "request order-42 #1 / spawned task orders::audit / <[u8; 8] as serde::Serialize>::serialize / [blocked]";
    assert_eq!(drawn.get(child), Some(&2_000_000), "{drawn:#?}");
    assert!(drawn.keys().all(|stack| stack.contains("[blocked")), "{drawn:#?}");
    assert_eq!((graph.total_ns(), graph.blocked_ns, graph.stretches), (3_000_000, 3_000_000, 3));
}

#[test]
fn a_graph_of_cpu_time_has_none_of_it() {
    let with = text(&drawn(&fixture::blocked(), &order_42(), Metric::Cpu, false));
    assert_eq!(with, text(&drawn(&fixture::capture(), &order_42(), Metric::Cpu, false)));
}

#[test]
fn a_request_without_a_sample_is_counted_as_that() {
    let graph = drawn(&fixture::capture(), &order_42(), Metric::Wall, false);
    assert_eq!((graph.samples, graph.sampled_ns, graph.unsampled_ns), (3, 3_000_000, 40_000));
}

fn any_stretch() -> impl Strategy<Value = OffCpu> {
    let ns = || prop_oneof![Just(0), 0_u64..1 << 50];
    (ns(), ns(), 0_u64..4, 0_u32..3, 7_u64..10, prop::option::of(0_u32..400)).prop_map(
        |(blocked_ns, preempted_ns, task, index, scope, syscall)| OffCpu {
            blocked_ns,
            preempted_ns,
            syscall,
            stack: Stack {
                task_id: Some(task),
                task_type: Some(TypeIndex(index)),
                requests: vec![ScopeSeq(scope)],
                frames: vec![0x1000, 0x2001],
                end: profiler_common::unwind::End::Poll,
                ..Stack::default()
            },
            ..OffCpu::default()
        },
    )
}

fn any_span() -> impl Strategy<Value = PollSpan> {
    (1_u32..4, 0_u32..3, prop::option::of(7_u64..10), prop::option::of(0_u64..90), 0_u64..100, 0_u64..50).prop_map(
        |(tid, index, scope, ready_ns, start_ns, long)| PollSpan {
            tid,
            task_type: Some(TypeIndex(index)),
            scope: scope.map(ScopeSeq),
            ready_ns,
            start_ns,
            end_ns: start_ns + long,
            ..PollSpan::default()
        },
    )
}

proptest! {
    /// Whatever was recorded, and however little of it fits: widths are the exact times.
    #[test]
    fn widths_add_up_exactly(
        rows in prop::collection::vec(any_states(), 3),
        off_cpu in prop::collection::vec(any_stretch(), 0..12),
        polls in prop::collection::vec(any_span(), 0..20),
    ) {
        let mut capture = Capture { off_cpu, polls, ..fixture::capture() };
        for (row, states) in capture.requests.iter_mut().zip(&rows) {
            (row.states, row.start_ns, row.task_id) = (*states, 0, Some(1));
        }
        let wanted = order_42();
        let mine = wanted.requests(&capture);
        let wall: u64 = mine.iter().map(|row| row.states.wall_ns()).sum();
        prop_assert_eq!(drawn(&capture, &wanted, Metric::Wall, false).total_ns(), wall);
        let blocked: u64 = mine.iter().map(|row| row.states.blocked_ns).sum();
        prop_assert_eq!(drawn(&capture, &wanted, Metric::Blocked, false).total_ns(), blocked);
        for (scope, held) in held(&capture, &mine) {
            let scheduled = mine.iter().find(|row| row.scope == scope).unwrap().states.scheduled_ns;
            prop_assert!(held.within(scheduled).ns() <= scheduled);
        }
    }
}
