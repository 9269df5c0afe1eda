//! What a flamegraph draws: towers of stacks with exact time, for a selection and a metric.

mod towers;

use towers::{Tower, Towers, towers};

use super::capture::Capture;
use super::selection::{NothingSelected, Selection};
use super::stacks::{FrameId, FrameKind, FrameName, Frames, Merged, Resolved, weigh};
use super::states::State;
use super::symbols::Symbolize;

/// What the width of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Wall time: all five states. Of a request: those of its root scope, so the width is its wall time.
    Wall,
    /// Time on a CPU. Of a request: its root scope's and that of the tasks it spawned.
    Cpu,
}

/// What else a graph shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphOptions {
    /// In a wall graph of a request, also its spawned tasks, as a tower of their own beside it. They ran in the same
    /// wall time, so the graph's width is then more than the request's.
    pub children: bool,
}

/// One stack of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Frames, root first.
    pub stack: Vec<FrameId>,
    /// Its time.
    pub ns: u64,
}

/// A graph, ready to be written.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What it is about, e.g. `request order-42`. Printable.
    pub title: String,
    /// What widths mean.
    pub metric: Metric,
    /// The frames that lines point into.
    pub frames: Frames,
    /// Stacks with time above zero.
    pub lines: Vec<Line>,
    /// Wall time of what was selected, without the tasks that a request spawned.
    pub wall_ns: u64,
    /// Time on a CPU of everything drawn.
    pub cpu_ns: u64,
    /// Samples that give the shape of `cpu_ns`.
    pub samples: u64,
    /// How many of them have no stack, or one that was not walked to its end.
    pub truncated: u64,
    /// Samples taken inside the request in a task that is neither its own nor known as its child: they shape nothing.
    pub unplaced: u64,
    /// CPU time that one sample stands for. `None`: stacks were not sampled.
    pub period_ns: Option<u64>,
}

impl Graph {
    /// Width of the graph: the sum of its lines.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.ns))
    }

    /// By how much samples were stretched to give the exact time: 1.0 where each stands for one period. `None`: there
    /// are none.
    #[must_use]
    pub fn scale(&self) -> Option<f64> {
        let sampled = u128::from(self.samples) * u128::from(self.period_ns?);
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        (sampled > 0).then(|| self.cpu_ns as f64 / sampled as f64)
    }
}

/// Draws a selection. Refuses one that matches nothing.
///
/// Expects instances to be numbered ([`Capture::number_instances`]).
pub fn graph(
    capture: &Capture,
    selection: &Selection,
    metric: Metric,
    options: GraphOptions,
    symbols: &mut dyn Symbolize,
) -> Result<Graph, NothingSelected> {
    selection.check(capture)?;
    let Towers { selected: mut towers, beside, unplaced } = towers(capture, selection, metric);
    let wall_ns = towers.iter().fold(0_u64, |sum, tower| sum.saturating_add(tower.states.wall_ns()));
    if metric == Metric::Cpu || options.children {
        towers.extend(beside);
    }
    Ok(draw(
        &towers,
        Graph {
            title: title(selection),
            metric,
            frames: Frames::default(),
            lines: Vec::new(),
            wall_ns,
            cpu_ns: 0,
            samples: 0,
            truncated: 0,
            unplaced,
            period_ns: capture.sample_period_ns,
        },
        symbols,
    ))
}

fn draw(towers: &[Tower<'_>], mut graph: Graph, symbols: &mut dyn Symbolize) -> Graph {
    let groups: Vec<Merged> = towers.iter().map(|tower| Merged::of(tower.samples.iter().copied())).collect();
    let resolved = Resolved::of(&groups, symbols, &mut graph.frames);
    for (tower, group) in towers.iter().zip(&groups) {
        let roots: Vec<FrameId> = tower.roots.iter().map(|name| graph.frames.id(name.clone())).collect();
        graph.cpu_ns = graph.cpu_ns.saturating_add(tower.states.running_ns);
        graph.samples = graph.samples.saturating_add(group.samples());
        graph.truncated = graph.truncated.saturating_add(group.truncated());
        for part in weigh(group, tower.states.running_ns, &resolved, &mut graph.frames) {
            let mut stack = [roots.as_slice(), part.stack.as_slice()].concat();
            if graph.metric == Metric::Wall && part.samples > 0 {
                stack.push(state_frame(State::Running, &mut graph.frames));
            }
            graph.lines.push(Line { stack, ns: part.ns });
        }
        if graph.metric == Metric::Wall {
            for state in State::ALL.into_iter().filter(|&state| state != State::Running) {
                let mut stack = roots.clone();
                stack.push(state_frame(state, &mut graph.frames));
                graph.lines.push(Line { stack, ns: tower.states.of(state) });
            }
        }
    }
    graph.lines.retain(|line| line.ns > 0);
    graph
}

fn state_frame(state: State, frames: &mut Frames) -> FrameId {
    frames.id(FrameName { text: format!("[{}]", state.name()), kind: FrameKind::State(state) })
}

fn title(selection: &Selection) -> String {
    match selection {
        Selection::Request { id } => format!("request {id}"),
        Selection::Task { id } => format!("task {id}"),
        Selection::All => "all tasks".to_owned(),
    }
}

#[cfg(test)]
mod tests;
