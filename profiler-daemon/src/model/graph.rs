//! What a flamegraph draws: towers of stacks with exact time, for a selection and a metric.

mod foreign;
mod methods;
mod opened;
mod sampled;
mod towers;
mod waiting;
pub mod weighted;

use serde::{Deserialize, Serialize};

use methods::Methods;
pub use towers::Owner;
use towers::{Tower, Towers, towers};
use waiting::{Waiting, aligned, waiting};

use super::capture::Capture;
use super::selection::{NothingSelected, Selection};
use super::stacks::{FrameId, FrameKind, Frames, Merged, Resolved, weigh};
use super::states::{State, States};
use super::symbols::Symbolize;
use super::waits::{Keep, Stacks};

/// What the width of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Wall time: all five states. Of a request: those of its root scope, so the width is its wall time.
    Wall,
    /// Time on a CPU. Of a request: its root scope's and that of the tasks it spawned.
    Cpu,
    /// Time asleep in the kernel inside polls, where it holds a worker. Of a request: as for [`Metric::Cpu`].
    Blocked,
}

impl Metric {
    /// What is drawn, e.g. `CPU time`.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Wall => "wall time",
            Self::Cpu => "CPU time",
            Self::Blocked => "blocked time",
        }
    }

    /// Whether time in this state has a width.
    #[must_use]
    pub const fn counts(self, state: State) -> bool {
        match self {
            Self::Wall => true,
            Self::Cpu => matches!(state, State::Running),
            Self::Blocked => matches!(state, State::Blocked),
        }
    }
}

/// What else a graph shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphOptions {
    /// In a wall graph of a request, also its spawned tasks, as a tower of their own beside it. They ran in the same
    /// wall time, so the graph's width is then more than the request's.
    pub children: bool,
    /// Which frames of await stacks are drawn, and whether stacks of code are cut to those of await stacks.
    pub keep: Keep,
}

/// One stack of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Frames, root first.
    pub stack: Vec<FrameId>,
    /// What its time was spent in.
    pub state: State,
    /// Samples, stretches off the CPU or waits that it was seen in. 0: time without one, or their number is not known.
    pub count: u64,
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
    /// Time blocked of everything drawn.
    pub blocked_ns: u64,
    /// Samples that give the shape of `cpu_ns`.
    pub samples: u64,
    /// CPU time that they stand for.
    pub sampled_ns: u64,
    /// The part of `cpu_ns` that belongs to a request or task without any sample: too short for one.
    pub unsampled_ns: u64,
    /// Stretches that give the shape of `blocked_ns`.
    pub stretches: u64,
    /// How many samples and stretches have no stack, or one that was not walked to its end.
    pub truncated: u64,
    /// Samples and stretches inside the request in a task that is neither its own nor known as its child: they shape nothing.
    pub unplaced: u64,
    /// CPU time between two samples outside of wanted requests. `None`: stacks were not sampled.
    pub period_ns: Option<u64>,
}

impl Graph {
    /// Width of the graph: the sum of its lines.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.ns))
    }

    /// By how much samples were stretched to give the exact time: 1.0 where they stand for all of it. `None`: there are none.
    #[must_use]
    pub fn scale(&self) -> Option<f64> {
        scale(self.cpu_ns, self.sampled_ns)
    }
}

/// Exact time by the time that samples stand for. `None`: they stand for none.
#[must_use]
pub fn scale(exact_ns: u64, sampled_ns: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    (sampled_ns > 0).then(|| exact_ns as f64 / sampled_ns as f64)
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
    let stacks = Stacks::of(capture, None);
    let Towers { selected: mut towers, beside, unplaced, seen_wall_ns } = {
        // Where the tasks stand beside the request in time of their own, they would be drawn twice.
        let open = (!options.children).then_some(options.keep);
        towers(capture, selection, (metric, open), &stacks)
    };
    // The wall time of an id of another library is not the sum of what was seen of it.
    let own = towers.iter().filter(|tower| tower.is_whole());
    let wall_ns = own.fold(seen_wall_ns, |sum, tower| sum.saturating_add(tower.states.wall_ns()));
    let is_part = towers.iter().any(|tower| !tower.is_whole());
    if metric != Metric::Wall || options.children {
        towers.extend(beside);
    }
    let empty = Graph {
        title: if is_part { format!("{}, as far as it was seen on workers", selection.title()) } else { selection.title() },
        metric,
        frames: Frames::default(),
        lines: Vec::new(),
        wall_ns,
        cpu_ns: 0,
        blocked_ns: 0,
        samples: 0,
        sampled_ns: 0,
        unsampled_ns: 0,
        stretches: 0,
        truncated: 0,
        unplaced,
        period_ns: capture.sample_period_ns,
    };
    let shaped = towers.iter().map(|tower| Shaped::of(capture, tower, metric, &stacks, options.keep)).collect();
    Ok(draw(shaped, &stacks, options.keep, empty, symbols))
}

/// A tower with everything that stands on it, names of code not yet looked up.
struct Shaped<'t> {
    tower: &'t Tower<'t>,
    polled: Vec<(State, Merged)>,
    waiting: Vec<Waiting>,
}

impl<'t> Shaped<'t> {
    fn of(capture: &Capture, tower: &'t Tower<'t>, metric: Metric, stacks: &Stacks, keep: Keep) -> Self {
        let waiting = if metric == Metric::Wall { waiting(capture, tower, stacks, keep) } else { Vec::new() };
        Self { tower, polled: shapes(tower, metric), waiting }
    }

    fn addresses(&self) -> impl Iterator<Item = u64> {
        let polled = self.polled.iter().flat_map(|(_, group)| group.addresses());
        polled.chain(self.waiting.iter().flat_map(|line| line.addresses.iter().copied()))
    }
}

fn draw(towers: Vec<Shaped<'_>>, stacks: &Stacks, keep: Keep, mut graph: Graph, symbols: &mut dyn Symbolize) -> Graph {
    let resolved = Resolved::of(towers.iter().flat_map(Shaped::addresses), symbols, &mut graph.frames);
    let code = graph.frames.with_files().filter(|(name, _)| name.kind == FrameKind::Code);
    let methods = Methods::of(stacks.frames(), code.map(|(name, files)| (name.text.as_str(), files)));
    for Shaped { tower, polled, waiting } in towers {
        let mut roots: Vec<FrameId> = tower.roots.iter().map(|name| graph.frames.id(name.clone())).collect();
        roots.extend(tower.under.iter().map(|name| graph.frames.id(methods.named(name.clone()))));
        graph.cpu_ns = graph.cpu_ns.saturating_add(tower.states.running_ns);
        graph.blocked_ns = graph.blocked_ns.saturating_add(tower.states.blocked_ns);
        let aligned = if graph.metric == Metric::Wall { aligned(tower, stacks, keep, &methods) } else { None };
        for (state, group) in &polled {
            graph.count(*state, group, &tower.states);
            let (total_ns, leaves) = (tower.states.of(*state), graph.metric != Metric::Cpu);
            for part in weigh(group, total_ns, leaves, (&resolved, aligned.as_ref()), &mut graph.frames) {
                graph.push(&roots, &Line { stack: part.stack, state: *state, count: part.count, ns: part.ns });
            }
        }
        for line in waiting.into_iter().filter(|line| line.ns > 0) {
            let mut stack = Vec::new();
            if !line.addresses.is_empty() {
                stack = resolved.stack(&line.addresses, line.truncated, &mut graph.frames);
            }
            stack.extend(line.frames.into_iter().map(|name| graph.frames.id(methods.named(name))));
            graph.push(&roots, &Line { stack, state: line.state, count: line.count, ns: line.ns });
        }
    }
    graph
}

impl Graph {
    fn push(&mut self, roots: &[FrameId], line: &Line) {
        if line.ns > 0 {
            let stack = [roots, &line.stack].concat();
            self.lines.push(Line { stack, state: line.state, count: line.count, ns: line.ns });
        }
    }

    fn count(&mut self, state: State, group: &Merged, states: &States) {
        self.truncated = self.truncated.saturating_add(group.truncated());
        match state {
            State::Running => {
                self.samples = self.samples.saturating_add(group.count());
                self.sampled_ns = self.sampled_ns.saturating_add(group.ns());
                if group.count() == 0 {
                    self.unsampled_ns = self.unsampled_ns.saturating_add(states.running_ns);
                }
            }
            State::Blocked => self.stretches = self.stretches.saturating_add(group.count()),
            State::Preempted | State::Scheduled | State::Suspended => {}
        }
    }
}

/// The states in which a thread has a stack.
fn shapes(tower: &Tower<'_>, metric: Metric) -> Vec<(State, Merged)> {
    let polled = [State::Running, State::Preempted, State::Blocked].into_iter();
    polled
        .filter(|&state| metric.counts(state))
        .map(|state| match state {
            State::Running => (state, Merged::samples(tower.seen.samples.iter().copied(), tower.scope)),
            _ => (state, Merged::off_cpu(tower.seen.off_cpu.iter().copied(), state, tower.scope)),
        })
        .collect()
}

#[cfg(test)]
mod tests;
