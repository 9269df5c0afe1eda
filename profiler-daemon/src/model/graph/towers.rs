//! Whose time stands on which root, and which samples give it a shape.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Metric;
use crate::model::capture::{Capture, RequestRow, Sample, ScopeSeq, TypeIndex};
use crate::model::selection::Selection;
use crate::model::stacks::{FrameKind, FrameName};
use crate::model::states::States;
use crate::model::text::printable;

/// A root with the time and the samples on top of it.
pub(super) struct Tower<'c> {
    pub(super) roots: Vec<FrameName>,
    pub(super) states: States,
    pub(super) samples: Vec<&'c Sample>,
}

/// The towers of a selection.
#[derive(Default)]
pub(super) struct Towers<'c> {
    /// What was selected.
    pub(super) selected: Vec<Tower<'c>>,
    /// The tasks that selected requests spawned.
    pub(super) beside: Vec<Tower<'c>>,
    /// Samples inside a selected request that belong to none of these.
    pub(super) unplaced: u64,
}

pub(super) fn towers<'c>(capture: &'c Capture, selection: &Selection, metric: Metric) -> Towers<'c> {
    match selection {
        Selection::Request { .. } => {
            let index = SampleIndex::of(capture);
            let mut towers = Towers::default();
            for row in selection.requests(capture) {
                add_request(&mut towers, capture, &index, row, metric);
            }
            towers
        }
        Selection::Task { id } => Towers { selected: task_tower(capture, *id).into_iter().collect(), ..Towers::default() },
        Selection::All => Towers { selected: type_towers(capture), ..Towers::default() },
    }
}

/// Samples by what they are looked up by: many requests of one id would else read all samples each.
struct SampleIndex<'c> {
    by_scope: HashMap<ScopeSeq, Vec<&'c Sample>>,
    by_task: HashMap<u64, Vec<&'c Sample>>,
}

impl<'c> SampleIndex<'c> {
    fn of(capture: &'c Capture) -> Self {
        let (mut by_scope, mut by_task) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for sample in &capture.samples {
            for &scope in &sample.stack.requests {
                by_scope.entry(scope).or_default().push(sample);
            }
            if let Some(id) = sample.stack.task_id {
                by_task.entry(id).or_default().push(sample);
            }
        }
        Self { by_scope, by_task }
    }
}

/// The tasks of one type that a request spawned.
#[derive(Default)]
struct Spawned<'c> {
    states: States,
    ids: BTreeSet<u64>,
    /// Whether there are some whose id could not be read: those are told by their type.
    nameless: bool,
    samples: Vec<&'c Sample>,
}

/// Adds the tower of a request, and one for each type of task it spawned.
///
/// The kernel side counts a child's polls to the request that spawned it, so a sample "inside" the request is the root
/// scope's own only in the task that polled the scope.
fn add_request<'c>(towers: &mut Towers<'c>, capture: &'c Capture, index: &SampleIndex<'c>, row: &RequestRow, metric: Metric) {
    let mut spawned: BTreeMap<TypeIndex, Spawned<'c>> = BTreeMap::new();
    for child in &row.children {
        let group = spawned.entry(child.task_type).or_default();
        group.states.add(&child.states);
        match child.task_id {
            Some(id) if group.ids.insert(id) => group.samples.extend(index.by_task.get(&id).into_iter().flatten()),
            Some(_) => {}
            None => group.nameless = true,
        }
    }
    let named: BTreeSet<u64> = spawned.values().flat_map(|group| group.ids.iter().copied()).collect();
    let mut own = Vec::new();
    for &sample in index.by_scope.get(&row.scope).into_iter().flatten() {
        if sample.stack.task_id.is_some_and(|id| named.contains(&id)) {
            continue;
        }
        let group = sample.stack.task_type.filter(|_| sample.stack.task_id.is_none()).and_then(|index| spawned.get_mut(&index));
        if is_in_task_of(sample, row) {
            own.push(sample);
        } else if let Some(group) = group.filter(|group| group.nameless) {
            group.samples.push(sample);
        } else {
            towers.unplaced = towers.unplaced.saturating_add(1);
        }
    }
    let task = row.task_type.map_or_else(|| "[no task]".to_owned(), |index| task_text(capture, index));
    towers.selected.push(Tower {
        roots: vec![request_frame(row, ""), FrameName::new(FrameKind::Task, &task)],
        states: row.states,
        samples: own,
    });
    // On a CPU, a spawned task's time is work of the request; on the wall it passed beside it.
    let (owner, before) = match metric {
        Metric::Wall => (request_frame(row, "spawned by "), ""),
        Metric::Cpu => (request_frame(row, ""), "spawned "),
    };
    towers.beside.extend(spawned.into_iter().map(|(index, group)| Tower {
        roots: vec![owner.clone(), FrameName::new(FrameKind::Task, &format!("{before}{}", task_text(capture, index)))],
        states: group.states,
        samples: group.samples,
    }));
}

/// By id where both are known, else by type: a Tokio without task ids has only that.
fn is_in_task_of(sample: &Sample, row: &RequestRow) -> bool {
    match (sample.stack.task_id, row.task_id) {
        (Some(one), Some(other)) => one == other,
        _ => sample.stack.task_type == row.task_type,
    }
}

/// `request order-42 #1`. In a frame the id's `;` is escaped too: folded lines could not tell it from their own.
fn request_frame(row: &RequestRow, before: &str) -> FrameName {
    let id = printable(row.id.as_bytes()).replace(';', "\\x3b");
    let unfinished = if row.complete { "" } else { " (not ended)" };
    FrameName { text: format!("{before}request {id} #{}{unfinished}", row.instance), kind: FrameKind::Request }
}

/// A task is told from a function: an `async fn` that is spawned is both, and they have different colours.
fn task_text(capture: &Capture, index: TypeIndex) -> String {
    format!("task {}", capture.type_name(index))
}

/// The task, live or as a request's child: a live child stands in both lists and is taken once.
fn task_tower(capture: &Capture, id: u64) -> Option<Tower<'_>> {
    let live = capture.tasks.iter().filter(|row| row.id == Some(id)).map(|row| (row.task_type, row.states));
    let children = capture.requests.iter().flat_map(|row| &row.children);
    let children = children.filter(|child| child.task_id == Some(id)).map(|child| (child.task_type, child.states));
    live.chain(children).next().map(|(index, states)| Tower {
        roots: vec![FrameName::new(FrameKind::Task, &format!("task {id}, {}", capture.type_name(index)))],
        states,
        samples: capture.samples.iter().filter(|sample| sample.stack.task_id == Some(id)).collect(),
    })
}

/// A tower for each type with any time, its live and finished tasks together.
fn type_towers(capture: &Capture) -> Vec<Tower<'_>> {
    let live = capture.tasks.iter().map(|row| (row.task_type, row.states));
    let finished = capture.finished.iter().map(|row| (row.task_type, row.states));
    let mut sums: BTreeMap<TypeIndex, (States, Vec<&Sample>)> = BTreeMap::new();
    for (index, states) in live.chain(finished) {
        sums.entry(index).or_default().0.add(&states);
    }
    for sample in &capture.samples {
        if let Some((_, samples)) = sample.stack.task_type.and_then(|index| sums.get_mut(&index)) {
            samples.push(sample);
        }
    }
    sums.into_iter()
        .map(|(index, (states, samples))| Tower {
            roots: vec![FrameName::new(FrameKind::Task, &task_text(capture, index))],
            states,
            samples,
        })
        .collect()
}
