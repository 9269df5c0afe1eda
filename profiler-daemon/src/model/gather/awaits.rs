//! Waits: from rows and records to await stacks, spans and sums.

use std::collections::HashMap;

use profiler_common::awaits::AwaitEnd;
use profiler_common::awaits::AwaitWalks as CommonWalks;
use profiler_common::record::{AwaitRecord, POLL_OF_SCOPE};

use super::{Setting, index, known};
use crate::collect::Awaits;
use crate::model::capture::{AwaitIndex, AwaitOwner, AwaitSpan, AwaitStack, AwaitSum, AwaitWalks, ScopeSeq, TypeIndex};

/// Await stacks by the id that the kernel side gave them.
pub(super) struct Stacks {
    places: HashMap<u64, AwaitIndex>,
    pub(super) stacks: Vec<AwaitStack>,
}

impl Stacks {
    /// Every stack, named, in the order of their ids: a capture made twice is the same.
    pub(super) fn of(setting: &Setting, awaits: &Awaits) -> Self {
        let mut ids: Vec<u64> = awaits.stacks.keys().copied().collect();
        ids.sort_unstable();
        let mut all = Self { places: HashMap::new(), stacks: Vec::new() };
        for id in ids {
            if let Some(kept) = awaits.stacks.get(&id) {
                all.places.insert(id, AwaitIndex(u32::try_from(all.stacks.len()).unwrap_or(u32::MAX)));
                all.stacks.push(setting.awaits.stack(kept));
            }
        }
        all
    }

    /// The stack of this id. `None`: it has none, or it was not kept.
    pub(super) fn index(&self, id: u64) -> Option<AwaitIndex> {
        self.places.get(&id).copied()
    }
}

/// Waits of wanted requests and their children.
pub(super) fn spans(setting: &Setting, awaits: &Awaits, stacks: &Stacks) -> Vec<AwaitSpan> {
    let ended = awaits.waits.iter().map(|wait| (wait, false));
    ended.chain(awaits.open.iter().map(|wait| (wait, true))).map(|(wait, open)| span(setting, wait, open, stacks)).collect()
}

fn span(setting: &Setting, wait: &AwaitRecord, open: bool, stacks: &Stacks) -> AwaitSpan {
    let request = ScopeSeq(wait.request);
    AwaitSpan {
        owner: if wait.what == POLL_OF_SCOPE {
            AwaitOwner::Scope(request)
        } else {
            AwaitOwner::Child { task_id: known(setting, wait.task_id), request }
        },
        task_type: index(setting, wait.task_type),
        stack: stacks.index(wait.awaiting.stack),
        awaited_task: known(setting, wait.awaiting.task),
        start_ns: wait.gap.start_ns,
        suspended_ns: wait.gap.suspended_ns,
        scheduled_ns: wait.gap.scheduled_ns,
        open,
    }
}

/// Waits of all tasks by type.
pub(super) fn sums(awaits: &Awaits, stacks: &Stacks) -> Vec<AwaitSum> {
    let of = |(key, sum): (&profiler_common::awaits::AwaitKey, &profiler_common::awaits::AwaitSum)| {
        Some(AwaitSum {
            task_type: TypeIndex(key.task_type),
            stack: stacks.index(key.stack)?,
            count: sum.count,
            suspended_ns: sum.suspended_ns,
            scheduled_ns: sum.scheduled_ns,
            longest_ns: sum.longest_ns,
        })
    };
    awaits.sums.iter().filter_map(of).collect()
}

pub(super) fn walks(of: &CommonWalks) -> AwaitWalks {
    let ends = AwaitEnd::ALL.into_iter().map(|end| (end.name().to_owned(), of.ended(end)));
    AwaitWalks {
        walks: of.walks,
        unchanged: of.unchanged,
        steps: of.steps,
        words: of.words,
        walk_ns: of.walk_ns,
        ends: ends.filter(|(_, count)| *count != 0).collect(),
    }
}
