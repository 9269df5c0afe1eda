//! From a capture to the table.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::account::{Accounted, Part, Spans, of_parts, of_sums};
use super::frames::{NamedStack, Stacks};
use super::reading::{Keep, Reading};
use super::{Wait, WaitStack, Waits, Whose, WokenBy};
use crate::model::capture::{AwaitIndex, AwaitSource, AwaitSpan, Capture, RequestRow, TypeIndex};
use crate::model::family::{Seen, Told};
use crate::model::report::{Report, RequestName, request_name, with_family};
use crate::model::selection::{NothingSelected, Selection};
use crate::model::states::States;
use crate::model::symbols::Symbolize;

/// What was waited for: an entry for each instance of a request, or for each type of task. Refuses a selection that matches nothing.
///
/// Expects instances to be numbered ([`Capture::number_instances`]).
pub fn waits(
    capture: &Capture,
    selection: &Selection,
    keep: Keep,
    symbols: &mut dyn Symbolize,
) -> Result<Vec<Waits>, NothingSelected> {
    selection.check(capture)?;
    let stacks = Stacks::of(capture, Some(symbols));
    let told = |whose, states: &States, accounted: &Accounted| Waits {
        whose,
        source: capture.await_source,
        waits: rows(accounted, &stacks, keep),
        suspended_ns: states.suspended_ns,
        scheduled_ns: states.scheduled_ns,
        wall_ns: states.wall_ns(),
        unknown_ns: accounted.suspended_rest_ns.saturating_add(accounted.scheduled_rest_ns),
        clamped_ns: accounted.clamped_ns,
    };
    Ok(match selection {
        Selection::Request { .. } | Selection::Requests => {
            let spans = Spans::of(capture);
            let rows = selection.requests(capture).into_iter();
            rows.flat_map(|row| {
                let accounted = of_parts([spans.of_scope(row.scope)], &row.states, &stacks);
                let own = told(Whose::Request(request_name(row)), &row.states, &accounted);
                let spawned = spawned(row).into_iter().map(|(index, of)| {
                    let (request, type_name) = (request_name(row), capture.type_name(index));
                    let waits = of.ids.iter().map(|&id| spans.of_child(row.scope, Some(id)));
                    told(
                        Whose::Spawned { request, type_name, tasks: of.count },
                        &of.states,
                        &of_parts(waits, &of.states, &stacks),
                    )
                });
                std::iter::once(own).chain(spawned).collect::<Vec<_>>()
            })
            .collect()
        }
        Selection::Task { id } => {
            let (index, states, spans) = of_task(capture, *id);
            vec![told(Whose::TaskType(capture.type_name(index)), &states, &of_parts(spans, &states, &stacks))]
        }
        Selection::All => {
            let mut all: Vec<Waits> = of_types(capture)
                .into_iter()
                .map(|(index, states)| {
                    let sums = capture.await_sums.iter().filter(|sum| sum.task_type == index);
                    told(Whose::TaskType(capture.type_name(index)), &states, &of_sums(sums, &states, &stacks))
                })
                .collect();
            all.sort_by_key(|told| Reverse(told.suspended_ns.saturating_add(told.scheduled_ns)));
            all
        }
    })
}

/// Tasks of one type that a request spawned.
#[derive(Default)]
struct Spawned {
    count: u64,
    states: States,
    ids: BTreeSet<u64>,
}

fn spawned(row: &RequestRow) -> BTreeMap<TypeIndex, Spawned> {
    let mut types: BTreeMap<TypeIndex, Spawned> = BTreeMap::new();
    for child in &row.children {
        let of = types.entry(child.task_type).or_default();
        of.count = of.count.saturating_add(1);
        of.states.add(&child.states);
        of.ids.extend(child.task_id);
    }
    types
}

/// The waits of one request and its unknown time, for a report.
#[must_use]
pub fn of_request(row: &RequestRow, spans: &Spans<'_>, stacks: &Stacks, keep: Keep) -> (Vec<Wait>, u64) {
    let accounted = of_parts([spans.of_scope(row.scope)], &row.states, stacks);
    (rows(&accounted, stacks, keep), accounted.suspended_rest_ns.saturating_add(accounted.scheduled_rest_ns))
}

/// The waits of a task that a request spawned, `None` where they are not told apart, and its unknown time.
#[must_use]
pub(crate) fn of_child(states: &States, spans: Option<Vec<&AwaitSpan>>, stacks: &Stacks, keep: Keep) -> (Vec<Wait>, u64) {
    let accounted = of_parts(spans, states, stacks);
    (rows(&accounted, stacks, keep), accounted.suspended_rest_ns.saturating_add(accounted.scheduled_rest_ns))
}

/// Names the code in a report's waits, where they come from wakers: a report is made without symbols.
pub fn name_waits(told: &mut Report, capture: &Capture, symbols: &mut dyn Symbolize) {
    if capture.await_source != AwaitSource::Wakers {
        return;
    }
    let (stacks, spans) = (Stacks::of(capture, Some(symbols)), Spans::of(capture));
    let (families, naming) = (Seen::of(capture), Told { capture, stacks: &stacks, keep: Keep::Own });
    let rows: HashMap<RequestName, &RequestRow> = capture.requests.iter().map(|row| (request_name(row), row)).collect();
    for request in &mut told.requests {
        if let Some(&row) = rows.get(&request.name) {
            (request.waits, request.waits_unknown_ns) = of_request(row, &spans, &stacks, Keep::Own);
            with_family(request, row, (&families, &naming), &spans);
        }
    }
    told.share_stacks();
}

/// Times of all tasks of each type, live and finished.
pub(crate) fn of_types(capture: &Capture) -> BTreeMap<TypeIndex, States> {
    let live = capture.tasks.iter().map(|row| (row.task_type, row.states));
    let finished = capture.finished.iter().map(|row| (row.task_type, row.states));
    let mut sums: BTreeMap<TypeIndex, States> = BTreeMap::new();
    for (index, states) in live.chain(finished) {
        sums.entry(index).or_default().add(&states);
    }
    sums
}

type TaskWaits<'c> = (TypeIndex, States, Vec<Vec<&'c AwaitSpan>>);

/// A task's type, its times and its waits as a request's child: a task that no request spawned has its waits in its type's sums.
fn of_task(capture: &Capture, id: u64) -> TaskWaits<'_> {
    let spans = Spans::of(capture);
    let children = || {
        let children = capture.requests.iter().flat_map(|row| row.children.iter().map(move |child| (row, child)));
        children.filter(|(_, child)| child.task_id == Some(id))
    };
    let live = capture.tasks.iter().filter(|row| row.id == Some(id)).map(|row| (row.task_type, row.states));
    let rows = live.chain(children().map(|(_, child)| (child.task_type, child.states)));
    let (index, states) = { rows }.next().unwrap_or_default();
    (index, states, children().take(1).map(|(row, _)| spans.of_child(row.scope, Some(id))).collect())
}

/// A row for each stack.
fn rows(accounted: &Accounted, stacks: &Stacks, keep: Keep) -> Vec<Wait> {
    let mut by_stack: BTreeMap<AwaitIndex, Vec<&Part>> = BTreeMap::new();
    for part in &accounted.parts {
        by_stack.entry(part.stack).or_default().push(part);
    }
    let rows = by_stack.into_iter().filter_map(|(index, parts)| Some(row(stacks.get(index)?, &parts, keep)));
    let mut rows: Vec<Wait> = rows.collect();
    rows.sort_by_key(|row| Reverse(row.total_ns));
    rows
}

fn row(stack: &NamedStack, parts: &[&Part], keep: Keep) -> Wait {
    let reading = Reading::of(&stack.frames, stack.cut, keep);
    let sum = |of: fn(&Part) -> u64| parts.iter().fold(0_u64, |sum, part| sum.saturating_add(of(part)));
    let named = |part: &&Part| Some(WokenBy { name: part.woken_by.clone()?, count: part.count });
    let mut woken_by: Vec<WokenBy> = parts.iter().filter_map(named).collect();
    woken_by.sort_by(|one, other| (other.count, &one.name).cmp(&(one.count, &other.name)));
    Wait {
        stack: WaitStack::of(&stack.frames),
        cut: stack.cut.map(str::to_owned),
        file: reading.place.map(|(file, _)| file.to_owned()),
        line: reading.place.map(|(_, line)| line),
        awaited: reading.awaited,
        count: sum(|part| part.count),
        total_ns: sum(Part::total_ns),
        suspended_ns: sum(|part| part.suspended_ns),
        scheduled_ns: sum(|part| part.scheduled_ns),
        longest_ns: parts.iter().map(|part| part.longest_ns).max().unwrap_or(0),
        woken_by,
    }
}
