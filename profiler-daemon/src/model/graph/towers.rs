//! Whose time stands on which root, and which samples and stretches off the CPU give it a shape.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::opened::opened;
use super::{Metric, foreign, sampled};
use crate::model::capture::{Capture, OffCpu, RequestRow, Sample, ScopeSeq, Stack, TypeIndex};
use crate::model::family::{Seen as Family, Unknown};
use crate::model::held::{Held, held};
use crate::model::request_id::RequestId;
use crate::model::selection::Selection;
use crate::model::stacks::{FrameKind, FrameName};
use crate::model::states::States;
use crate::model::waits::{Accounted, Keep, Spans, Stacks, of_parts, of_sums, of_types};

/// A root with the time on top of it, and what gives that a shape.
#[derive(Default)]
pub(super) struct Tower<'c> {
    pub(super) roots: Vec<FrameName>,
    /// Frames between the roots and the stacks: those that await the task whose time it is.
    pub(super) under: Vec<FrameName>,
    pub(super) owner: Owner,
    pub(super) states: States,
    pub(super) seen: Seen<'c>,
    /// The scope that its stacks are inside of.
    pub(super) scope: Option<ScopeSeq>,
    /// Whether only what was seen on workers is known of it: an id of another library.
    pub(super) partial: bool,
    /// What held the workers while it was scheduled. Known of a request's root scope.
    pub(super) behind: Held,
    /// What it was suspended in. Of a graph that draws no time between polls: nothing.
    pub(super) waits: Accounted,
    /// The part of its suspended time that stands for what is not known, and why.
    pub(super) unknown: Vec<(Unknown, u64)>,
}

impl Tower<'_> {
    /// Whether all of its time is known.
    pub(super) const fn is_whole(&self) -> bool {
        !self.partial
    }
}

/// Whose time a tower is, for formats that say it beside the stack and not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The request and its instance.
    pub request: Option<(RequestId, u64)>,
    /// The task's type. `None`: outside of any task.
    pub task_type: Option<TypeIndex>,
    /// The task's id, where the time is one task's.
    pub task_id: Option<u64>,
    /// Whether the request spawned it: its wall time passed beside that of the request.
    pub spawned: bool,
}

/// Stacks that were taken, on the CPU and off it.
#[derive(Default)]
pub(super) struct Seen<'c> {
    pub(super) samples: Vec<&'c Sample>,
    pub(super) off_cpu: Vec<&'c OffCpu>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) enum Taken<'c> {
    On(&'c Sample),
    Off(&'c OffCpu),
}

impl<'c> Taken<'c> {
    pub(super) const fn stack(self) -> &'c Stack {
        match self {
            Self::On(sample) => &sample.stack,
            Self::Off(off) => &off.stack,
        }
    }

    /// When it was taken; of a stretch off the CPU when that began.
    pub(super) const fn at_ns(self) -> u64 {
        match self {
            Self::On(sample) => sample.ts_ns,
            Self::Off(off) => off.start_ns,
        }
    }

    pub(super) fn all(capture: &'c Capture) -> impl Iterator<Item = Self> {
        capture.samples.iter().map(Self::On).chain(capture.off_cpu.iter().map(Self::Off))
    }
}

impl<'c> Seen<'c> {
    pub(super) fn push(&mut self, taken: Taken<'c>) {
        match taken {
            Taken::On(sample) => self.samples.push(sample),
            Taken::Off(off) => self.off_cpu.push(off),
        }
    }
}

impl<'c> FromIterator<Taken<'c>> for Seen<'c> {
    fn from_iter<I: IntoIterator<Item = Taken<'c>>>(all: I) -> Self {
        let mut seen = Self::default();
        all.into_iter().for_each(|taken| seen.push(taken));
        seen
    }
}

/// The towers of a selection.
#[derive(Default)]
pub(super) struct Towers<'c> {
    /// What was selected.
    pub(super) selected: Vec<Tower<'c>>,
    /// The tasks that selected requests spawned.
    pub(super) beside: Vec<Tower<'c>>,
    /// Stacks inside a selected request that belong to none of these.
    pub(super) unplaced: u64,
    /// Wall time of the ids of other libraries among them: from the first to the last sighting of each.
    pub(super) seen_wall_ns: u64,
}

/// `open`: of a wall graph, whether a request's awaits on its tasks are opened into these tasks' time.
pub(super) fn towers<'c>(
    capture: &'c Capture,
    selection: &Selection,
    (metric, open): (Metric, Option<Keep>),
    stacks: &Stacks,
) -> Towers<'c> {
    match selection {
        Selection::Request { .. } | Selection::Requests => {
            let rows = selection.requests(capture);
            let index = StackIndex::of(capture);
            // No other graph draws it.
            let mut held = if metric == Metric::Wall { held(capture, &rows) } else { HashMap::new() };
            let mut towers = Towers::default();
            let awaits = Awaits::of(capture, stacks);
            for row in rows {
                let behind = held.remove(&row.scope).unwrap_or_default().within(row.states.scheduled_ns);
                add_request(&mut towers, capture, (&index, &awaits), row, behind, metric);
            }
            if let Some(keep) = open.filter(|_| metric == Metric::Wall) {
                let family = (capture, &Family::of(capture), stacks, keep);
                let of_task = |task| index.by_task.get(&task).cloned().unwrap_or_default();
                let mut inner = Vec::new();
                for (tower, row) in towers.selected.iter_mut().zip(selection.requests(capture)) {
                    inner.extend(opened(tower, family, row, of_task));
                }
                towers.selected.extend(inner);
            }
            for row in selection.foreign(capture) {
                foreign::add(&mut towers, capture, &index, row);
            }
            towers
        }
        Selection::Task { id } if capture.sampled.is_some() => {
            Towers { selected: sampled::towers(capture, Some(*id)), ..Towers::default() }
        }
        Selection::All if capture.sampled.is_some() => Towers { selected: sampled::towers(capture, None), ..Towers::default() },
        Selection::Task { id } => {
            Towers { selected: task_tower(capture, *id, stacks).into_iter().collect(), ..Towers::default() }
        }
        Selection::All => Towers { selected: type_towers(capture, stacks), ..Towers::default() },
    }
}

/// What was awaited by whom.
struct Awaits<'c, 's> {
    spans: Spans<'c>,
    stacks: &'s Stacks,
}

impl<'c, 's> Awaits<'c, 's> {
    fn of(capture: &'c Capture, stacks: &'s Stacks) -> Self {
        Self { spans: Spans::of(capture), stacks }
    }

    fn of_scope(&self, scope: ScopeSeq, states: &States) -> Accounted {
        of_parts([self.spans.of_scope(scope)], states, self.stacks)
    }

    /// Tasks of one type that a request spawned, by their ids.
    fn of_children(&self, request: ScopeSeq, index: TypeIndex, ids: &BTreeSet<u64>, states: &States) -> Accounted {
        let named = ids.iter().map(|&id| self.spans.of_child(request, Some(id)));
        // Of those without an id the type tells; which wait follows which is not known.
        let nameless = self.spans.of_child(request, None).into_iter().filter(|span| span.task_type == Some(index));
        of_parts(named.chain(nameless.map(|span| vec![span])), states, self.stacks)
    }
}

/// Stacks by what they are looked up by: many requests of one id would else read all of them each.
pub(super) struct StackIndex<'c> {
    by_scope: HashMap<ScopeSeq, Vec<Taken<'c>>>,
    by_task: HashMap<u64, Vec<Taken<'c>>>,
}

impl<'c> StackIndex<'c> {
    fn of(capture: &'c Capture) -> Self {
        let (mut by_scope, mut by_task) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for taken in Taken::all(capture) {
            for &scope in &taken.stack().requests {
                by_scope.entry(scope).or_default().push(taken);
            }
            if let Some(id) = taken.stack().task_id {
                by_task.entry(id).or_default().push(taken);
            }
        }
        Self { by_scope, by_task }
    }

    /// What was taken inside the request of this number.
    pub(super) fn inside(&self, number: ScopeSeq) -> impl Iterator<Item = &Taken<'c>> {
        self.by_scope.get(&number).into_iter().flatten()
    }
}

/// The tasks of one type that a request spawned.
#[derive(Default)]
struct Spawned<'c> {
    states: States,
    ids: BTreeSet<u64>,
    /// Whether there are some whose id could not be read: those are told by their type.
    nameless: bool,
    seen: Seen<'c>,
}

/// Adds the tower of a request, and one for each type of task it spawned.
///
/// The kernel side counts a child's polls to the request that spawned it, so a stack "inside" the request is the root
/// scope's own only in the task that polled the scope.
fn add_request<'c>(
    towers: &mut Towers<'c>,
    capture: &'c Capture,
    (index, awaits): (&StackIndex<'c>, &Awaits<'c, '_>),
    row: &RequestRow,
    behind: Held,
    metric: Metric,
) {
    let mut spawned: BTreeMap<TypeIndex, Spawned<'c>> = BTreeMap::new();
    for child in &row.children {
        let group = spawned.entry(child.task_type).or_default();
        group.states.add(&child.states);
        match child.task_id {
            Some(id) if group.ids.insert(id) => {
                index.by_task.get(&id).into_iter().flatten().for_each(|&taken| group.seen.push(taken));
            }
            Some(_) => {}
            None => group.nameless = true,
        }
    }
    let named: BTreeSet<u64> = spawned.values().flat_map(|group| group.ids.iter().copied()).collect();
    let mut own = Seen::default();
    for &taken in index.by_scope.get(&row.scope).into_iter().flatten() {
        let stack = taken.stack();
        if stack.task_id.is_some_and(|id| named.contains(&id)) {
            continue;
        }
        let group = stack.task_type.filter(|_| stack.task_id.is_none()).and_then(|index| spawned.get_mut(&index));
        if stack.is_in_task_of(row) {
            own.push(taken);
        } else if let Some(group) = group.filter(|group| group.nameless) {
            group.seen.push(taken);
        } else {
            towers.unplaced = towers.unplaced.saturating_add(1);
        }
    }
    let task = row.task_type.map_or_else(|| "[no task]".to_owned(), |index| task_text(capture, index));
    towers.selected.push(Tower {
        roots: vec![request_frame(row, ""), FrameName::new(FrameKind::Task, &task)],
        owner: Owner {
            request: Some((row.id.clone(), row.instance)),
            task_type: row.task_type,
            task_id: row.task_id,
            spawned: false,
        },
        states: row.states,
        seen: own,
        scope: Some(row.scope),
        partial: false,
        behind,
        waits: awaits.of_scope(row.scope, &row.states),
        ..Tower::default()
    });
    // On a CPU, or blocking one of the workers, a spawned task's time is work of the request; on the wall it passed beside it.
    let (owner, before) = match metric {
        Metric::Wall => (request_frame(row, "spawned by "), ""),
        Metric::Cpu | Metric::Blocked => (request_frame(row, ""), "spawned "),
    };
    towers.beside.extend(spawned.into_iter().map(|(index, group)| Tower {
        roots: vec![owner.clone(), FrameName::new(FrameKind::Task, &format!("{before}{}", task_text(capture, index)))],
        owner: Owner {
            request: Some((row.id.clone(), row.instance)),
            task_type: Some(index),
            task_id: group.ids.first().copied().filter(|_| group.ids.len() == 1 && !group.nameless),
            spawned: true,
        },
        states: group.states,
        waits: awaits.of_children(row.scope, index, &group.ids, &group.states),
        seen: group.seen,
        ..Tower::default()
    }));
}

/// `request order-42 #1`. In a frame the id's `;` is escaped too: folded lines could not tell it from their own.
fn request_frame(row: &RequestRow, before: &str) -> FrameName {
    FrameName { text: format!("{before}{}", row.title().replace(';', "\\x3b")), kind: FrameKind::Request }
}

/// A task is told from a function: an `async fn` that is spawned is both, and they have different colours.
pub(super) fn task_text(capture: &Capture, index: TypeIndex) -> String {
    format!("task {}", capture.type_name(index))
}

/// The task, live or as a request's child: a live child stands in both lists and is taken once.
fn task_tower<'c>(capture: &'c Capture, id: u64, stacks: &Stacks) -> Option<Tower<'c>> {
    let live = capture.tasks.iter().filter(|row| row.id == Some(id)).map(|row| (row.task_type, row.states));
    let children = || {
        let children = capture.requests.iter().flat_map(|row| row.children.iter().map(move |child| (row.scope, child)));
        children.filter(|(_, child)| child.task_id == Some(id))
    };
    let (index, states) = live.chain(children().map(|(_, child)| (child.task_type, child.states))).next()?;
    // The waits of a task that no request spawned are kept by its type.
    let spans = children().take(1).map(|(scope, _)| Spans::of(capture).of_child(scope, Some(id)));
    Some(Tower {
        roots: vec![FrameName::new(FrameKind::Task, &format!("task {id}, {}", capture.type_name(index)))],
        owner: Owner { task_type: Some(index), task_id: Some(id), ..Owner::default() },
        states,
        seen: Taken::all(capture).filter(|taken| taken.stack().task_id == Some(id)).collect(),
        waits: of_parts(spans, &states, stacks),
        ..Tower::default()
    })
}

/// A tower for each type with any time, its live and finished tasks together.
fn type_towers<'c>(capture: &'c Capture, stacks: &Stacks) -> Vec<Tower<'c>> {
    let states = of_types(capture).into_iter();
    let mut sums: BTreeMap<TypeIndex, (States, Seen<'_>)> =
        states.map(|(index, states)| (index, (states, Seen::default()))).collect();
    for taken in Taken::all(capture) {
        if let Some((_, seen)) = taken.stack().task_type.and_then(|index| sums.get_mut(&index)) {
            seen.push(taken);
        }
    }
    sums.into_iter()
        .map(|(index, (states, seen))| Tower {
            roots: vec![FrameName::new(FrameKind::Task, &task_text(capture, index))],
            owner: Owner { task_type: Some(index), ..Owner::default() },
            states,
            seen,
            waits: of_sums(capture.await_sums.iter().filter(|sum| sum.task_type == index), &states, stacks),
            ..Tower::default()
        })
        .collect()
}
