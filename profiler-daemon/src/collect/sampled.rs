//! The mode without probes: which task type a stack is of, and what was seen of each task since the attach.
//!
//! Sums are kept beside the samples and stretches, because of those only the latest so many are.

use std::collections::{HashMap, HashSet};

use profiler_common::clock::OffCpu;
use profiler_common::unwind::End;

use super::{Off, Sample, Sightings, Stack};

/// The most tasks that are told apart.
const MAX_TASKS: usize = 20_000;

/// The code that polls tasks, by type.
#[derive(Clone, Debug, Default)]
pub struct PollCode {
    /// First address, the first one behind, and the place of the type; sorted, none over another.
    ranges: Vec<(u64, u64, u32)>,
    /// Types that are a worker's own loop: a worker of a multi-thread runtime is a task of the blocking pool, and waits for work in it.
    workers: Vec<u32>,
}

impl PollCode {
    /// From functions: first address, the first one behind, place of the type. Of one function that several types share the first counts: its
    /// name names them all.
    pub fn new(functions: impl Iterator<Item = (u64, u64, u32)>, workers: Vec<u32>) -> Self {
        let mut ranges: Vec<_> = functions.filter(|(start, end, _)| start < end).collect();
        ranges.sort_unstable();
        ranges.dedup_by_key(|(start, ..)| *start);
        Self { ranges, workers }
    }

    fn type_at(&self, address: u64) -> Option<u32> {
        let behind = self.ranges.partition_point(|(start, ..)| *start <= address);
        let (_, end, task_type) = self.ranges.get(behind.checked_sub(1)?)?;
        (address < *end).then_some(*task_type)
    }

    /// Ends the stack, which was walked to its thread's root, at the innermost function that polls a task, and says of which type that is. In a
    /// worker's own loop it is in no task: then the id is that of the loop.
    fn cut(&self, stack: &mut Stack) -> Option<u64> {
        let exact = |place: usize, address: u64| address.wrapping_sub(u64::from(place > 0));
        let found =
            stack.frames.iter().enumerate().find_map(|(place, address)| Some((place, self.type_at(exact(place, *address))?)));
        if let Some((place, task_type)) = found {
            stack.frames = stack.frames.iter().take(place + 1).copied().collect();
            stack.end = End::Poll;
            if self.workers.contains(&task_type) {
                return Some(std::mem::take(&mut stack.task_id));
            }
            stack.task_type = Some(task_type);
        }
        None
    }
}

/// Whose a sum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SampledOwner {
    /// The task of this id.
    Task(u64),
    /// Tasks of this type that are not told apart: their ids are not known, or they are too many. `None`: nor is their type.
    Tasks(Option<u32>),
    /// None: threads outside of any task.
    Outside,
}

/// What was seen of a task, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledTask {
    /// Whose it is.
    pub owner: SampledOwner,
    /// The type, where a stack has told it.
    pub task_type: Option<u32>,
    /// What was seen.
    pub sum: Sightings,
}

/// Every task that was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampled {
    polls: PollCode,
    /// Whether ids of tasks can be read.
    ids: bool,
    tasks: HashMap<SampledOwner, (Option<u32>, Sightings)>,
    folded: u64,
    /// Ids of workers' own loops.
    workers: HashSet<u64>,
    /// Those of them that the kernel side was not told of.
    untold: Vec<u64>,
}

impl Sampled {
    pub(super) fn new(polls: PollCode, ids: bool) -> Self {
        Self { polls, ids, ..Self::default() }
    }

    /// See [`PollCode::cut`].
    pub(super) fn cut(&mut self, stack: &mut Stack) {
        if let Some(worker) = self.polls.cut(stack)
            && worker != 0
            && self.workers.insert(worker)
        {
            self.untold.push(worker);
        }
        // A stack of its that was cut short.
        if self.workers.contains(&stack.task_id) {
            stack.task_id = 0;
        }
    }

    /// Ids of workers' own loops that were met since the last call.
    pub(super) fn take_workers(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.untold)
    }

    pub(super) fn sample(&mut self, sample: &Sample) {
        self.of(&sample.stack).sample(sample);
    }

    pub(super) fn off(&mut self, off: &Off) {
        self.of(&off.stack).off(off);
    }

    /// What threads did off their CPUs where no stack was taken: outside of any task, if that can be told.
    pub(super) fn outside(&mut self, stretches: u64, off: &OffCpu) {
        let owner = if self.ids { SampledOwner::Outside } else { SampledOwner::Tasks(None) };
        if stretches > 0 {
            self.tasks.entry(owner).or_default().1.stretches(stretches, off);
        }
    }

    /// Whose a stack is.
    pub(super) fn owner(&self, stack: &Stack) -> SampledOwner {
        match (stack.task_id, stack.task_type) {
            (0, None) if self.ids || stack.end.is_whole() => SampledOwner::Outside,
            (0, task_type) => SampledOwner::Tasks(task_type),
            (id, _) => SampledOwner::Task(id),
        }
    }

    fn of(&mut self, stack: &Stack) -> &mut Sightings {
        let owner = self.owner(stack);
        if self.tasks.len() >= MAX_TASKS && !self.tasks.contains_key(&owner) {
            self.fold_oldest();
        }
        let (task_type, sum) = self.tasks.entry(owner).or_default();
        // A stack that was cut short has none.
        *task_type = task_type.or(stack.task_type);
        sum
    }

    /// Lets a tenth be told by their types only: looking for the oldest goes through all.
    fn fold_oldest(&mut self) {
        let named = |owner: &SampledOwner| matches!(owner, SampledOwner::Task(_));
        let mut seen: Vec<(u64, SampledOwner)> =
            self.tasks.iter().filter(|(owner, _)| named(owner)).map(|(owner, (_, sum))| (sum.last_ns, *owner)).collect();
        seen.sort_unstable();
        for (_, owner) in seen.into_iter().take(MAX_TASKS / 10) {
            if let Some((task_type, sum)) = self.tasks.remove(&owner) {
                let (kept_type, kept) = self.tasks.entry(SampledOwner::Tasks(task_type)).or_default();
                *kept_type = task_type;
                kept.plus(&sum);
                self.folded = self.folded.saturating_add(1);
            }
        }
    }

    /// All that were seen: by ids, then those that are not told apart, then what was outside of any.
    pub(super) fn into_all(self) -> Vec<SampledTask> {
        let mut all: Vec<SampledTask> =
            self.tasks.into_iter().map(|(owner, (task_type, sum))| SampledTask { owner, task_type, sum }).collect();
        all.sort_by_key(|row| row.owner);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::SampledOwner::{Outside, Task, Tasks};
    use super::*;

    fn stack(task_id: u64, frames: &[u64], end: End) -> Stack {
        Stack { time_ns: 100, tid: 1, task_type: None, task_id, requests: [0; 4], poll_start_ns: 0, frames: frames.into(), end }
    }

    fn code() -> PollCode {
        PollCode::new([(0x2000, 0x2100, 1), (0x1000, 0x1080, 0), (0x3000, 0x3000, 2), (0x4000, 0x4100, 3)].into_iter(), vec![3])
    }

    #[test]
    fn a_stack_ends_at_the_innermost_poll() {
        let cut = |frames: &[u64]| {
            let mut stack = stack(7, frames, End::Root);
            code().cut(&mut stack);
            (stack.frames.len(), stack.task_type, stack.end)
        };
        assert_eq!(cut(&[0x9000, 0x1040, 0x2040, 0x9999]), (2, Some(0), End::Poll));
        assert_eq!(cut(&[0x1000, 0x9000]), (1, Some(0), End::Poll), "its first instruction");
        assert_eq!(cut(&[0x9000, 0x1000, 0x2100]), (3, Some(1), End::Poll), "a call is the last instruction of its function");
        assert_eq!(cut(&[0x9000, 0x8000]), (2, None, End::Root));
    }

    /// Check that a task on a worker is the task, and the worker's own loop is none, and is told of once.
    #[test]
    fn a_workers_own_loop_is_no_task() {
        let mut sampled = Sampled::new(code(), true);
        let mut cut = |task_id, frames: &[u64], end| {
            let mut stack = stack(task_id, frames, end);
            sampled.cut(&mut stack);
            (stack.task_id, stack.task_type, stack.frames.len())
        };
        assert_eq!(cut(7, &[0x9000, 0x1040, 0x4040, 0x9999], End::Root), (7, Some(0), 2));
        assert_eq!(cut(2, &[0x9000, 0x4040, 0x9999], End::Root), (0, None, 2));
        assert_eq!(cut(2, &[0x9000, 0x4040, 0x9999], End::Root), (0, None, 2));
        assert_eq!(cut(2, &[0x9000], End::NoRow), (0, None, 1), "it is known by now");
        assert_eq!((sampled.take_workers(), sampled.take_workers()), (vec![2], vec![]));
    }

    #[test]
    fn times_go_to_the_task_its_type_or_nobody() {
        let sums = |ids: bool| {
            let mut sampled = Sampled::new(code(), ids);
            let mut take = |task_id, frames: &[u64], end| {
                let mut stack = stack(task_id, frames, end);
                sampled.cut(&mut stack);
                sampled.sample(&Sample { stack: stack.clone(), period_ns: 10 });
                let off = OffCpu { preempted_ns: 1, blocked_ns: 5, stopped_ns: 0 };
                sampled.off(&Off { stack, syscall: None, off });
            };
            let id = |id| if ids { id } else { 0 };
            take(id(7), &[0x9000, 0x1040, 0x9999], End::Root);
            take(id(7), &[0x9000], End::NoRow);
            take(0, &[0x9000, 0x9999], End::Root);
            sampled.outside(3, &OffCpu { preempted_ns: 0, blocked_ns: 100, stopped_ns: 0 });
            sampled
                .into_all()
                .into_iter()
                .map(|row| (row.owner, row.task_type, row.sum.samples, row.sum.blocked_ns))
                .collect::<Vec<_>>()
        };
        assert_eq!(sums(true), [(Task(7), Some(0), 2, 10), (Outside, None, 1, 105)]);
        assert_eq!(sums(false), [(Tasks(None), None, 1, 105), (Tasks(Some(0)), Some(0), 1, 5), (Outside, None, 1, 5)]);
    }

    /// Check that of too many tasks those that were seen longest ago are told by their type, and none of their time goes.
    #[test]
    fn too_many_tasks_are_told_by_their_type() {
        let mut sampled = Sampled::new(code(), true);
        for id in 1..=MAX_TASKS as u64 + 1 {
            let stack = Stack { time_ns: id, task_type: Some(1), ..stack(id, &[0x2040], End::Poll) };
            sampled.sample(&Sample { stack, period_ns: 1 });
        }
        assert_eq!(sampled.folded, MAX_TASKS as u64 / 10);
        let all = sampled.into_all();
        assert_eq!(all.iter().map(|row| row.sum.samples).sum::<u64>(), MAX_TASKS as u64 + 1);
        let folded = all.iter().find(|row| row.owner == Tasks(Some(1))).unwrap();
        assert_eq!((folded.sum.samples, folded.sum.first_ns), (MAX_TASKS as u64 / 10, 1));
    }
}
