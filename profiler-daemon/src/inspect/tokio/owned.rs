//! Where a runtime keeps its tasks: the way from a task's scheduler to the lists of all tasks it owns, in this build's offsets.
//!
//! Source: tokio `runtime/task/list.rs`, `util/sharded_list.rs`, `util/linked_list.rs`, `runtime/task/core.rs`. From 1.36 on a handle's
//! `OwnedTasks` holds a `ShardedList` (a boxed slice of mutexes with a linked list each), before that one mutex with one list. The list is
//! intrusive: a task's pointers stand in its `Trailer`, whose place is in the task's vtable from 1.23 on. Fields between are found by
//! name, whatever mutex or padding lies around them.

use std::collections::HashSet;

use gimli::{Dwarf, EndianSlice, LittleEndian};
use thiserror::Error;

use super::debug_info::covers;
use super::shapes::{Shapes, TypeAt, Wanted};
use crate::inspect::image::Image;
use crate::inspect::inspection::{TaskKind, TaskType};

/// Entries walked in all units together.
const MAX_ENTRIES: usize = 50_000_000;

/// Where tasks lie in their runtimes' lists. All offsets are bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedLists {
    /// From a task's header to the id of the list that owns it (8 bytes).
    pub owner_id: u64,
    /// From a task's trailer to its pointer to the task before it.
    pub prev: u64,
    /// From a task's trailer to its pointer to the task behind it.
    pub next: u64,
    /// For each kind of scheduler that the program has.
    pub schedulers: Vec<SchedulerLists>,
}

/// The lists of one kind of scheduler. Offsets count from where a task's scheduler field points to, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerLists {
    /// Which one.
    pub kind: TaskKind,
    /// To the id that its tasks have as their owner (8 bytes).
    pub id: u64,
    /// To the number of its tasks (8 bytes).
    pub count: Option<u64>,
    /// To the lists.
    pub lists: ListPlace,
    /// From the start of one element of the lists to its pointer to the first task.
    pub head: u64,
    /// The same, to the last task.
    pub tail: u64,
}

/// Where the lists are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListPlace {
    /// One, inline.
    One {
        /// Where.
        at: u64,
    },
    /// Several, in a boxed slice.
    Sharded {
        /// To the pointer to the first.
        pointer: u64,
        /// To their number.
        length: u64,
        /// From one to the next.
        size: u64,
    },
}

/// Why tasks from before the attach cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OwnedListsError {
    /// Vtables without the offsets.
    #[error("this version of Tokio does not tell where a task's list pointers are (1.23 and later do)")]
    OldTokio,
    /// No task of a kind of scheduler that has lists.
    #[error("the program spawns no task on a runtime whose scheduler could be told")]
    NoScheduler,
    /// No description of the structures.
    #[error("the program's debug information does not describe Tokio's task lists (build with `debug = 2`)")]
    NotDescribed,
    /// They are described, but not as expected.
    #[error("Tokio's task lists are not built as expected: {0}")]
    Unexpected(&'static str),
    /// What gimli says of debug information that does not parse.
    #[error("the program's debug information does not parse: {0}")]
    Malformed(String),
}

impl From<gimli::Error> for OwnedListsError {
    fn from(error: gimli::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Finds the lists of the schedulers that `types` run on.
pub(crate) fn find(image: &Image<'_>, types: &[TaskType]) -> Result<OwnedLists, OwnedListsError> {
    if types.iter().all(|found| found.trailer_offset.is_none()) {
        return Err(OwnedListsError::OldTokio);
    }
    let sections = gimli::DwarfSections::load(|id| Ok::<_, gimli::Error>(image.section_data(id.name())))?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    in_debug_info(&dwarf, types)
}

fn in_debug_info(dwarf: &Dwarf<EndianSlice<'_, LittleEndian>>, types: &[TaskType]) -> Result<OwnedLists, OwnedListsError> {
    let of_runtimes = || types.iter().filter(|found| KINDS.iter().any(|(kind, _)| *kind == found.kind));
    let polls: HashSet<u64> = of_runtimes().flat_map(|found| [found.poll, found.body]).collect();
    if polls.is_empty() {
        return Err(OwnedListsError::NoScheduler);
    }
    let shapes = Shapes::of(dwarf)?;
    let mut search = Search { kinds: of_runtimes().map(|found| found.kind).collect(), ..Search::default() };
    let mut budget = MAX_ENTRIES;
    // A unit that polls a task describes the lists, or refers to a unit that does: the others are read only where none of them was enough.
    // One that does not parse does not spoil the others.
    let polling = |number| shapes.unit(number).is_ok_and(|unit| covers(dwarf, &unit, &polls));
    let (first, rest): (Vec<usize>, Vec<usize>) = (0..shapes.count()).partition(|number| polling(*number));
    for number in first.into_iter().chain(rest) {
        if search.is_complete() || budget == 0 {
            break;
        }
        match shapes.named(number, &[OWNED_TASKS, TRAILER, HEADER], &mut budget) {
            Ok(named) => named.into_iter().for_each(|(which, at)| search.take(&shapes, which, at)),
            Err(error) => search.meet(error.into()),
        }
    }
    search.lists()
}

const OWNED_TASKS: Wanted = ("tokio::runtime::task::list", "OwnedTasks<alloc::sync::Arc<");
const TRAILER: Wanted = ("tokio::runtime::task::core", "Trailer");
const HEADER: Wanted = ("tokio::runtime::task::core", "Header");

/// Kinds of schedulers that have lists, and the module of each.
const KINDS: [(TaskKind, &str); 2] = [(TaskKind::MultiThread, "multi_thread"), (TaskKind::CurrentThread, "current_thread")];

/// What has been found. Of several descriptions of one structure the first that is complete counts.
#[derive(Debug, Default)]
struct Search {
    /// Those that the program has.
    kinds: Vec<TaskKind>,
    owner_id: Option<u64>,
    /// A task's pointers to the tasks before and behind it.
    links: Option<(u64, u64)>,
    schedulers: Vec<SchedulerLists>,
    /// With the first description that was not as expected.
    problem: Option<OwnedListsError>,
}

impl Search {
    fn knows(&self, kind: TaskKind) -> bool {
        self.schedulers.iter().any(|known| known.kind == kind)
    }

    fn is_complete(&self) -> bool {
        self.owner_id.is_some() && self.links.is_some() && self.kinds.iter().all(|kind| self.knows(*kind))
    }

    /// Keeps the first problem.
    fn meet(&mut self, problem: OwnedListsError) {
        self.problem.get_or_insert(problem);
    }

    /// Reads one description, where it is of something not yet known.
    fn take(&mut self, shapes: &Shapes<'_, '_>, which: Wanted, at: TypeAt) {
        if let Err(problem) = self.read(shapes, which, at) {
            self.meet(problem);
        }
    }

    fn read(&mut self, shapes: &Shapes<'_, '_>, which: Wanted, at: TypeAt) -> Result<(), OwnedListsError> {
        if which == HEADER {
            if self.owner_id.is_none() {
                let owner = shapes.member(at, "owner_id")?;
                self.owner_id = Some(owner.ok_or(OwnedListsError::Unexpected("a task's header has no `owner_id`"))?.offset);
            }
        } else if which == TRAILER {
            if self.links.is_none() {
                self.links = Some(links(shapes, at)?);
            }
        } else {
            let name = shapes.name(at)?;
            let kind = KINDS.iter().find(|(_, module)| name.contains(module)).map(|(kind, _)| *kind);
            if let Some(kind) = kind.filter(|kind| !self.knows(*kind)) {
                self.schedulers.extend(scheduler(shapes, at, kind)?);
            }
        }
        Ok(())
    }

    fn lists(self) -> Result<OwnedLists, OwnedListsError> {
        match (self.owner_id, self.links) {
            (Some(owner_id), Some((prev, next))) if !self.schedulers.is_empty() => {
                Ok(OwnedLists { owner_id, prev, next, schedulers: self.schedulers })
            }
            _ => Err(self.problem.unwrap_or(OwnedListsError::NotDescribed)),
        }
    }
}

/// From a task's trailer to its pointers to the tasks before and behind it.
fn links(shapes: &Shapes<'_, '_>, trailer: TypeAt) -> Result<(u64, u64), OwnedListsError> {
    let unexpected = OwnedListsError::Unexpected;
    let pointers = shapes.member(trailer, "owned")?.ok_or(unexpected("a task's trailer has no `owned`"))?;
    let (into, inner) = shapes
        .inside(pointers.type_of, &|shapes, of| Ok(shapes.member(of, "prev")?.is_some() && shapes.member(of, "next")?.is_some()))?
        .ok_or(unexpected("a task's list pointers are no `prev` and `next`"))?;
    let pointer = |name| {
        let pointer = shapes.member(inner, name)?.ok_or(unexpected("a task's list pointers are no `prev` and `next`"))?;
        Ok::<_, OwnedListsError>(pointers.offset + into + pointer.offset)
    };
    Ok((pointer("prev")?, pointer("next")?))
}

/// The lists of the scheduler whose `OwnedTasks` is described at `owned`. `None` where the scheduler itself is not described.
fn scheduler(shapes: &Shapes<'_, '_>, owned: TypeAt, kind: TaskKind) -> Result<Option<SchedulerLists>, OwnedListsError> {
    let unexpected = OwnedListsError::Unexpected;
    let arc = shapes.parameter(owned, "S")?.ok_or(unexpected("`OwnedTasks` has no scheduler"))?;
    // Arc { ptr: NonNull<ArcInner<Handle>> }, ArcInner { strong, weak, data }.
    let inner = shapes.inside(arc, &|shapes, of| Ok(shapes.pointee(of)?.is_some()))?;
    let Some((0, pointer)) = inner else { return Err(unexpected("the scheduler is no `Arc`")) };
    let Some(inner) = shapes.pointee(pointer)? else { return Err(unexpected("the scheduler is no `Arc`")) };
    let Some(data) = shapes.member(inner, "data")? else { return Ok(None) };
    // The scheduler may refer to another description of its list than the one that led here.
    let name = shapes.name(owned)?;
    let Some((into, owned)) = shapes.inside(data.type_of, &|shapes, of| Ok(shapes.name(of)? == name))? else { return Ok(None) };
    let owned_at = data.offset + into;
    let id = shapes.member(owned, "id")?.ok_or(unexpected("`OwnedTasks` has no `id`"))?;
    let list = |of| shapes.inside_named(of, "LinkedList<tokio::runtime::task::Task<");
    let Some((sharded_at, sharded)) = shapes.inside_named(owned, "ShardedList<")? else {
        let (at, element) = list(owned)?.ok_or(unexpected("`OwnedTasks` has no list"))?;
        let place = Place { lists: ListPlace::One { at: owned_at + at }, list_at: 0, element };
        return ends(shapes, &place, kind, owned_at + id.offset, None);
    };
    let lists = shapes.member(sharded, "lists")?.ok_or(unexpected("`ShardedList` has no `lists`"))?;
    let field = |name| shapes.member(lists.type_of, name);
    let (Some(data), Some(length)) = (field("data_ptr")?, field("length")?) else {
        return Err(unexpected("`ShardedList`'s lists are no boxed slice"));
    };
    let mutex = shapes.pointee(data.type_of)?.ok_or(unexpected("`ShardedList`'s lists are no boxed slice"))?;
    let size = shapes.size(mutex)?.filter(|size| *size > 0).ok_or(unexpected("a list's mutex has no size"))?;
    let (list_at, element) = list(mutex)?.ok_or(unexpected("a mutex of `ShardedList` has no list"))?;
    let at = owned_at + sharded_at + lists.offset;
    let count = shapes.member(sharded, "count")?.map(|count| owned_at + sharded_at + count.offset);
    let lists = ListPlace::Sharded { pointer: at + data.offset, length: at + length.offset, size };
    ends(shapes, &Place { lists, list_at, element }, kind, owned_at + id.offset, count)
}

/// Lists that have been found.
struct Place {
    lists: ListPlace,
    /// From the start of one element to its list.
    list_at: u64,
    /// The type of a list.
    element: TypeAt,
}

/// The same with where a list begins and ends.
fn ends(
    shapes: &Shapes<'_, '_>,
    place: &Place,
    kind: TaskKind,
    id: u64,
    count: Option<u64>,
) -> Result<Option<SchedulerLists>, OwnedListsError> {
    let end = |name| shapes.member(place.element, name);
    let (Some(head), Some(tail)) = (end("head")?, end("tail")?) else {
        return Err(OwnedListsError::Unexpected("a list has no `head` and `tail`"));
    };
    let (head, tail) = (place.list_at + head.offset, place.list_at + tail.offset);
    Ok(Some(SchedulerLists { kind, id, count, lists: place.lists, head, tail }))
}

#[cfg(test)]
mod tests;
