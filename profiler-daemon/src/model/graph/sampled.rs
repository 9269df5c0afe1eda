//! The towers of tasks of a target without probes: what threads were found doing in them, by type, and outside of any.
//!
//! Time on a CPU is what the samples stand for, time off it is exact, and time between polls is not known: a wall graph has none of it. Outside of
//! tasks no stack is taken when a thread leaves its CPU, for that is what waiting for work is; only its samples are drawn.

use std::collections::BTreeMap;

use super::foreign::states;
use super::towers::{Owner, Seen, Taken, Tower, task_text};
use crate::model::capture::{Capture, TaskIds, TypeIndex};
use crate::model::stacks::{FrameKind, FrameName};

/// Of one task, or of everything if none is named.
pub(super) fn towers(capture: &Capture, id: Option<u64>) -> Vec<Tower<'_>> {
    let ids = capture.sampled.as_ref().is_some_and(|sampled| sampled.task_ids == TaskIds::Read);
    let mut by_type: BTreeMap<(bool, Option<TypeIndex>), Seen<'_>> = BTreeMap::new();
    for taken in Taken::all(capture) {
        let stack = taken.stack();
        if id.is_none() || stack.task_id == id {
            let outside = stack.task_id.is_none() && stack.task_type.is_none() && (ids || stack.end.is_whole());
            by_type.entry((outside, stack.task_type)).or_default().push(taken);
        }
    }
    by_type.into_iter().map(|((outside, task_type), seen)| tower(capture, id, outside, task_type, seen)).collect()
}

fn tower<'c>(capture: &'c Capture, id: Option<u64>, outside: bool, task_type: Option<TypeIndex>, seen: Seen<'c>) -> Tower<'c> {
    let text = match (outside, task_type) {
        (true, _) => "[outside of tasks]".to_owned(),
        (false, None) => "[unknown task]".to_owned(),
        (false, Some(index)) => match id {
            Some(id) => format!("task {id}, {}", capture.type_name(index)),
            None => task_text(capture, index),
        },
    };
    Tower {
        roots: vec![FrameName::new(FrameKind::Task, &text)],
        owner: Owner { task_type, task_id: id, ..Owner::default() },
        states: states(&seen),
        seen,
        partial: true,
        ..Tower::default()
    }
}
