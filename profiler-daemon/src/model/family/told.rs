//! Families as they are shown: with names, and the critical path summed by what it consisted of.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::gather::Seen;
use super::node::{Kind, Node};
use super::path::{Path, What, path};
use super::timeline::Unknown;
use super::tree::tree;
use crate::model::capture::{AwaitIndex, AwaitSource, Capture, RequestRow, TaskKind};
use crate::model::report::{Counts, RequestName, Times, request_name};
use crate::model::selection::{NothingSelected, Selection};
use crate::model::states::State;
use crate::model::symbols::Symbolize;
use crate::model::waits::{Keep, Reading, Stacks};

/// One instance of a request with its family. Texts come from the target: print them escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// Which request.
    pub request: RequestName,
    /// Whether it ended inside the window.
    pub complete: bool,
    /// Where await stacks come from in this target.
    pub source: AwaitSource,
    /// The request, and the tasks that it spawned, in the order of a tree.
    pub tree: Vec<Member>,
    /// What its wall time consisted of.
    pub critical_path: CriticalPath,
}

/// The request itself, or a task of it.
#[expect(clippy::struct_excessive_bools, reason = "the shape that programs read: each is a fact of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// How many it was spawned by, one by another: it stands below the nearest one before it with a smaller depth. The request has 0.
    pub depth: u32,
    /// Tokio's task id; of the request that of the task that polled it. `None`: it could not be read, or there is none.
    pub id: Option<u64>,
    /// Type of its task. `None`: outside of any.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// How it is run. `None`: it is the request.
    pub kind: Option<TaskKind>,
    /// Whether it is known who spawned it. If not, it stands below the request.
    pub parent_known: bool,
    /// Whether it ended inside the window.
    pub complete: bool,
    /// Whether its time begins at its spawn.
    pub spawn_seen: bool,
    /// When its time begins, after the request's start.
    pub after_ns: u64,
    /// Whether it went on after the request had ended.
    pub outlived: bool,
    /// How much of its time is on the critical path.
    pub critical_ns: u64,
    /// Its states.
    #[serde(flatten)]
    pub times: Times,
    /// Its polls and wakes.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What the wall time of a request consisted of. Rows, and steps, add up to `wall_ns` exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriticalPath {
    /// The request's wall time.
    pub wall_ns: u64,
    /// The sums of the rows.
    pub times: PathTimes,
    /// The parts of it, in the order in which they first came.
    pub rows: Vec<PathRow>,
    /// The same in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PathStep>,
    /// Time in a poll of which a part is on the path, and whose stretches off the CPU were not all recorded: the part is divided as the whole is.
    pub divided_ns: u64,
    /// Time in tasks that were found by the wake that they caused, and not by the await stack.
    pub by_wake_ns: u64,
}

/// Time on the critical path by what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTimes {
    /// On a CPU.
    pub running_ns: u64,
    /// In a poll, runnable, off CPU.
    pub preempted_ns: u64,
    /// In a poll, asleep in the kernel.
    pub blocked_ns: u64,
    /// Ready, waiting for a worker.
    pub scheduled_ns: u64,
    /// At an await on something that is no task of the request.
    pub suspended_ns: u64,
    /// Not known.
    pub unknown_ns: u64,
}

/// What was done in a part of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathState {
    /// On a CPU.
    Running,
    /// In a poll, runnable, off CPU.
    Preempted,
    /// In a poll, asleep in the kernel.
    Blocked,
    /// Ready, waiting for a worker.
    Scheduled,
    /// At an await.
    Suspended,
    /// Not known.
    Unknown,
}

impl PathState {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Running, Self::Preempted, Self::Blocked, Self::Scheduled, Self::Suspended, Self::Unknown];

    /// The name as users read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Preempted => "preempted",
            Self::Blocked => "blocked",
            Self::Scheduled => "scheduled",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
        }
    }

    const fn of(what: What) -> Self {
        match what {
            What::In(State::Running) => Self::Running,
            What::In(State::Preempted) => Self::Preempted,
            What::In(State::Blocked) => Self::Blocked,
            What::In(State::Scheduled) => Self::Scheduled,
            What::In(State::Suspended) | What::Await(_) => Self::Suspended,
            What::Unknown(_) => Self::Unknown,
        }
    }
}

impl PathTimes {
    /// The time in one of them.
    #[must_use]
    pub const fn of(&self, state: PathState) -> u64 {
        match state {
            PathState::Running => self.running_ns,
            PathState::Preempted => self.preempted_ns,
            PathState::Blocked => self.blocked_ns,
            PathState::Scheduled => self.scheduled_ns,
            PathState::Suspended => self.suspended_ns,
            PathState::Unknown => self.unknown_ns,
        }
    }

    const fn add(&mut self, state: PathState, ns: u64) {
        let time = match state {
            PathState::Running => &mut self.running_ns,
            PathState::Preempted => &mut self.preempted_ns,
            PathState::Blocked => &mut self.blocked_ns,
            PathState::Scheduled => &mut self.scheduled_ns,
            PathState::Suspended => &mut self.suspended_ns,
            PathState::Unknown => &mut self.unknown_ns,
        };
        *time = time.saturating_add(ns);
    }
}

/// A part of the path: everything that one member did in one way, on behalf of the same awaits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRow {
    /// Who waited for whom: the tasks that lead to the one whose time it is, which is the last. Empty: the request's own.
    pub chain: Vec<Hop>,
    /// What was done.
    pub state: PathState,
    /// Of `suspended`: what was awaited, shortened. `None`: not known.
    pub awaited: Option<String>,
    /// The file of that `.await`.
    pub file: Option<String>,
    /// The line of it.
    pub line: Option<u32>,
    /// Of `unknown`: why.
    pub unknown: Option<Unknown>,
    /// How many steps of the path it is.
    pub count: u64,
    /// Its time.
    pub ns: u64,
}

/// A task that was awaited, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Tokio's task id.
    pub id: Option<u64>,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The file of the `.await` on it.
    pub file: Option<String>,
    /// The line of it.
    pub line: Option<u32>,
    /// Whether it was found by the wake that it caused, and not by the await stack.
    pub by_wake: bool,
}

/// A stretch of the request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStep {
    /// When it begins, after the request's start.
    pub after_ns: u64,
    /// Its length.
    pub ns: u64,
    /// Place of its row.
    pub row: usize,
}

/// The families of a request, an entry for each instance. Refuses a selection that matches nothing, or is no request.
///
/// Expects instances to be numbered ([`Capture::number_instances`]).
pub fn families(
    capture: &Capture,
    selection: &Selection,
    keep: Keep,
    symbols: &mut dyn Symbolize,
) -> Result<Vec<Family>, NothingSelected> {
    selection.check(capture)?;
    let stacks = Stacks::of(capture, Some(symbols));
    let seen = Seen::of(capture);
    let told = Told { capture, stacks: &stacks, keep };
    Ok(selection.requests(capture).into_iter().map(|row| tell(&told, row, &seen.nodes(row))).collect())
}

/// What names are taken from.
pub(crate) struct Told<'c> {
    pub(crate) capture: &'c Capture,
    pub(crate) stacks: &'c Stacks,
    pub(crate) keep: Keep,
}

/// A request's family, told.
pub(crate) fn tell(told: &Told<'_>, row: &RequestRow, nodes: &[Node]) -> Family {
    let found = path(nodes);
    let critical = critical(&found, nodes.len());
    Family {
        request: request_name(row),
        complete: row.complete,
        source: told.capture.await_source,
        tree: tree(nodes)
            .into_iter()
            .filter_map(|place| {
                let critical_ns = critical.get(place.node).copied().unwrap_or(0);
                Some(told.member(nodes.first()?, nodes.get(place.node)?, (place.depth, place.parent_known), critical_ns))
            })
            .collect(),
        critical_path: told.path(&found, nodes),
    }
}

/// How much of each member's time is on the path.
fn critical(path: &Path, members: usize) -> Vec<u64> {
    let mut sums = vec![0_u64; members];
    for step in &path.steps {
        let node = path.chains.get(step.chain).map(|chain| chain.node);
        if let Some(sum) = node.and_then(|node| sums.get_mut(node)) {
            *sum = sum.saturating_add(step.ns());
        }
    }
    sums
}

impl Told<'_> {
    fn member(&self, root: &Node, node: &Node, (depth, parent_known): (u32, bool), critical_ns: u64) -> Member {
        Member {
            depth,
            id: node.task_id,
            type_name: node.task_type.map(|index| self.capture.type_name(index)),
            kind: match node.kind {
                Kind::Root => None,
                Kind::Task(kind) => Some(kind),
            },
            parent_known,
            complete: node.complete,
            spawn_seen: node.start_seen,
            after_ns: node.start_ns.saturating_sub(root.start_ns),
            outlived: root.complete && node.end_ns() > root.end_ns(),
            critical_ns,
            times: node.states.into(),
            counts: node.counts,
        }
    }

    fn path(&self, found: &Path, nodes: &[Node]) -> CriticalPath {
        let start = found.steps.first().map_or(0, |step| step.start_ns);
        let mut told = CriticalPath { divided_ns: found.divided_ns, by_wake_ns: found.by_wake_ns, ..CriticalPath::default() };
        let mut places: HashMap<(usize, What), usize> = HashMap::new();
        // Rows that read the same are one, though their stacks differ.
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        for step in &found.steps {
            let row = *places.entry((step.chain, step.what)).or_insert_with(|| {
                let row = self.row(found, nodes, step.chain, step.what);
                let reads = format!("{row:?}");
                *alike.entry(reads).or_insert_with(|| {
                    told.rows.push(row);
                    told.rows.len().saturating_sub(1)
                })
            });
            told.times.add(PathState::of(step.what), step.ns());
            told.wall_ns = told.wall_ns.saturating_add(step.ns());
            if let Some(row) = told.rows.get_mut(row) {
                row.count = row.count.saturating_add(1);
                row.ns = row.ns.saturating_add(step.ns());
            }
            told.steps.push(PathStep { after_ns: step.start_ns.saturating_sub(start), ns: step.ns(), row });
        }
        told
    }

    fn row(&self, found: &Path, nodes: &[Node], chain: usize, what: What) -> PathRow {
        let mut hops = Vec::new();
        let mut at = found.chains.get(chain);
        while let Some(one) = at {
            let Some(parent) = one.parent else { break };
            let place = one.stack.and_then(|stack| self.place(stack).1).unzip();
            let node = nodes.get(one.node);
            hops.push(Hop {
                id: node.and_then(|node| node.task_id),
                type_name: node
                    .and_then(|node| node.task_type)
                    .map_or_else(|| "[no task]".to_owned(), |index| self.capture.type_name(index)),
                file: place.0,
                line: place.1,
                by_wake: one.by_wake,
            });
            at = found.chains.get(parent);
        }
        hops.reverse();
        let awaited = match what {
            What::Await(Some(stack)) => Some(self.place(stack)),
            _ => None,
        };
        let (awaited, place) = awaited.unzip();
        let (file, line) = place.flatten().unzip();
        PathRow {
            chain: hops,
            state: PathState::of(what),
            awaited,
            file,
            line,
            unknown: match what {
                What::Unknown(why) => Some(why),
                _ => None,
            },
            count: 0,
            ns: 0,
        }
    }

    /// What is awaited in a stack, and where.
    fn place(&self, stack: AwaitIndex) -> (String, Option<(String, u32)>) {
        let Some(named) = self.stacks.get(stack) else { return ("[unknown]".to_owned(), None) };
        let reading = Reading::of(&named.frames, named.cut, self.keep);
        (reading.what(), reading.place.map(|(file, line)| (file.to_owned(), line)))
    }
}
