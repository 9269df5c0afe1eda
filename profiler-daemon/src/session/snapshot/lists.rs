//! The tasks that a runtime owns, from the runtime's own lists: those that have not been polled since the attach are in no row of ours.
//!
//! The lists change while they are read, and nothing stops that. A task that is taken out has its pointers cleared (tokio
//! `util/linked_list.rs`, `remove`), and the two beside it point past it. So a step from one task to the next counts only if the next one
//! points back; where it does not, the way is gone back to a task that still does. A list's end counts only if the list says that it ends
//! there.

use std::collections::HashSet;

use super::shapes::{HEADER, Shape, TaskShapes, word_at};
use crate::inspect::{ListPlace, OwnedLists, SchedulerLists, TaskKind};
use crate::target::memory::{Span, Spans};

/// Runtimes whose lists are read.
const MAX_RUNTIMES: usize = 256;
/// Lists of one runtime (tokio `MAX_SHARED_LIST_SIZE`, runtime/task/list.rs).
const MAX_LISTS: u64 = 1 << 16;
/// Bytes of a task's list pointers, at most; 16 in all versions.
const POINTERS: usize = 64;
/// How often one list may be found changed.
const TRIES: u32 = 256;

/// What the lists held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owned {
    /// Headers of tasks, each once, with their vtables.
    pub(super) tasks: Vec<(u64, u64)>,
    /// Runtimes found.
    pub(super) runtimes: Vec<Runtime>,
    /// Runtimes beyond [`MAX_RUNTIMES`].
    pub(super) runtimes_left_out: u64,
    /// Lists whose rest could not be read.
    pub(super) lists_cut: u64,
    /// Tasks that runtimes with such a list count beyond those that were found.
    pub(super) tasks_missing: u64,
}

/// Where one begins to look.
#[derive(Clone, Copy)]
pub(super) struct KnownTasks<'k> {
    /// Headers of tasks.
    pub(super) headers: &'k [u64],
    /// Runtimes that have been found before.
    pub(super) runtimes: &'k [Runtime],
}

/// Finds the runtimes of what is known and reads their lists, `most` tasks in all, until `out_of_time` says so.
pub(super) fn owned_tasks(
    memory: &impl Spans,
    shapes: &TaskShapes,
    lists: &OwnedLists,
    known: KnownTasks<'_>,
    most: usize,
    out_of_time: &dyn Fn() -> bool,
) -> Owned {
    let mut owned = Owned { runtimes: runtimes(memory, shapes, lists, known), ..Owned::default() };
    owned.runtimes_left_out = owned.runtimes.len().saturating_sub(MAX_RUNTIMES) as u64;
    owned.runtimes.truncate(MAX_RUNTIMES);
    let mut seen = HashSet::new();
    for runtime in owned.runtimes.clone() {
        let Some(scheduler) = scheduler(lists, runtime.kind) else { continue };
        let walk = Walk { memory, shapes, lists, runtime, scheduler, most, out_of_time };
        let (before, cut_before) = (seen.len(), owned.lists_cut);
        for list in walk.elements(&mut owned.lists_cut) {
            owned.lists_cut += u64::from(!walk.follow(list, &mut seen, &mut owned.tasks));
        }
        if owned.lists_cut > cut_before {
            let found = (seen.len() - before) as u64;
            owned.tasks_missing += walk.count().map_or(0, |count| count.saturating_sub(found));
        }
    }
    owned
}

/// A runtime's handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Runtime {
    /// Where its tasks' scheduler fields point to.
    handle: u64,
    /// The id that its tasks have as their owner's.
    id: u64,
    kind: TaskKind,
}

fn scheduler(lists: &OwnedLists, kind: TaskKind) -> Option<&SchedulerLists> {
    lists.schedulers.iter().find(|lists| lists.kind == kind)
}

/// The runtimes of what is known. A task counts only if its owner's id is that of the handle it leads to, and a handle only while it has
/// the id that it had.
fn runtimes(memory: &impl Spans, shapes: &TaskShapes, lists: &OwnedLists, known: KnownTasks<'_>) -> Vec<Runtime> {
    let is_there = |runtime: &Runtime| {
        scheduler(lists, runtime.kind)
            .is_some_and(|scheduler| word(memory, runtime.handle.wrapping_add(scheduler.id)) == Some(runtime.id))
    };
    let mut found: Vec<Runtime> = known.runtimes.iter().copied().filter(is_there).collect();
    let mut tried: HashSet<(u64, u64)> = found.iter().map(|runtime| (runtime.handle, runtime.id)).collect();
    for some in known.headers.chunks(1024) {
        let spans: Vec<Span> = some.iter().map(|header| Span { address: *header, length: HEADER }).collect();
        let mut bytes = vec![0; HEADER * spans.len()];
        let whole = memory.read_spans(&spans, &mut bytes);
        for ((header, bytes), whole) in some.iter().zip(bytes.chunks_exact(HEADER)).zip(whole) {
            let shape = shapes.of_header(bytes).filter(|_| whole);
            let Some((shape, field)) = shape.and_then(|shape| Some((shape, shape.scheduler?))) else { continue };
            if scheduler(lists, shape.kind).is_none() {
                continue;
            }
            let owner = usize::try_from(lists.owner_id).ok().and_then(|at| word_at(bytes, at)).filter(|id| *id != 0);
            let handle = usize::try_from(field).ok().and_then(|at| word_at(bytes, at));
            let handle = handle.or_else(|| word(memory, header.wrapping_add(field)));
            let (Some(id), Some(handle)) = (owner, handle) else { continue };
            let runtime = Runtime { handle, id, kind: shape.kind };
            if tried.insert((handle, id)) && is_there(&runtime) {
                found.push(runtime);
            }
            if tried.len() > 16 * MAX_RUNTIMES {
                return found;
            }
        }
    }
    found
}

fn word(memory: &impl Spans, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    memory.read(at, &mut bytes).then(|| u64::from_le_bytes(bytes))
}

/// A task as a member of a list.
#[derive(Clone, Copy)]
struct Node {
    vtable: u64,
    prev: u64,
    next: u64,
}

/// Reading one runtime's lists.
struct Walk<'w, M> {
    memory: &'w M,
    shapes: &'w TaskShapes,
    lists: &'w OwnedLists,
    runtime: Runtime,
    scheduler: &'w SchedulerLists,
    most: usize,
    out_of_time: &'w dyn Fn() -> bool,
}

impl<M: Spans> Walk<'_, M> {
    /// Where its lists are.
    fn elements(&self, cut: &mut u64) -> Vec<u64> {
        let handle = self.runtime.handle;
        match self.scheduler.lists {
            ListPlace::One { at } => vec![handle.wrapping_add(at)],
            ListPlace::Sharded { pointer, length, size } => {
                let field = |at: u64| word(self.memory, handle.wrapping_add(at));
                let (Some(first), Some(length)) = (field(pointer), field(length)) else {
                    *cut += 1;
                    return Vec::new();
                };
                *cut += u64::from(length > MAX_LISTS);
                (0..length.min(MAX_LISTS)).map(|nth| first.wrapping_add(size.wrapping_mul(nth))).collect()
            }
        }
    }

    /// How many tasks it says that it has.
    fn count(&self) -> Option<u64> {
        word(self.memory, self.runtime.handle.wrapping_add(self.scheduler.count?))
    }

    /// Follows the list at `list`. Whether its end was reached.
    fn follow(&self, list: u64, seen: &mut HashSet<u64>, tasks: &mut Vec<(u64, u64)>) -> bool {
        let scheduler = self.scheduler;
        let head = || word(self.memory, list.wrapping_add(scheduler.head));
        let tail = || word(self.memory, list.wrapping_add(scheduler.tail));
        // What is behind this belongs to the list, each task pointing back to the one before it.
        let begin = tasks.len();
        let Some(mut next) = head() else { return false };
        let mut tries = TRIES;
        let mut back = 1;
        let mut type_before = None;
        loop {
            let before = tasks.get(begin..).and_then(|path| path.last()).map_or(0, |(header, _)| *header);
            if tasks.len() >= self.most || (self.out_of_time)() {
                return false;
            }
            if next == 0 {
                if tail() == Some(before) {
                    return true;
                }
            } else if let Some(node) = self.node(next, &mut type_before)
                && node.prev == before
                && seen.insert(next)
            {
                tasks.push((next, node.vtable));
                next = node.next;
                back = 1;
                continue;
            }
            // It has changed. Back, each time further, to a task that the one before it still leads to.
            let Some(left) = tries.checked_sub(1) else { return false };
            tries = left;
            for (gone, _) in tasks.drain(tasks.len().saturating_sub(back).max(begin)..) {
                seen.remove(&gone);
            }
            back = back.saturating_mul(2);
            let still = tasks.get(begin..).and_then(|path| path.last()).map(|(header, _)| *header);
            let onward = match still {
                Some(header) => self.node(header, &mut type_before).map(|node| node.next),
                None => head(),
            };
            match onward {
                Some(onward) => next = onward,
                None if still.is_none() => return false,
                // Not even that one is there: the next try goes back further.
                None => next = u64::MAX,
            }
        }
    }

    /// The task at `header`, if it is one of this runtime's. `guess` is the type of the one before: most have the same, and then one
    /// system call is enough.
    fn node<'s>(&'s self, header: u64, guess: &mut Option<&'s Shape>) -> Option<Node> {
        let pointers_at = |shape: &Shape| Some(header.wrapping_add(shape.trailer?));
        let length =
            usize::try_from(self.lists.prev.max(self.lists.next)).ok()?.checked_add(8).filter(|length| *length <= POINTERS)?;
        let guessed = guess.and_then(pointers_at).unwrap_or(header);
        let mut bytes = [0; HEADER + POINTERS];
        let bytes = bytes.get_mut(..HEADER + length)?;
        let spans = [Span { address: header, length: HEADER }, Span { address: guessed, length }];
        let whole = self.memory.read_spans(&spans, bytes);
        let (head, pointers) = bytes.split_at_mut(HEADER);
        if !*whole.first()? {
            return None;
        }
        let shape = self.shapes.of_header(head)?;
        if word_at(head, usize::try_from(self.lists.owner_id).ok()?)? != self.runtime.id {
            return None;
        }
        let really = pointers_at(shape)?;
        if really != guessed {
            *guess = Some(shape);
            if !self.memory.read(really, pointers) {
                return None;
            }
        } else if !*whole.get(1)? {
            return None;
        }
        let pointer = |at: u64| word_at(pointers, usize::try_from(at).ok()?);
        Some(Node { vtable: shape.vtable, prev: pointer(self.lists.prev)?, next: pointer(self.lists.next)? })
    }
}

#[cfg(test)]
mod tests;
