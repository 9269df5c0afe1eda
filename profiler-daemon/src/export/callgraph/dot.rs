//! The call graph in graphviz's language: `dot -Tsvg calls.dot`. Every number stands in an attribute too, for programs.
//!
//! <https://graphviz.org/doc/info/lang.html>: in a quoted string `"` is escaped, and in a label `\` as well.

use std::io::Write;

use super::{call, drawn, numbers, shade, share};
use crate::export::ExportError;
use crate::model::Graph;
use crate::model::calls::NodeKind;

/// Writes every node and edge.
pub fn write(graph: &Graph, mut out: impl Write) -> Result<(), ExportError> {
    let calls = drawn(graph)?;
    writeln!(out, "digraph calls {{")?;
    writeln!(out, "  graph [label={}, labelloc=t, fontname=\"sans-serif\"];", quoted(&[format!("Calls of {}", calls.title)]))?;
    writeln!(out, "  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=11];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=9];")?;
    for (node, place) in calls.nodes.iter().zip(0_usize..) {
        let kind = match node.kind {
            NodeKind::Root => "root",
            NodeKind::Async => "async",
            NodeKind::Sync => "sync",
        };
        let lines: Vec<String> = [node.name.clone()].into_iter().chain(numbers(&calls, node)).collect();
        writeln!(
            out,
            "  n{place} [label={}, tooltip={}, fillcolor=\"{}\", kind={kind}, wall_ns={}, own_wall_ns={}, cpu_ns={}, own_cpu_ns={}, \
             awaited_ns={}];",
            quoted(&lines),
            quoted(&[node.full.clone().unwrap_or_else(|| node.name.clone())]),
            shade(node, calls.wall_ns),
            node.wall.inclusive_ns,
            node.wall.exclusive_ns,
            node.cpu.inclusive_ns,
            node.cpu.exclusive_ns,
            node.awaited_ns,
        )?;
    }
    for edge in &calls.edges {
        writeln!(
            out,
            "  n{} -> n{} [label={}, penwidth={:.2}, wall_ns={}, cpu_ns={}, waits={}, seen={}];",
            edge.from,
            edge.to,
            quoted(&call(edge)),
            1.0 + 4.0 * share(edge.wall_ns, calls.wall_ns),
            edge.wall_ns,
            edge.cpu_ns,
            edge.waits,
            edge.seen,
        )?;
    }
    writeln!(out, "}}")?;
    Ok(out.flush()?)
}

/// Lines as one quoted string. They are printable: none holds a line's end.
fn quoted(lines: &[String]) -> String {
    let escaped: Vec<String> = lines.iter().map(|line| line.replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("\"{}\"", escaped.join("\\n"))
}
