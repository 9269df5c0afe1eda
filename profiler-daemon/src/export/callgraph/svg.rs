//! The call graph as a picture that needs nothing but a browser.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;

use unicode_width::UnicodeWidthStr as _;

use super::layout::{Layout, Point, Shape, Size, layout};
use super::{call, drawn, numbers, shade, share};
use crate::export::ExportError;
use crate::export::numbers::{ms, plural};
use crate::export::table::{beginning, end};
use crate::model::Graph;
use crate::model::calls::{CallGraph, Edge, Node, NodeKind};

/// A node with less than this part of all time is not drawn, as in `go tool pprof`.
const LEAST_NODE: f64 = 0.005;
/// Nor an edge with less than this.
const LEAST_EDGE: f64 = 0.001;
/// Nodes that are drawn at most, those with the most time: more is no picture.
const NODES_MAX: usize = 150;
/// Columns of a name that are shown; the tip tells all of it.
const NAME_MAX: usize = 60;
/// Width of a column of the monospaced font at 12 px, and height of a line.
const COLUMN: f64 = 7.3;
const LINE: f64 = 15.0;
const PADDING: f64 = 8.0;
/// Room for the title.
const TOP: f64 = 48.0;

/// Writes the picture; what is too small to be drawn is counted in its title.
pub fn write(graph: &Graph, mut out: impl Write) -> Result<(), ExportError> {
    let calls = drawn(graph)?;
    out.write_all(picture(&calls).as_bytes())?;
    Ok(out.flush()?)
}

/// What is drawn of a graph.
struct Drawn<'c> {
    nodes: Vec<(&'c Node, Vec<String>)>,
    /// With the places of their ends among these nodes.
    edges: Vec<(&'c Edge, (usize, usize))>,
}

impl<'c> Drawn<'c> {
    fn of(calls: &'c CallGraph) -> Self {
        let mut shown: Vec<usize> = (0..calls.nodes.len()).collect();
        let time = |at: usize| calls.nodes.get(at).map_or(0, |node| node.wall.inclusive_ns);
        shown.retain(|&at| share(time(at), calls.wall_ns) >= LEAST_NODE);
        shown.sort_by_key(|&at| std::cmp::Reverse(time(at)));
        shown.truncate(NODES_MAX);
        shown.sort_unstable();
        let places: HashMap<usize, usize> = shown.iter().zip(0..).map(|(&at, place)| (at, place)).collect();
        let nodes = shown.iter().filter_map(|&at| calls.nodes.get(at));
        let ends = |edge: &Edge| Some((*places.get(&edge.from)?, *places.get(&edge.to)?));
        let edges = calls.edges.iter().filter(|edge| share(edge.wall_ns, calls.wall_ns) >= LEAST_EDGE);
        Self {
            nodes: nodes.map(|node| (node, numbers(calls, node))).collect(),
            edges: edges.filter_map(|edge| Some((edge, ends(edge)?))).collect(),
        }
    }
}

fn picture(calls: &CallGraph) -> String {
    let drawn = Drawn::of(calls);
    let sizes = drawn.nodes.iter().map(|(node, numbers)| size(node, numbers)).collect();
    let shape = Shape { sizes, edges: drawn.edges.iter().map(|(_, ends)| *ends).collect() };
    let places = layout(&shape);
    let (title, subtitle) = (format!("Calls of {}", calls.title), subtitle(calls, &drawn));
    let width = places.size.width.max(columns(&title) * 1.4).max(columns(&subtitle) + 2.0 * PADDING);
    let height = places.size.height + TOP;
    // Writing to a String cannot fail.
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"monospace\" font-size=\"12\">\n\
         <defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#667\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fafafa\"/>\n\
         <text x=\"{PADDING}\" y=\"20\" font-size=\"16\">{}</text>\n<text x=\"{PADDING}\" y=\"38\" fill=\"#555\">{}</text>\n\
         <g transform=\"translate(0 {TOP})\">",
        escaped(&title),
        escaped(&subtitle),
    );
    for ((edge, ends), points) in drawn.edges.iter().zip(&places.edges) {
        push_edge(&mut svg, calls, edge, &way(points, &shape, &places, *ends));
    }
    for (((node, numbers), middle), size) in drawn.nodes.iter().zip(&places.nodes).zip(&shape.sizes) {
        push_node(&mut svg, calls, node, numbers, *middle, *size);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn subtitle(calls: &CallGraph, drawn: &Drawn<'_>) -> String {
    let cpu_ns = calls.nodes.iter().fold(0_u64, |sum, node| sum.saturating_add(node.cpu.exclusive_ns));
    let left_off = match calls.nodes.len().saturating_sub(drawn.nodes.len()) {
        0 => String::new(),
        some => format!("; {} with the least time not drawn", plural(some as u64, "function")),
    };
    format!("wall {}, CPU {}; blue awaits, orange does not{left_off}", ms(calls.wall_ns), ms(cpu_ns))
}

fn size(node: &Node, numbers: &[String]) -> Size {
    let widest = numbers.iter().map(|line| columns(line)).fold(columns(&short(node)), f64::max);
    let lines = numbers.iter().fold(1.0, |lines, _| lines + 1.0);
    Size { width: widest + 2.0 * PADDING, height: lines * LINE + PADDING }
}

/// The name, or a part of it: of a function its end, which tells more, of a root the beginning, where the request is.
fn short(node: &Node) -> String {
    match node.kind {
        NodeKind::Root => beginning(&node.name, NAME_MAX),
        NodeKind::Async | NodeKind::Sync => end(&node.name, NAME_MAX),
    }
}

#[expect(clippy::cast_precision_loss, reason = "columns of a line")]
fn columns(text: &str) -> f64 {
    text.width() as f64 * COLUMN
}

fn push_node(svg: &mut String, calls: &CallGraph, node: &Node, numbers: &[String], middle: Point, size: Size) {
    let (x, y) = (middle.x - size.width / 2.0, middle.y - size.height / 2.0);
    let radius = if node.kind == NodeKind::Async { 8 } else { 1 };
    let _ = writeln!(
        svg,
        "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{radius}\" fill=\"{}\" stroke=\"#667\"/>",
        escaped(node.full.as_deref().unwrap_or(&node.name)),
        size.width,
        size.height,
        shade(node, calls.wall_ns),
    );
    let mut line_y = y + LINE;
    let _ =
        writeln!(svg, "<text x=\"{:.1}\" y=\"{line_y:.1}\" font-weight=\"bold\">{}</text>", x + PADDING, escaped(&short(node)));
    for line in numbers {
        line_y += LINE;
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{line_y:.1}\" font-size=\"11\">{}</text>", x + PADDING, escaped(line));
    }
    svg.push_str("</g>\n");
}

/// The points of an edge from the border of its caller to the border of its callee.
fn way(points: &[Point], shape: &Shape, places: &Layout, (from, to): (usize, usize)) -> Vec<Point> {
    let border = |node: usize, towards: Option<&Point>| {
        let (middle, size) = (*places.nodes.get(node)?, shape.sizes.get(node)?);
        let down = towards.is_some_and(|point| point.y > middle.y);
        Some(Point { y: middle.y + if down { size.height / 2.0 } else { -size.height / 2.0 }, ..middle })
    };
    if from == to {
        // An ear at the right side.
        let ear = places.nodes.get(from).zip(shape.sizes.get(from)).map(|(middle, size)| {
            let x = middle.x + size.width / 2.0;
            vec![Point { x, y: middle.y - 8.0 }, Point { x, y: middle.y + 8.0 }]
        });
        return ear.unwrap_or_default();
    }
    let mut way = points.to_vec();
    if let (Some(first), Some(begin)) = (way.first().copied(), border(from, points.get(1))) {
        way.iter_mut().take(1).for_each(|point| *point = Point { x: first.x, ..begin });
    }
    let before = points.len().checked_sub(2).and_then(|at| points.get(at));
    if let (Some(last), Some(end)) = (way.last_mut(), border(to, before)) {
        *last = end;
    }
    way
}

fn push_edge(svg: &mut String, calls: &CallGraph, edge: &Edge, way: &[Point]) {
    let (Some(first), Some(last)) = (way.first(), way.last()) else { return };
    let mut path = format!("M{:.1},{:.1}", first.x, first.y);
    let is_ear = edge.from == edge.to;
    for (one, next) in way.iter().zip(way.iter().skip(1)) {
        let half = (next.y - one.y) / 2.0;
        let bulge = if is_ear { 30.0 } else { 0.0 };
        let (above, below) = if is_ear { (one.y - 6.0, next.y + 6.0) } else { (one.y + half, next.y - half) };
        let _ = write!(path, " C{:.1},{above:.1} {:.1},{below:.1} {:.1},{:.1}", one.x + bulge, next.x + bulge, next.x, next.y);
    }
    let width = 1.0 + 4.0 * share(edge.wall_ns, calls.wall_ns);
    let _ =
        writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"#667\" stroke-width=\"{width:.1}\" marker-end=\"url(#to)\"/>");
    // Beside the last stretch: where several edges leave one node, they have parted there.
    let before = way.len().checked_sub(2).and_then(|at| way.get(at)).unwrap_or(first);
    let (x, y) =
        if is_ear { (first.x + 28.0, first.y + 4.0) } else { ((before.x + 2.0 * last.x) / 3.0, (before.y + 2.0 * last.y) / 3.0) };
    for (line, number) in call(edge).iter().zip(0_u8..) {
        let y = y + f64::from(number) * 11.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"10\" fill=\"#333\" stroke=\"#fafafa\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            x + 4.0,
            escaped(line),
        );
    }
}

/// Text of XML. It is printable: no control character is in it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
