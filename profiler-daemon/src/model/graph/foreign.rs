//! The towers of an id of another library: what threads were found doing in its name, by the type of task that they polled.
//!
//! Its time on a CPU is what its samples stand for, and nothing more exact is known to stretch them to; its time off the CPU is exact.

use std::collections::BTreeMap;

use super::towers::{Owner, Seen, StackIndex, Tower, Towers, task_text};
use crate::model::capture::{Capture, ForeignRow, TypeIndex};
use crate::model::stacks::{FrameKind, FrameName};
use crate::model::states::States;
use crate::model::text::printable;

pub(super) fn add<'c>(towers: &mut Towers<'c>, capture: &'c Capture, index: &StackIndex<'c>, row: &ForeignRow) {
    let mut by_type: BTreeMap<Option<TypeIndex>, Seen<'c>> = BTreeMap::new();
    for &taken in index.inside(row.number) {
        by_type.entry(taken.stack().task_type).or_default().push(taken);
    }
    let root = format!("request {}", printable(row.id.as_bytes())).replace(';', "\\x3b");
    towers.selected.extend(by_type.into_iter().map(|(task_type, seen)| {
        let task = task_type.map_or_else(|| "[no task]".to_owned(), |index| task_text(capture, index));
        Tower {
            roots: vec![FrameName { text: root.clone(), kind: FrameKind::Request }, FrameName::new(FrameKind::Task, &task)],
            owner: Owner { task_type, ..Owner::default() },
            states: states(&seen),
            seen,
            partial: true,
            ..Tower::default()
        }
    }));
    if capture.sampled.is_some() {
        return;
    }
    towers.seen_wall_ns = towers.seen_wall_ns.saturating_add(row.sum.last_ns.saturating_sub(row.sum.first_ns));
}

pub(super) fn states(seen: &Seen<'_>) -> States {
    let mut states = States::default();
    for sample in &seen.samples {
        states.running_ns = states.running_ns.saturating_add(sample.period_ns.max(1));
    }
    for off in &seen.off_cpu {
        states.blocked_ns = states.blocked_ns.saturating_add(off.blocked_ns);
        states.preempted_ns = states.preempted_ns.saturating_add(off.preempted_ns);
        states.stopped_ns = states.stopped_ns.saturating_add(off.stopped_ns);
    }
    states
}
