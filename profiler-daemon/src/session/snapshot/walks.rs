//! The await stacks of tasks that nobody stops while they are read.
//!
//! Never a wrong stack: a task's memory stays as it is from the end of one poll to the start of the next, so a reading counts if no poll
//! began meanwhile. A task with a row tells by the row's `generation`, which moves at every poll's start before Tokio marks the task as
//! running; whoever calls compares it. A task without a row, older than the attach, has none, and its memory is walked twice. Of both, the
//! state word is read before and after.

use std::collections::HashMap;

use profiler_common::awaits::{AwaitEnd, AwaitStack, AwaitWalk};
use profiler_common::limits::{AWAIT_STACKS, AWAIT_WORDS};
use profiler_common::task::state_word;
use profiler_common::unwind::Memory;

use super::cells::TaskMemory;
use super::met::{Met, Watched};
use super::shapes::{HEADER, Shape, TaskShapes, word_at};
use crate::inspect::awaits::LoadedTable;
use crate::target::memory::{Span, Spans};

/// Bit of the state word: the task is polled, or shut down (tokio `runtime/task/state.rs`).
const RUNNING: u64 = 0b1;

/// A task to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its header address.
    pub(super) header: u64,
    /// Its vtable.
    pub(super) vtable: u64,
    /// It has a row. Otherwise it is older than the attach.
    pub(super) has_row: bool,
    /// Its id, 0 where that is not known.
    pub(super) id: u64,
}

/// A task that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Its type's place.
    pub(super) task_type: u32,
    /// Its id.
    pub(super) id: Option<u64>,
    /// Its state word ([`state_word`]).
    pub(super) state: u64,
    /// What came of it.
    pub(super) seen: Seen,
}

/// What came of reading a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nobody polls it, and this is what it waits for: place in [`Stacks`], `None` if there are too many; and the ids of
    /// the tasks that it waits for.
    Waiting { stack: Option<u32>, awaited: Met },
    /// It is being polled.
    Running,
    /// It was polled, or ended, while it was read.
    Changed,
}

/// Why a task was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRead {
    /// There is no such task at that address any more.
    Gone,
    /// Its memory cannot be read.
    Unreadable,
}

/// Different await stacks, as words.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    known: HashMap<(Box<[u64]>, u32), u32>,
}

impl Stacks {
    fn place(&mut self, walk: &AwaitWalk) -> Option<u32> {
        let next = u32::try_from(self.known.len()).ok()?;
        let key = (Box::from(walk.words()), walk.kept.end);
        if next >= AWAIT_STACKS && !self.known.contains_key(&key) {
            return None;
        }
        Some(*self.known.entry(key).or_insert(next))
    }

    /// Each, in order of their places.
    pub(super) fn into_all(self) -> Vec<AwaitStack> {
        let mut all: Vec<_> = self.known.into_iter().collect();
        all.sort_unstable_by_key(|(_, place)| *place);
        all.into_iter().map(|((words, end), _)| kept(&words, end)).collect()
    }
}

fn kept(words: &[u64], end: u32) -> AwaitStack {
    let mut stack = AwaitStack { end, ..AwaitStack::EMPTY };
    for (place, word) in stack.words.iter_mut().zip(words) {
        *place = *word;
    }
    // A walk keeps no more.
    stack.len = u32::try_from(words.len().min(AWAIT_WORDS)).unwrap_or(0);
    stack
}

/// Reads tasks' await stacks.
pub(super) struct Reader<'r, M> {
    pub(super) memory: &'r M,
    pub(super) shapes: &'r TaskShapes,
    /// The layouts of futures. `None`: there are none, and every stack is empty.
    pub(super) table: Option<&'r LoadedTable>,
}

impl<M: Spans> Reader<'_, M> {
    /// Reads these tasks, as many as one wants to read close to one another in time.
    pub(super) fn read(&self, wanted: &[Wanted], stacks: &mut Stacks) -> Vec<Result<Reading, NotRead>> {
        let spans: Vec<Span> = wanted.iter().map(|task| Span { address: task.header, length: self.length(task) }).collect();
        let before = Bytes::read(self.memory, &spans);
        let mut readings: Vec<_> =
            wanted.iter().zip(before.each()).map(|(task, bytes)| self.walk(task, bytes?, stacks)).collect();
        // A task without a row is walked twice, and everything that its walk reads is read anew for that. Of the others the header is enough.
        let length = |task: &Wanted, span: &Span| if task.has_row { HEADER } else { span.length };
        let again: Vec<Span> =
            wanted.iter().zip(&spans).map(|(task, span)| Span { length: length(task, span), ..*span }).collect();
        let after = Bytes::read(self.memory, &again);
        for ((task, reading), bytes) in wanted.iter().zip(&mut readings).zip(after.each()) {
            if let Ok(found) = *reading {
                *reading = bytes.and_then(|bytes| self.confirm(task, found, bytes, stacks));
            }
        }
        readings
    }

    /// Whether a task that was `found` so is still the same by its bytes read anew.
    fn confirm(&self, task: &Wanted, found: Reading, bytes: &[u8], stacks: &mut Stacks) -> Result<Reading, NotRead> {
        let Known { state, .. } = self.known(task, bytes)?;
        // Wakers that come and go change the word's count of references, and nothing that a walk reads.
        let is_same =
            if task.has_row { is_running(state) == is_running(found.state) } else { self.walk(task, bytes, stacks)? == found };
        Ok(if is_same { Reading { state, ..found } } else { Reading { state, seen: Seen::Changed, ..found } })
    }

    fn length(&self, task: &Wanted) -> usize {
        self.shapes.get(task.vtable).map_or(HEADER, Shape::read_ahead)
    }

    /// The task whose first bytes these are, if it is the one that is wanted.
    fn known(&self, task: &Wanted, bytes: &[u8]) -> Result<Known<'_>, NotRead> {
        let state = word_at(bytes, 0).ok_or(NotRead::Unreadable)?;
        let shape = self.shapes.of_header(bytes).ok_or(NotRead::Gone)?;
        let id = match shape.id {
            None => None,
            Some(at) => {
                let ahead = usize::try_from(at).ok().and_then(|at| word_at(bytes, at));
                let id = ahead.or_else(|| TaskMemory::new(self.memory, 0, &[]).word(task.header.wrapping_add(at)));
                Some(id.ok_or(NotRead::Unreadable)?)
            }
        };
        let is_other = task.vtable != shape.vtable || task.id != 0 && id.is_some_and(|id| id != task.id);
        if is_other || state & state_word::COMPLETE != 0 {
            return Err(NotRead::Gone);
        }
        Ok(Known { state, shape, id })
    }

    fn walk(&self, task: &Wanted, bytes: &[u8], stacks: &mut Stacks) -> Result<Reading, NotRead> {
        let Known { state, shape, id } = self.known(task, bytes)?;
        let seen = if is_running(state) {
            Seen::Running
        } else {
            let memory = TaskMemory::new(self.memory, task.header, bytes);
            let mut walk = AwaitWalk::NEW;
            let mut met = Met::default();
            match (self.table, shape.root) {
                (Some(table), Some(root)) => {
                    walk.begin(task.header, root);
                    let tables = Watched::new(table.over(&memory));
                    walk.run(&tables, &memory);
                    met = tables.met();
                }
                _ => walk.begin_cut(AwaitEnd::NoLayout),
            }
            Seen::Waiting { stack: stacks.place(&walk), awaited: met.by(|header| self.id_of(header, &memory)) }
        };
        Ok(Reading { task_type: shape.task_type, id, state, seen })
    }

    /// The id of the task at `header`.
    fn id_of(&self, header: u64, memory: &impl Memory) -> Option<u64> {
        let vtable = memory.word(header.wrapping_add(self.shapes.vtable_at as u64))?;
        memory.word(header.wrapping_add(self.shapes.get(vtable)?.id?))
    }
}

struct Known<'s> {
    state: u64,
    shape: &'s Shape,
    id: Option<u64>,
}

const fn is_running(state: u64) -> bool {
    state & RUNNING != 0
}

/// The bytes of many spans.
struct Bytes {
    all: Vec<u8>,
    lengths: Vec<(usize, bool)>,
}

impl Bytes {
    fn read(memory: &impl Spans, spans: &[Span]) -> Self {
        let mut all = vec![0; spans.iter().map(|span| span.length).sum()];
        let whole = memory.read_spans(spans, &mut all);
        Self { all, lengths: spans.iter().map(|span| span.length).zip(whole).collect() }
    }

    fn each(&self) -> impl Iterator<Item = Result<&[u8], NotRead>> {
        self.lengths.iter().scan(self.all.as_slice(), |rest, (length, whole)| {
            let (bytes, after) = rest.split_at_checked(*length)?;
            *rest = after;
            Some(if *whole { Ok(bytes) } else { Err(NotRead::Unreadable) })
        })
    }
}

#[cfg(test)]
mod tests;
