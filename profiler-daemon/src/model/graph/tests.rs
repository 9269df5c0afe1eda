//! Widths are exact, and belong to whom they should.

mod awaits;
mod foreign;
mod off_cpu;
mod sampled;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::capture::{ChildRow, FinishedTypeRow, Sample, ScopeSeq, TaskRow, TypeIndex};
use crate::model::fixture::{self, Names};
use crate::model::states::States;

fn drawn(capture: &Capture, selection: &Selection, metric: Metric, children: bool) -> Graph {
    graph(capture, selection, metric, GraphOptions { children, ..GraphOptions::default() }, &mut Names).unwrap()
}

/// Each stack as text with its time.
fn text(graph: &Graph) -> BTreeMap<String, u64> {
    let mut stacks = BTreeMap::new();
    for line in &graph.lines {
        let names = line.stack.iter().map(|&id| graph.frames.name(id).unwrap().text.as_str());
        *stacks.entry(names.collect::<Vec<_>>().join(" / ")).or_insert(0) += line.ns;
    }
    stacks
}

fn order_42() -> Selection {
    Selection::Request { id: "order-42".into() }
}

#[test]
fn a_wall_graph_is_the_root_scope_and_as_wide_as_its_wall() {
    let graph = drawn(&fixture::capture(), &order_42(), Metric::Wall, false);
    let expected = [
        ("request order-42 #1 / task orders::handle / [blocked, no stack]", 1_000_000),
        ("request order-42 #1 / task orders::handle / [preempted, no stack]", 250_000),
        ("request order-42 #1 / task orders::handle / [scheduled]", 60_000),
        ("request order-42 #1 / task orders::handle / [suspended]", 20_000_000),
        (
            "request order-42 #1 / task orders::handle / orders::handle / <[u8; 8] as serde::Serialize>::serialize / [running]",
            1_666_667,
        ),
        ("request order-42 #1 / task orders::handle / orders::handle / orders::load / [running]", 3_333_334),
        ("request order-42 #2 (not ended) / task orders::handle / [running, no sample]", 40_000),
        ("request order-42 #2 (not ended) / task orders::handle / [suspended]", 900_000),
    ];
    let drawn = text(&graph);
    assert_eq!(drawn.iter().map(|(stack, &ns)| (stack.as_str(), ns)).collect::<Vec<_>>(), expected);
    assert_eq!((graph.total_ns(), graph.wall_ns), (27_250_001, 27_250_001));
    assert_eq!((graph.samples, graph.cpu_ns), (3, 5_040_001), "the sample of the task it spawned is not its own");
}

#[test]
fn a_cpu_graph_is_the_request_and_the_tasks_it_spawned() {
    let graph = drawn(&fixture::capture(), &order_42(), Metric::Cpu, false);
    let drawn = text(&graph);
    let child = "request order-42 #1 / spawned task orders::audit / <[u8; 8] as serde::Serialize>::serialize";
    assert_eq!(drawn.get(child), Some(&2_000_000));
    assert!(drawn.keys().all(|stack| !stack.contains("[suspended]")));
    assert_eq!((graph.total_ns(), graph.cpu_ns, graph.samples), (7_040_001, 7_040_001, 4));
    assert_eq!(graph.wall_ns, 27_250_001, "the wall is still the root scope's");
    assert!((graph.scale().unwrap() - 1.760_000_25).abs() < 1e-9);
}

#[test]
fn spawned_tasks_stand_beside_the_wall_when_asked_for() {
    let drawn = text(&drawn(&fixture::capture(), &order_42(), Metric::Wall, true));
    assert_eq!(drawn.get("spawned by request order-42 #1 / task orders::audit / [suspended]"), Some(&7_000_000));
}

/// A Tokio without task ids: types tell whose a sample is.
#[test]
fn without_ids_types_tell_tasks_apart() {
    let mut capture = fixture::capture();
    for sample in &mut capture.samples {
        sample.stack.task_id = None;
    }
    for row in &mut capture.requests {
        row.task_id = None;
        row.children.iter_mut().for_each(|child| child.task_id = None);
    }
    let with_ids = text(&drawn(&fixture::capture(), &order_42(), Metric::Cpu, false));
    assert_eq!(text(&drawn(&capture, &order_42(), Metric::Cpu, false)), with_ids);
}

#[test]
fn one_task_and_all_tasks() {
    let capture = fixture::capture();
    let task = text(&drawn(&capture, &Selection::Task { id: 13 }, Metric::Cpu, false));
    assert_eq!(
        task.into_iter().collect::<Vec<_>>(),
        [("task 13, orders::audit / <[u8; 8] as serde::Serialize>::serialize".to_owned(), 2_000_000)]
    );
    let all = text(&drawn(&capture, &Selection::All, Metric::Wall, false));
    assert_eq!(all.get("task orders::hash::{closure 0} / [running, no sample]"), Some(&9_000_000));
    assert_eq!(all.get("task orders::audit / [blocked, no stack]"), Some(&2_000_000));
}

#[test]
fn a_request_outside_of_any_task_says_so_and_its_id_is_spelled_out() {
    let id = fixture::capture().requests[2].id.clone();
    let drawn = text(&drawn(&fixture::capture(), &Selection::Request { id }, Metric::Wall, false));
    assert!(
        drawn.keys().all(|stack| stack.starts_with("request <script>\\x3b\\x1b[31m\\xff\"'\\x0a 7 #1 / [no task] / ")),
        "{drawn:?}"
    );
}

#[test]
fn a_selection_of_nothing_is_refused() {
    let nobody = Selection::Request { id: "order-43".into() };
    let error = graph(&fixture::capture(), &nobody, Metric::Cpu, GraphOptions::default(), &mut Names).unwrap_err();
    assert!(error.to_string().contains("there are 2 requests: <script>"), "{error}");
}

fn any_states() -> impl Strategy<Value = States> {
    prop::array::uniform5(prop_oneof![Just(0), 0_u64..1 << 55]).prop_map(|ns| States {
        running_ns: ns[0],
        preempted_ns: ns[1],
        blocked_ns: ns[2],
        scheduled_ns: ns[3],
        suspended_ns: ns[4],
        stopped_ns: 0,
        unseen_ns: 0,
    })
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let address = prop::sample::select(vec![0x1000_u64, 0x1001, 0x2001, 0x3000, 0x4001, 0x7777]);
    (prop::collection::vec(address, 0..4), any::<bool>(), 0_u64..4, 0_u32..3, 7_u64..10).prop_map(
        |(frames, truncated, task, index, scope)| Sample {
            stack: crate::model::Stack {
                frames,
                end: if truncated { profiler_common::unwind::End::NoRow } else { profiler_common::unwind::End::Poll },
                task_id: Some(task),
                task_type: Some(TypeIndex(index)),
                requests: vec![ScopeSeq(scope)],
                ..crate::model::Stack::default()
            },
            ..Sample::default()
        },
    )
}

proptest! {
    /// Whatever was sampled, by whom, and how little: widths are the exact times.
    #[test]
    fn widths_add_up_exactly(
        rows in prop::collection::vec(any_states(), 3),
        children in prop::collection::vec(any_states(), 0..3),
        tasks in prop::collection::vec(any_states(), 1..4),
        samples in prop::collection::vec(any_sample(), 0..12),
    ) {
        let mut capture = Capture { samples, ..fixture::capture() };
        for (row, states) in capture.requests.iter_mut().zip(&rows) {
            row.states = *states;
        }
        let root = capture.requests.iter_mut().find(|row| row.scope == ScopeSeq(7)).unwrap();
        root.children = (0..).zip(&children)
            .map(|(id, &states)| ChildRow { task_id: Some(id), states, ..ChildRow::default() }).collect();
        capture.tasks = (0..).zip(&tasks).map(|(id, &states)| {
            TaskRow { id: Some(id), task_type: TypeIndex(u32::try_from(id).unwrap() % 2), states, ..TaskRow::default() }
        }).collect();
        capture.finished = vec![FinishedTypeRow { count: 2, states: rows[0], ..FinishedTypeRow::default() }];

        let wanted = order_42();
        let mine = wanted.requests(&capture);
        let wall: u64 = mine.iter().map(|row| row.states.wall_ns()).sum();
        let running: u64 = mine.iter().map(|row| row.states.running_ns).sum();
        let spawned: u64 = children.iter().map(|states| states.running_ns).sum();
        prop_assert_eq!(drawn(&capture, &wanted, Metric::Wall, false).total_ns(), wall);
        prop_assert_eq!(drawn(&capture, &wanted, Metric::Cpu, false).total_ns(), running + spawned);

        let all: u64 = tasks.iter().chain([&rows[0]]).map(States::wall_ns).sum();
        prop_assert_eq!(drawn(&capture, &Selection::All, Metric::Wall, false).total_ns(), all);
        let one = drawn(&capture, &Selection::Task { id: 0 }, Metric::Wall, false);
        prop_assert_eq!(one.total_ns(), tasks[0].wall_ns());
    }
}
