//! Task vtables: `tokio::runtime::task::raw::Vtable`, one per spawned `(future, scheduler)`.
//!
//! Source: `tokio/src/runtime/task/raw.rs`. The struct is `repr(Rust)`, whose field order is not promised; in every
//! build seen it is the source order, and each vtable is checked: its `poll` must make the transition to
//! running, and where there are symbols it must be called `raw::poll`.
//!
//! | Tokio | code pointers | then |
//! | --- | --- | --- |
//! | 1.8 to 1.12 | poll, dealloc, try_read_output, drop_join_handle_slow, remote_abort, shutdown | |
//! | 1.20 | poll, dealloc, try_read_output, try_set_join_waker, drop_join_handle_slow, drop_abort_handle, remote_abort, shutdown | |
//! | 1.21, 1.22 | the same | trailer_offset |
//! | 1.23 to 1.54 | poll, schedule, dealloc, try_read_output, drop_join_handle_slow, drop_abort_handle, shutdown | trailer_offset, scheduler_offset, id_offset |
//!
//! Between the rows the run of code pointers is taken as it stands, and `shutdown` is the pointer that
//! makes the transition to shutdown.

use std::collections::HashMap;

use super::transitions::{FIRST_ARGUMENT, Start, Transition, find};
use crate::inspect::code::Function;
use crate::inspect::functions::Functions;
use crate::inspect::image::{Image, Section};
use crate::inspect::inspection::{HeaderLayout, TokioVersion};
use crate::inspect::note::Note;
use crate::inspect::symbols::Symbols;

/// A real service has dozens to some thousands.
const MAX_VTABLES: usize = 100_000;
/// Functions interpreted to find out whether they are a task's.
const MAX_INTERPRETED: usize = 200_000;
/// Code pointers in the largest vtable known, and some to spare.
const MAX_POINTERS: u64 = 10;
/// Code pointers in the smallest vtable known.
const MIN_POINTERS: u64 = 6;
/// No task is larger; beyond it a word is no offset.
const MAX_OFFSET: u64 = 1 << 32;
/// Calls that lie between `raw::poll` and the exchange in an unoptimised build.
const FOLLOW: usize = 12;

/// One vtable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vtable {
    pub(crate) address: u64,
    pub(crate) poll: u64,
    pub(crate) dealloc: u64,
    pub(crate) shutdown: u64,
    /// All code pointers, in the order they stand in.
    pub(crate) pointers: Vec<u64>,
    /// `raw::schedule::<S>`, the same function for all types of one scheduler; from 1.23 on.
    pub(crate) schedule: Option<u64>,
    pub(crate) offsets: Option<Offsets>,
}

impl Vtable {
    /// Whether its tasks are blocking ones, where the vtable tells: every other scheduler is an `Arc`, one word; that of blocking
    /// tasks (`NoopSchedule`, `BlockingSchedule`) has another size.
    pub(crate) fn is_blocking(&self) -> Option<bool> {
        self.offsets.map(|offsets| offsets.id != offsets.scheduler + 8)
    }
}

/// The offsets that vtables hold from 1.23 on, in bytes from the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) trailer: u64,
    pub(crate) scheduler: u64,
    pub(crate) id: u64,
}

/// What was found, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By address.
    pub(crate) vtables: Vec<Vtable>,
    pub(crate) notes: Vec<Note>,
}

/// Offsets in the header by version (`core.rs`, `repr(C)`): state, list pointers until 1.20, queue_next, stack_next in 1.8, vtable.
pub(crate) fn header_layout(version: Option<TokioVersion>, has_offsets: bool) -> HeaderLayout {
    let vtable = match version.map(|version| version.minor) {
        Some(..9) => 40,
        Some(9..21) => 32,
        // Vtables with all offsets came after the list pointers went.
        None if !has_offsets => 32,
        _ => 16,
    };
    HeaderLayout { state: 0, vtable }
}

/// Searches the file's constants for vtables. Symbols, where there are some, save interpreting (and in unoptimised code
/// know what the interpreter does not see).
pub(crate) fn search(image: &Image<'_>, functions: &Functions<'_>, symbols: &Symbols<'_>) -> Found {
    let polls = symbols.ending_with(&["task", "raw", "poll"]);
    let shutdowns = symbols.ending_with(&["task", "raw", "shutdown"]);
    let known = |functions: &[u64]| functions.iter().map(|function| (*function, true)).collect();
    let mut search =
        Search { image, functions, runs: known(&polls), shuts: known(&shutdowns), polls: &polls, unverified: Vec::new() };
    let mut found = Found::default();
    let constants = image.sections.iter().filter(|section| {
        // Position-independent code keeps them in .data.rel.ro, static code in .rodata.
        section.name.starts_with(".data.rel.ro") || section.name.starts_with(".rodata")
    });
    for section in constants {
        search.scan(section, &mut found);
    }
    if found.vtables.is_empty() && !search.unverified.is_empty() {
        let vtables = search.unverified.iter().map(|vtable| vtable.address).collect();
        found.notes.push(Note::VtablesUnverified { vtables });
        found.vtables = search.unverified;
    }
    found.vtables.sort_by_key(|vtable| vtable.address);
    let without: Vec<u64> =
        polls.iter().copied().filter(|poll| !found.vtables.iter().any(|vtable| vtable.poll == *poll)).collect();
    if !without.is_empty() {
        found.notes.push(Note::PollWithoutVtable { polls: without });
    }
    found
}

struct Search<'a, 'd> {
    image: &'a Image<'d>,
    functions: &'a Functions<'d>,
    /// Which functions make the transition to running, as far as asked.
    runs: HashMap<u64, bool>,
    /// Which make the transition to shutdown.
    shuts: HashMap<u64, bool>,
    /// Functions that symbols call `raw::poll`; empty in a stripped file.
    polls: &'a [u64],
    /// What has the shape of a vtable with offsets in a stripped file, but whose poll is not seen to run a task: the interpreter does
    /// not see through unoptimised code.
    unverified: Vec<Vtable>,
}

impl Search<'_, '_> {
    fn scan(&mut self, section: &Section<'_>, found: &mut Found) {
        let end = section.vaddr.saturating_add(section.bytes.len() as u64);
        let mut next = section.vaddr.checked_next_multiple_of(8);
        while let Some(address) = next.filter(|address| *address < end) {
            let limit = if found.vtables.len() >= MAX_VTABLES {
                format!("task vtables: {MAX_VTABLES}")
            } else if self.runs.len() + self.shuts.len() >= MAX_INTERPRETED {
                format!("functions tried as polls: {MAX_INTERPRETED}")
            } else {
                let vtable = self.vtable_at(address, &mut found.notes);
                next = address.checked_add(if vtable.is_some() { 8 * MIN_POINTERS } else { 8 });
                found.vtables.extend(vtable);
                continue;
            };
            found.notes.push(Note::LimitReached { what: limit });
            return;
        }
    }

    /// The function whose address the word at `address` is.
    fn function_at(&self, address: u64) -> Option<u64> {
        let target = self.image.word(address)?;
        (self.image.is_code(target) && self.functions.starting_at(target).is_some()).then_some(target)
    }

    fn vtable_at(&mut self, address: u64, notes: &mut Vec<Note>) -> Option<Vtable> {
        let poll = self.function_at(address)?;
        // A function of any trait's vtable: look at what it does only where the shape allows a task's.
        let mut pointers: Vec<u64> =
            (0..MAX_POINTERS).map_while(|index| self.function_at(address.checked_add(8 * index)?)).collect();
        if (pointers.len() as u64) < MIN_POINTERS {
            return None;
        }
        let runs = self.transitions(poll, Transition::Running);
        if let [_, schedule, dealloc, _, _, _, shutdown] = pointers[..]
            && let Some(offsets) = offsets_at(self.image, address.checked_add(56)?)
        {
            if !runs && pointers.iter().any(|pointer| self.polls.contains(pointer)) {
                notes.push(Note::VtableOrderUnknown { vtable: address });
                return None;
            }
            let (schedule, offsets) = (Some(schedule), Some(offsets));
            let vtable = Vtable { address, poll, dealloc, shutdown, pointers, schedule, offsets };
            if !runs {
                self.unverified.extend(self.polls.is_empty().then_some(vtable));
                return None;
            }
            return Some(vtable);
        }
        if !runs {
            return None;
        }
        let shutdown_at =
            (5..9).find(|slot| pointers.get(*slot).is_some_and(|pointer| self.transitions(*pointer, Transition::Shutdown)))?;
        pointers.truncate(shutdown_at + 1);
        let (dealloc, shutdown) = (*pointers.get(1)?, *pointers.last()?);
        Some(Vtable { address, poll, dealloc, shutdown, pointers, schedule: None, offsets: None })
    }

    fn transitions(&mut self, function: u64, transition: Transition) -> bool {
        let known = if transition == Transition::Running { &mut self.runs } else { &mut self.shuts };
        let image = self.image;
        *known.entry(function).or_insert_with(|| {
            let start = Start { at: function, known: &FIRST_ARGUMENT, follow: FOLLOW };
            find(image, start, transition).is_some()
        })
    }
}

/// Three offsets that fit together, in source order: the trailer last in the cell, the scheduler first in
/// the core right after the 32-byte header (up to the core's alignment), the id after the scheduler.
fn offsets_at(image: &Image<'_>, address: u64) -> Option<Offsets> {
    let word = |index: u64| image.word(address.checked_add(8 * index)?);
    let (trailer, scheduler, id) = (word(0)?, word(1)?, word(2)?);
    let aligned = scheduler >= 32 && scheduler.is_power_of_two();
    let ordered = scheduler <= id && id < trailer && trailer < MAX_OFFSET;
    (aligned && ordered && id % 8 == 0 && trailer % 8 == 0).then_some(Offsets { trailer, scheduler, id })
}

/// The function that is on the stack during a poll: `poll`, or what its single `jmp` goes to.
pub(crate) fn body_of(image: &Image<'_>, functions: &Functions<'_>, poll: u64) -> u64 {
    let decoded = Function::decode(image, functions, poll);
    decoded.and_then(|function| function.single_jump(image)).unwrap_or(poll)
}
