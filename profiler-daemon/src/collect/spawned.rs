//! Children that the kernel side knows by the numbers of their scopes, and what Tokio calls them.
//!
//! A child may run before its spawn has returned, so its rows and records bear the scope's number, and the name comes by itself. Here it is put
//! in wherever the number stands, so that nobody behind has to know of two names.

use std::collections::{HashMap, VecDeque};

use profiler_common::record::SpawnedRecord;
use profiler_common::task::CHILD;

use super::Collected;

/// The most children whose names are kept.
const MAX_NAMES: usize = 400_000;

/// Tokio's id and the type's place, by the id that the kernel side uses.
#[derive(Debug, Default)]
pub(super) struct Spawned {
    names: HashMap<u64, (u64, u32)>,
    /// In the order in which they came: the oldest goes when there are too many, and its child has ended long ago.
    order: VecDeque<u64>,
}

impl Spawned {
    /// A name has come.
    pub(super) fn note(&mut self, record: &SpawnedRecord) {
        if self.order.len() >= MAX_NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        if self.names.insert(record.child, (record.task_id, record.task_type)).is_none() {
            self.order.push_back(record.child);
        }
    }

    /// Puts names in everywhere. A child whose name is not known keeps its number, which no task of Tokio's has.
    pub(super) fn rename(&self, collected: &mut Collected) {
        if self.names.is_empty() {
            return;
        }
        let put = |id: &mut u64, task_type: Option<&mut u32>| {
            if *id & CHILD != 0
                && let Some((task_id, known)) = self.names.get(id)
            {
                if *task_id != 0 {
                    *id = *task_id;
                }
                if let Some(task_type) = task_type {
                    *task_type = *known;
                }
            }
        };
        for row in collected.tasks.iter_mut().map(|live| &mut live.row).chain(&mut collected.ended_children) {
            put(&mut row.id, Some(&mut row.task_type));
            put(&mut row.spawner, None);
        }
        for (_, row) in collected.live_requests.iter_mut().chain(&mut collected.ended_requests) {
            put(&mut row.task_id, Some(&mut row.task_type));
        }
        let samples = collected.samples.iter_mut().map(|sample| &mut sample.stack);
        for stack in samples.chain(collected.off_cpu.iter_mut().map(|off| &mut off.stack)) {
            let mut task_type = stack.task_type.unwrap_or(u32::MAX);
            put(&mut stack.task_id, Some(&mut task_type));
            stack.task_type = (task_type != u32::MAX).then_some(task_type);
        }
        collected.polls.iter_mut().for_each(|poll| put(&mut poll.task_id, Some(&mut poll.task_type)));
        let waits = collected.awaits.waits.iter_mut().chain(&mut collected.awaits.open);
        waits.for_each(|wait| put(&mut wait.task_id, Some(&mut wait.task_type)));
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::record::RecordKind;
    use profiler_common::task::TaskRow;

    use super::*;

    #[test]
    fn a_child_gets_its_name_wherever_it_stands_and_others_keep_theirs() {
        let mut spawned = Spawned::default();
        let named = SpawnedRecord { kind: RecordKind::Spawned as u32, task_type: 3, child: CHILD | 9, task_id: 77 };
        spawned.note(&named);
        let row = |id, task_type| TaskRow { id, task_type, ..TaskRow::default() };
        let mut collected = Collected {
            ended_children: vec![row(CHILD | 9, u32::MAX), row(CHILD | 8, u32::MAX), row(9, 1)],
            ..Collected::default()
        };
        spawned.rename(&mut collected);
        let seen: Vec<(u64, u32)> = collected.ended_children.iter().map(|row| (row.id, row.task_type)).collect();
        assert_eq!(seen, [(77, 3), (CHILD | 8, u32::MAX), (9, 1)]);
    }
}
