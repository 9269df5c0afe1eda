//! Where a runtime keeps its tasks: the way from a task's scheduler to the lists of all tasks it owns, in this build's offsets.
//!
//! Source: tokio `runtime/task/list.rs`, `util/sharded_list.rs`, `util/linked_list.rs`, `runtime/task/core.rs`. From 1.36 on a handle's
//! `OwnedTasks` holds a `ShardedList` (a boxed slice of mutexes with a linked list each), before that one mutex with one list. The list is
//! intrusive: a task's pointers stand in its `Trailer`, whose place is in the task's vtable from 1.23 on. Fields between are found by
//! name, whatever mutex or padding lies around them.

use std::collections::HashSet;

use gimli::{Dwarf, EndianSlice, LittleEndian, UnitOffset};
use thiserror::Error;

use super::debug_info::covers;
use super::shapes::Shapes;
use crate::inspect::image::Image;
use crate::inspect::inspection::{TaskKind, TaskType};

/// Entries walked in all units together.
const MAX_ENTRIES: usize = 50_000_000;
/// Units looked through for one scheduler: any unit that polls a task of it describes it.
const MAX_UNITS: usize = 8;

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
    let mut lists = OwnedLists::default();
    let mut problem = OwnedListsError::NoScheduler;
    let mut budget = MAX_ENTRIES;
    for kind in [TaskKind::MultiThread, TaskKind::CurrentThread] {
        let of_kind = types.iter().filter(|found| found.kind == kind);
        let polls: HashSet<u64> = of_kind.flat_map(|found| [found.poll, found.body]).collect();
        if polls.is_empty() || lists.schedulers.iter().any(|known| known.kind == kind) {
            continue;
        }
        match in_units(&dwarf, &polls, &mut lists, &mut budget) {
            Ok(()) if lists.schedulers.iter().any(|known| known.kind == kind) => {}
            Ok(()) => problem = OwnedListsError::NotDescribed,
            Err(error) => problem = error,
        }
    }
    if lists.schedulers.is_empty() { Err(problem) } else { Ok(lists) }
}

/// Looks through the units that cover one of `polls`, until one describes the lists.
fn in_units(
    dwarf: &Dwarf<EndianSlice<'_, LittleEndian>>,
    polls: &HashSet<u64>,
    lists: &mut OwnedLists,
    budget: &mut usize,
) -> Result<(), OwnedListsError> {
    let mut units = dwarf.units();
    let mut looked = 0;
    while let Some(header) = units.next()? {
        // One unit that does not parse does not spoil the others.
        let Ok(unit) = dwarf.unit(header) else { continue };
        if !covers(dwarf, &unit, polls) {
            continue;
        }
        if in_unit(&Shapes::of(dwarf, &unit), lists, budget)? {
            return Ok(());
        }
        looked += 1;
        if looked >= MAX_UNITS {
            break;
        }
    }
    Ok(())
}

const OWNED_TASKS: &str = "tokio::runtime::task::list::OwnedTasks<alloc::sync::Arc<";
const TRAILER: &str = "tokio::runtime::task::core::Trailer";
const HEADER: &str = "tokio::runtime::task::core::Header";

/// Whether the unit describes lists that were not known; they are added.
fn in_unit(shapes: &Shapes<'_, '_>, lists: &mut OwnedLists, budget: &mut usize) -> Result<bool, OwnedListsError> {
    let named = shapes.named(&[OWNED_TASKS, TRAILER, HEADER], budget)?;
    let (Some(trailer), Some(header)) = (named.get(TRAILER), named.get(HEADER)) else { return Ok(false) };
    let mut owned: Vec<(&String, UnitOffset)> =
        named.iter().filter(|(name, _)| name.starts_with(OWNED_TASKS)).map(|(name, at)| (name, *at)).collect();
    owned.sort_unstable_by_key(|(_, at)| at.0);
    if owned.is_empty() {
        return Ok(false);
    }
    let unexpected = OwnedListsError::Unexpected;
    let owner_id = shapes.member(*header, "owner_id")?.ok_or(unexpected("a task's header has no `owner_id`"))?;
    lists.owner_id = owner_id.offset;
    let pointers = shapes.member(*trailer, "owned")?.ok_or(unexpected("a task's trailer has no `owned`"))?;
    let (into, inner) = shapes
        .inside(pointers.type_of, &|shapes, of| Ok(shapes.member(of, "prev")?.is_some() && shapes.member(of, "next")?.is_some()))?
        .ok_or(unexpected("a task's list pointers are no `prev` and `next`"))?;
    for (name, field) in [("prev", &mut lists.prev), ("next", &mut lists.next)] {
        let pointer = shapes.member(inner, name)?.ok_or(unexpected("a task's list pointers are no `prev` and `next`"))?;
        *field = pointers.offset + into + pointer.offset;
    }
    let known_before = lists.schedulers.len();
    for (name, owned) in owned {
        let kind = if name.contains("multi_thread") {
            TaskKind::MultiThread
        } else if name.contains("current_thread") {
            TaskKind::CurrentThread
        } else {
            continue;
        };
        if lists.schedulers.iter().all(|known| known.kind != kind)
            && let Some(found) = scheduler(shapes, owned, kind)?
        {
            lists.schedulers.push(found);
        }
    }
    Ok(lists.schedulers.len() > known_before)
}

/// The lists of the scheduler whose `OwnedTasks` is described at `owned`. `None` where this unit does not describe the scheduler itself.
fn scheduler(shapes: &Shapes<'_, '_>, owned: UnitOffset, kind: TaskKind) -> Result<Option<SchedulerLists>, OwnedListsError> {
    let unexpected = OwnedListsError::Unexpected;
    let arc = shapes.parameter(owned, "S")?.ok_or(unexpected("`OwnedTasks` has no scheduler"))?;
    // Arc { ptr: NonNull<ArcInner<Handle>> }, ArcInner { strong, weak, data }.
    let inner = shapes.inside(arc, &|shapes, of| Ok(shapes.pointee(of)?.is_some()))?;
    let Some((0, pointer)) = inner else { return Err(unexpected("the scheduler is no `Arc`")) };
    let Some(inner) = shapes.pointee(pointer)? else { return Err(unexpected("the scheduler is no `Arc`")) };
    let Some(data) = shapes.member(inner, "data")? else { return Ok(None) };
    let Some((into, _)) = shapes.inside(data.type_of, &|_, of| Ok(of == owned))? else { return Ok(None) };
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
    element: UnitOffset,
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
