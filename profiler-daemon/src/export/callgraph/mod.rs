//! A call graph: functions with the time in them, what they call and what they await; as DOT for graphviz and programs, or drawn as SVG.
//!
//! Drawn here rather than by a crate: of those that lay out graphs, layout-rs 0.1 ends in assertions on shapes that it does not expect, and
//! rust-sugiyama 0.4 tells no way for an edge around the nodes between its ends.

mod dot;
mod layout;
mod svg;
#[cfg(test)]
mod tests;

pub use dot::write as write_dot;
pub use svg::write as write_svg;

use super::ExportError;
use super::numbers::{ms, percent, plural};
use crate::model::calls::{CallGraph, Edge, Node, NodeKind};
use crate::model::{Graph, Metric, call_graph};

/// The call graph of a wall graph. Refuses one without any time.
fn drawn(graph: &Graph) -> Result<CallGraph, ExportError> {
    let calls = call_graph(graph);
    if calls.wall_ns == 0 {
        return Err(ExportError::NothingToDraw { title: calls.title, metric: Metric::Wall });
    }
    Ok(calls)
}

/// What stands in a node below its name.
fn numbers(calls: &CallGraph, node: &Node) -> Vec<String> {
    let of_all = |ns| percent(ns, calls.wall_ns);
    let (wall, cpu) = (node.wall, node.cpu);
    let own = match (node.kind, node.awaited_ns) {
        (_, 0) => format!("own {}", ms(wall.exclusive_ns)),
        (NodeKind::Root, _) => format!("no function known {}", ms(wall.exclusive_ns)),
        (_, awaited_ns) => format!("own {}, awaiting {}", ms(wall.exclusive_ns), ms(awaited_ns)),
    };
    let mut lines = vec![format!("wall {} ({}), {own}", ms(wall.inclusive_ns), of_all(wall.inclusive_ns))];
    if cpu.inclusive_ns > 0 {
        lines.push(format!("CPU {}, own {}", ms(cpu.inclusive_ns), ms(cpu.exclusive_ns)));
    }
    lines
}

/// What stands beside an edge: its time, how often the callee returned pending, how often both were seen on a stack.
fn call(edge: &Edge) -> Vec<String> {
    let counts: Vec<String> = [(edge.waits, "wait"), (edge.seen, "sample")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| plural(count, noun))
        .collect();
    let mut lines = vec![ms(edge.wall_ns)];
    if !counts.is_empty() {
        lines.push(counts.join(", "));
    }
    lines
}

/// A part of the whole, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a width or a shade")]
fn share(ns: u64, whole_ns: u64) -> f64 {
    if whole_ns == 0 { 0.0 } else { (ns as f64 / whole_ns as f64).min(1.0) }
}

/// A colour from white to the kind's own, by the share of the time that is the node's own.
fn shade(node: &Node, whole_ns: u64) -> String {
    let full: [f64; 3] = match node.kind {
        NodeKind::Root => [182.0, 192.0, 200.0],
        NodeKind::Async => [124.0, 178.0, 224.0],
        NodeKind::Sync => [240.0, 160.0, 90.0],
    };
    // A node with little time of its own is still told from the paper.
    let part = 0.15 + 0.85 * share(node.wall.exclusive_ns, whole_ns).sqrt();
    let channel = |full: f64| format!("{:02x}", shade_of(full, part));
    format!("#{}", full.map(channel).concat())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn shade_of(full: f64, part: f64) -> u8 {
    (255.0 - (255.0 - full) * part).round() as u8
}
