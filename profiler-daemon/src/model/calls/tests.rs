//! Times of functions are those of the stacks, and recursion counts once.

use proptest::prelude::*;

use super::*;
use crate::model::fixture::{self, Names};
use crate::model::stacks::{FrameName, Frames};
use crate::model::{GraphOptions, Metric, Selection, graph};

/// A graph of these stacks: functions, state, how often seen, time.
fn of(stacks: &[(&str, State, u64, u64)]) -> Graph {
    let capture = fixture::capture();
    let mut graph = graph(&capture, &Selection::All, Metric::Wall, GraphOptions::default(), &mut Names).unwrap();
    let mut frames = Frames::default();
    graph.lines = stacks
        .iter()
        .map(|&(functions, state, count, ns)| {
            let mut stack = vec![frames.id(FrameName::new(FrameKind::Task, "task t"))];
            stack.extend(functions.split_whitespace().map(|name| frames.id(FrameName::new(FrameKind::Code, name))));
            stack.push(frames.id(FrameName::state(state)));
            Line { stack, state, count, ns }
        })
        .collect();
    graph.frames = frames;
    graph
}

fn node<'g>(graph: &'g CallGraph, name: &str) -> &'g Node {
    graph.nodes.iter().find(|node| node.name == name).unwrap()
}

fn edge<'g>(graph: &'g CallGraph, from: &str, to: &str) -> &'g Edge {
    let is = |place: usize, name: &str| graph.nodes[place].name == name;
    graph.edges.iter().find(|edge| is(edge.from, from) && is(edge.to, to)).unwrap()
}

#[test]
fn times_and_counts_of_a_call() {
    let graph = call_graph(&of(&[
        ("a b", State::Suspended, 3, 100),
        ("a b c", State::Running, 2, 10),
        ("a c", State::Blocked, 1, 5),
        ("", State::Scheduled, 0, 7),
    ]));
    let time = |inclusive_ns, exclusive_ns| Time { inclusive_ns, exclusive_ns };
    let a = node(&graph, "a");
    assert_eq!((a.kind, a.wall, a.cpu, a.awaited_ns), (NodeKind::Async, time(115, 0), time(10, 0), 0));
    let b = node(&graph, "b");
    assert_eq!((b.kind, b.wall, b.cpu, b.awaited_ns), (NodeKind::Async, time(110, 100), time(10, 0), 100));
    let c = node(&graph, "c");
    assert_eq!((c.kind, c.wall, c.cpu), (NodeKind::Sync, time(15, 15), time(10, 10)));
    let root = node(&graph, "task t");
    assert_eq!((root.kind, root.wall), (NodeKind::Root, time(122, 7)));
    let call = edge(&graph, "a", "b");
    assert_eq!((call.wall_ns, call.cpu_ns, call.waits, call.seen), (110, 10, 3, 2));
    assert_eq!((edge(&graph, "a", "c").seen, edge(&graph, "b", "c").seen), (1, 2));
    assert_eq!(graph.wall_ns, 122);
}

#[test]
fn recursion_counts_once() {
    let graph = call_graph(&of(&[("a b a b a", State::Running, 1, 10), ("a a a", State::Suspended, 1, 4)]));
    let time = |inclusive_ns, exclusive_ns| Time { inclusive_ns, exclusive_ns };
    assert_eq!((node(&graph, "a").wall, node(&graph, "b").wall), (time(14, 14), time(10, 0)));
    assert_eq!((edge(&graph, "a", "b").wall_ns, edge(&graph, "b", "a").wall_ns, edge(&graph, "a", "a").wall_ns), (10, 10, 4));
    assert_eq!((edge(&graph, "a", "a").waits, edge(&graph, "a", "a").seen), (1, 0));
}

#[test]
fn a_request_and_the_tasks_it_spawned_are_roots() {
    let options = GraphOptions { children: true, ..GraphOptions::default() };
    let selection = Selection::Request { id: "order-42".into() };
    let wall = graph(&fixture::awaits(), &selection, Metric::Wall, options, &mut Names).unwrap();
    let calls = call_graph(&wall);
    let roots: Vec<&str> = calls.nodes.iter().filter(|node| node.kind == NodeKind::Root).map(|node| node.name.as_str()).collect();
    assert_eq!(
        roots,
        [
            "request order-42 #1, task orders::handle",
            "request order-42 #2 (not ended), task orders::handle",
            "spawned by request order-42 #1, task orders::audit",
        ]
    );
    let query = edge(&calls, "orders::load_order", "orders::query");
    assert_eq!((query.wall_ns, query.waits, query.seen), (8_900_000, 3, 0));
    assert_eq!(node(&calls, "orders::query").awaited_ns, 8_900_000);
    assert!(calls.nodes.iter().all(|node| !node.name.starts_with("behind")), "{calls:#?}");
}

proptest! {
    /// Whatever the stacks: own times add up to all of it, and nothing has more than there is.
    #[test]
    fn own_times_are_all_of_it(
        stacks in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..6), 0_usize..5, 0_u64..9, 1_u64..1000), 0..12,
        ),
    ) {
        let texts: Vec<String> = stacks.iter().map(|stack| stack.0.join(" ")).collect();
        let lines: Vec<_> = stacks.iter().zip(&texts).map(|(stack, text)| (text.as_str(), State::ALL[stack.1], stack.2, stack.3)).collect();
        let graph = call_graph(&of(&lines));
        let sum = |of: fn(&Node) -> u64| graph.nodes.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|node| node.wall.exclusive_ns), graph.wall_ns);
        let running: u64 = lines.iter().filter(|line| line.1 == State::Running).map(|line| line.3).sum();
        prop_assert_eq!(sum(|node| node.cpu.exclusive_ns), running);
        for node in &graph.nodes {
            prop_assert!(node.wall.exclusive_ns <= node.wall.inclusive_ns && node.wall.inclusive_ns <= graph.wall_ns);
            prop_assert!(node.cpu.inclusive_ns <= node.wall.inclusive_ns && node.awaited_ns <= node.wall.exclusive_ns);
        }
        for edge in &graph.edges {
            prop_assert!(edge.wall_ns <= graph.nodes[edge.to].wall.inclusive_ns && edge.wall_ns <= graph.nodes[edge.from].wall.inclusive_ns);
        }
    }
}
