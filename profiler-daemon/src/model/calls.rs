//! A call graph: functions, sync and async, with the time in them and what they call or await.
//!
//! It is drawn from the same stacks as the wall flamegraph, so its times are the same. A suspension is time of the function that awaits,
//! not a call of its own. A function that is on a stack twice counts once: recursion does not double a time.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::graph::{Graph, Line};
use super::stacks::{FrameId, FrameKind};
use super::states::State;

/// Functions and what they call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallGraph {
    /// What it is about. Printable.
    pub title: String,
    /// Each once: roots and functions, in the order in which stacks lead to them.
    pub nodes: Vec<Node>,
    /// Each once, by caller and callee.
    pub edges: Vec<Edge>,
    /// All time in it.
    pub wall_ns: u64,
}

/// A function, or what functions stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Printable.
    pub name: String,
    /// The name with its generic arguments, where that says more. Printable.
    pub full: Option<String>,
    /// What it is.
    pub kind: NodeKind,
    /// Time in it and in what it calls.
    pub wall: Time,
    /// The part of that on a CPU.
    pub cpu: Time,
    /// The part of its own wall time that it awaited something.
    pub awaited_ns: u64,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A request or a task. Its own time is what no function is known for.
    Root,
    /// A function that was seen to await.
    Async,
    /// Another function: it does not wait, or was not seen to.
    Sync,
}

/// A time of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// In it and in what it calls.
    pub inclusive_ns: u64,
    /// In itself.
    pub exclusive_ns: u64,
}

/// That a function calls or awaits another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Place of the caller in [`CallGraph::nodes`].
    pub from: usize,
    /// Place of the callee.
    pub to: usize,
    /// Time in the callee as called by this caller, and in what it calls.
    pub wall_ns: u64,
    /// The part of that on a CPU.
    pub cpu_ns: u64,
    /// How often the callee was polled by way of this caller and returned pending: waits whose stack has both.
    pub waits: u64,
    /// Samples and stretches off the CPU whose stack has both.
    pub seen: u64,
}

/// The call graph of a wall graph.
#[must_use]
pub fn call_graph(graph: &Graph) -> CallGraph {
    let mut calls = Calls::default();
    for line in &graph.lines {
        calls.add(graph, line);
    }
    CallGraph {
        title: graph.title.clone(),
        nodes: calls.nodes,
        edges: calls.edges.into_values().collect(),
        wall_ns: graph.total_ns(),
    }
}

#[derive(Default)]
struct Calls {
    nodes: Vec<Node>,
    places: HashMap<(String, bool), usize>,
    edges: BTreeMap<(usize, usize), Edge>,
}

impl Calls {
    fn add(&mut self, graph: &Graph, line: &Line) {
        let path = self.path(graph, line);
        let cpu_ns = if line.state == State::Running { line.ns } else { 0 };
        let awaits = line.state == State::Suspended;
        for &place in path.iter().collect::<BTreeSet<_>>() {
            let Some(node) = self.nodes.get_mut(place) else { continue };
            node.wall.inclusive_ns = node.wall.inclusive_ns.saturating_add(line.ns);
            node.cpu.inclusive_ns = node.cpu.inclusive_ns.saturating_add(cpu_ns);
            if awaits && node.kind == NodeKind::Sync {
                node.kind = NodeKind::Async;
            }
        }
        if let Some(node) = path.last().and_then(|&place| self.nodes.get_mut(place)) {
            node.wall.exclusive_ns = node.wall.exclusive_ns.saturating_add(line.ns);
            node.cpu.exclusive_ns = node.cpu.exclusive_ns.saturating_add(cpu_ns);
            node.awaited_ns = node.awaited_ns.saturating_add(if awaits { line.ns } else { 0 });
        }
        let calls: BTreeSet<(usize, usize)> = path.iter().copied().zip(path.iter().copied().skip(1)).collect();
        for (from, to) in calls {
            let new = Edge { from, to, wall_ns: 0, cpu_ns: 0, waits: 0, seen: 0 };
            let edge = self.edges.entry((from, to)).or_insert(new);
            edge.wall_ns = edge.wall_ns.saturating_add(line.ns);
            edge.cpu_ns = edge.cpu_ns.saturating_add(cpu_ns);
            let count = if awaits { &mut edge.waits } else { &mut edge.seen };
            *count = count.saturating_add(line.count);
        }
    }

    /// The places of a stack's root and functions, new ones included.
    fn path(&mut self, graph: &Graph, line: &Line) -> Vec<usize> {
        let mut path = Vec::new();
        let mut roots: Vec<&str> = Vec::new();
        for &id in &line.stack {
            let Some(name) = graph.frames.name(id) else { continue };
            match name.kind {
                FrameKind::Request => roots.push(&name.text),
                // Above a state stands what held the workers, which is no root.
                FrameKind::Task if path.is_empty() => {
                    roots.push(&name.text);
                    path.push(self.node(roots.join(", "), None, NodeKind::Root));
                }
                FrameKind::Code => path.push(self.function(graph, id, &name.text)),
                FrameKind::State(_) | FrameKind::Unseen | FrameKind::Task => {}
            }
        }
        path
    }

    fn function(&mut self, graph: &Graph, id: FrameId, text: &str) -> usize {
        self.node(text.to_owned(), graph.frames.full(id).map(str::to_owned), NodeKind::Sync)
    }

    fn node(&mut self, name: String, full: Option<String>, kind: NodeKind) -> usize {
        let next = self.nodes.len();
        let place = *self.places.entry((name.clone(), kind == NodeKind::Root)).or_insert(next);
        if place == next {
            let (wall, cpu) = (Time::default(), Time::default());
            self.nodes.push(Node { name, full, kind, wall, cpu, awaited_ns: 0 });
        }
        place
    }
}
