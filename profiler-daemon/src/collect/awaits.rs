//! Waits: those that have ended, those that go on, the sums of all by type, and the await stacks they refer to.

use std::collections::{BTreeMap, HashMap as StdHashMap};

use aya::maps::{HashMap, PerCpuArray};
use profiler_common::awaits::{AwaitKey, AwaitStack, AwaitSum, AwaitWalks, Gap};
use profiler_common::record::{AwaitRecord, POLL_OF_SCOPE, POLL_OF_TASK, RecordKind};
use profiler_common::scope::{ENDED, INSIDE, ScopeRow};
use profiler_common::task::{POLLED, TaskRow};

use super::keep::Latest;
use crate::attach::{AttachError, Attached, keys, typed};

/// The most waits that are kept.
const MAX_WAITS: usize = 300_000;

/// What is known of waits at one moment.
#[derive(Clone, Debug, Default)]
pub struct Awaits {
    /// Waits that have ended, in the order of their ends.
    pub waits: Vec<AwaitRecord>,
    /// Waits that go on, as if they ended now.
    pub open: Vec<AwaitRecord>,
    /// All waits by task type and await stack, open ones included; empty unless every task's awaits are walked.
    pub sums: BTreeMap<AwaitKey, AwaitSum>,
    /// Every await stack that anything here refers to, by id.
    pub stacks: StdHashMap<u64, AwaitStack>,
    /// Every walk so far.
    pub walks: AwaitWalks,
}

/// Keeps the waits that came out of the ring buffer, and the stacks that have been read.
#[derive(Debug)]
pub(super) struct Waits {
    ended: Latest<AwaitRecord>,
    /// A stack never changes, so each is read once.
    stacks: StdHashMap<u64, AwaitStack>,
}

impl Default for Waits {
    fn default() -> Self {
        Self::of(MAX_WAITS)
    }
}

impl Waits {
    /// So many at most.
    pub(super) fn of(most: usize) -> Self {
        Self { ended: Latest::of(most), stacks: StdHashMap::new() }
    }

    pub(super) fn push(&mut self, wait: AwaitRecord) {
        self.ended.push(wait);
    }

    pub(super) fn retain(&mut self, of_use: impl FnMut(&AwaitRecord) -> bool) {
        self.ended.retain(of_use);
    }

    /// How many were let go.
    pub(super) fn dropped(&self) -> u64 {
        self.ended.dropped()
    }

    /// Everything known now; `open` is what goes on, and `walks` those so far.
    pub(super) fn collect(&mut self, attached: &mut Attached, open: Open, walks: AwaitWalks) -> Result<Awaits, AttachError> {
        let mut sums = sums(attached)?;
        if !sums.is_empty() {
            open.tasks.iter().for_each(|wait| add(&mut sums, wait));
        }
        let mut awaits =
            Awaits { waits: self.ended.iter().copied().collect(), open: open.wanted, sums, stacks: StdHashMap::new(), walks };
        let live = open.tasks.iter().map(|wait| wait.awaiting.stack);
        let named = awaits.waits.iter().chain(&awaits.open).map(|wait| wait.awaiting.stack);
        let ids: Vec<u64> = named.chain(live).chain(awaits.sums.keys().map(|key| key.stack)).collect();
        for id in ids {
            if let Some(stack) = self.stack(attached, id)? {
                awaits.stacks.insert(id, stack);
            }
        }
        Ok(awaits)
    }

    fn stack(&mut self, attached: &mut Attached, id: u64) -> Result<Option<AwaitStack>, AttachError> {
        if let Some(known) = self.stacks.get(&id) {
            return Ok(Some(*known));
        }
        let map: HashMap<_, u64, AwaitStack> = typed(attached.ebpf(), "AWAIT_STACKS")?;
        match map.get(&id, 0) {
            Ok(stack) => {
                self.stacks.insert(id, stack);
                Ok(Some(stack))
            }
            Err(aya::maps::MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(AttachError::Map { map: "AWAIT_STACKS", source }),
        }
    }
}

/// Waits that go on.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Those of wanted scopes and of the tasks that requests spawned.
    wanted: Vec<AwaitRecord>,
    /// Those of all tasks.
    tasks: Vec<AwaitRecord>,
}

impl Open {
    /// The task of `row`, which is `projected` at the moment of the look.
    pub(super) fn add_task(&mut self, row: &TaskRow, projected: &TaskRow) {
        if row.flags & POLLED != 0 || row.awaiting.stack == 0 {
            return;
        }
        let wait = AwaitRecord {
            kind: RecordKind::Await as u32,
            what: POLL_OF_TASK,
            request: row.request,
            task_id: row.id,
            task_type: row.task_type,
            padding: 0,
            awaiting: row.awaiting,
            gap: Gap::open(row.last_ns, &row.states).closed(&projected.states),
        };
        self.tasks.push(wait);
        if row.request != 0 {
            self.wanted.push(wait);
        }
    }

    /// The scope of `row`, number `scope`.
    pub(super) fn add_scope(&mut self, scope: u64, row: &ScopeRow, projected: &ScopeRow) {
        if row.flags & (INSIDE | ENDED) != 0 || row.awaiting.stack == 0 {
            return;
        }
        self.wanted.push(AwaitRecord {
            kind: RecordKind::Await as u32,
            what: POLL_OF_SCOPE,
            request: scope,
            task_id: row.task_id,
            task_type: row.task_type,
            padding: 0,
            awaiting: row.awaiting,
            gap: Gap::open(row.last_ns, &row.states).closed(&projected.states),
        });
    }
}

fn add(sums: &mut BTreeMap<AwaitKey, AwaitSum>, wait: &AwaitRecord) {
    let key = AwaitKey { stack: wait.awaiting.stack, task_type: wait.task_type, padding: 0 };
    let sum = sums.entry(key).or_default();
    sum.count += 1;
    sum.suspended_ns += wait.gap.suspended_ns;
    sum.scheduled_ns += wait.gap.scheduled_ns;
    sum.longest_ns = sum.longest_ns.max(wait.gap.ns());
}

fn sums(attached: &mut Attached) -> Result<BTreeMap<AwaitKey, AwaitSum>, AttachError> {
    let found: Vec<AwaitKey> = keys::<_, AwaitSum>(attached.ebpf(), "AWAIT_SUMS")?;
    let map: HashMap<_, AwaitKey, AwaitSum> = typed(attached.ebpf(), "AWAIT_SUMS")?;
    let mut sums = BTreeMap::new();
    for key in found {
        match map.get(&key, 0) {
            Ok(sum) => drop(sums.insert(key, sum)),
            // Nothing takes an entry out.
            Err(aya::maps::MapError::KeyNotFound) => {}
            Err(source) => return Err(AttachError::Map { map: "AWAIT_SUMS", source }),
        }
    }
    Ok(sums)
}

/// Every walk on threads that have ended.
pub(super) fn walks_of_ended(attached: &mut Attached) -> Result<AwaitWalks, AttachError> {
    let map: PerCpuArray<_, AwaitWalks> = typed(attached.ebpf(), "AWAIT_TOTALS")?;
    let values = map.get(&0, 0).map_err(|source| AttachError::Map { map: "AWAIT_TOTALS", source })?;
    Ok(values.iter().fold(AwaitWalks::NONE, AwaitWalks::plus))
}

#[cfg(test)]
mod tests {
    use profiler_common::awaits::Awaiting;
    use profiler_common::states::States;

    use super::*;

    fn row() -> TaskRow {
        TaskRow {
            last_ns: 1000,
            task_type: 3,
            awaiting: Awaiting { stack: 7, task: 0 },
            states: States { suspended_ns: 500, ..States::default() },
            ..TaskRow::default()
        }
    }

    /// Check that a wait that goes on is as long as its row says, and that it counts in its type's sum.
    #[test]
    fn open_waits_are_in_the_sums() {
        let mut open = Open::default();
        open.add_task(&row(), &row().projected(None, 1800));
        assert_eq!(open.tasks.iter().map(|wait| wait.gap.suspended_ns).collect::<Vec<_>>(), [800]);
        assert!(open.wanted.is_empty(), "it belongs to no request");
        let key = AwaitKey { stack: 7, task_type: 3, padding: 0 };
        let mut sums = BTreeMap::from([(key, AwaitSum { count: 2, suspended_ns: 100, scheduled_ns: 0, longest_ns: 60 })]);
        open.tasks.iter().for_each(|wait| add(&mut sums, wait));
        assert_eq!(sums.get(&key).map(|sum| (sum.count, sum.suspended_ns, sum.longest_ns)), Some((3, 900, 800)));
    }

    /// Check that what is polled, or was not walked, has no wait.
    #[test]
    fn no_wait_inside_a_poll() {
        let mut open = Open::default();
        let polled = TaskRow { flags: POLLED, ..row() };
        open.add_task(&polled, &polled);
        let unwalked = TaskRow { awaiting: Awaiting::NOWHERE, ..row() };
        open.add_task(&unwalked, &unwalked);
        assert!(open.tasks.is_empty());
    }
}
