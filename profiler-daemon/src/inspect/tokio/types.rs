//! From vtables to task types: names, schedulers, bodies.

use std::collections::{HashMap, HashSet};

use super::debug_info;
use super::names::{self, TypePair};
use super::vtables::{Vtable, body_of};
use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::inspection::{NameSource, TaskKind, TaskType};
use crate::inspect::note::Note;
use crate::inspect::symbols::Symbols;

/// One type per vtable, in the same order, and what went wrong with their names.
pub(crate) fn name(
    image: &Image<'_>,
    described: &Image<'_>,
    functions: &Functions<'_>,
    symbols: &Symbols<'_>,
    vtables: &[Vtable],
) -> (Vec<TaskType>, Vec<Note>) {
    let polls: HashSet<u64> = vtables.iter().flat_map(|vtable| [vtable.poll, body_of(image, functions, vtable.poll)]).collect();
    let mut notes = Vec::new();
    let described = debug_info::names(described, &polls).unwrap_or_else(|error| {
        notes.push(Note::BadDebugInfo { why: error.to_string() });
        HashMap::new()
    });
    let mut types: Vec<TaskType> = vtables
        .iter()
        .map(|vtable| {
            let body = body_of(image, functions, vtable.poll);
            let by_debug_info = described.get(&vtable.poll).or_else(|| described.get(&body));
            // A poll that several types share names them all, and DWARF calls `impl Launch` only `{impl#0}`: the
            // symbols may know better.
            let unclear = |pairs: &[TypePair]| pairs.len() != 1 || pairs.iter().any(|pair| pair.future.contains("{impl#"));
            if let Some(pairs) = by_debug_info.filter(|pairs| !unclear(pairs)) {
                return task_type(vtable, body, pairs, NameSource::DebugInfo);
            }
            let pairs = names::from_symbols(image, functions, symbols, vtable);
            match by_debug_info {
                Some(described) if pairs.is_empty() => task_type(vtable, body, described, NameSource::DebugInfo),
                _ => task_type(vtable, body, &pairs, NameSource::Symbol),
            }
        })
        .collect();
    for found in &mut types {
        found.body_end = functions.starting_at(found.body).map(|extent| extent.end);
    }
    spread_kinds(image, functions, symbols, vtables, &mut types);
    (types, notes)
}

fn task_type(vtable: &Vtable, body: u64, pairs: &[TypePair], source: NameSource) -> TaskType {
    let is_blocking = !pairs.is_empty() && pairs.iter().all(|pair| names::is_blocking(&pair.future));
    let mut kinds: Vec<TaskKind> = pairs.iter().map(|pair| names::kind_of(&pair.scheduler)).collect();
    kinds.dedup();
    let kind = match kinds[..] {
        _ if vtable.is_blocking().unwrap_or(is_blocking) => TaskKind::Blocking,
        [kind] => kind,
        _ => TaskKind::Unknown,
    };
    let mut readable: Vec<String> = pairs.iter().map(|pair| names::readable(&pair.future)).collect();
    readable.dedup();
    let (name, name_source) = if readable.is_empty() {
        (format!("task@{:#x}", vtable.address), NameSource::Address)
    } else {
        (readable.join(" | "), source)
    };
    let mut raw: Vec<&str> = pairs.iter().map(|pair| pair.future.as_str()).collect();
    raw.dedup();
    TaskType {
        vtable: vtable.address,
        poll: vtable.poll,
        body,
        body_end: None,
        shutdown: vtable.shutdown,
        id_offset: vtable.offsets.and_then(|offsets| u32::try_from(offsets.id).ok()),
        scheduler_offset: vtable.offsets.and_then(|offsets| u32::try_from(offsets.scheduler).ok()),
        trailer_offset: vtable.offsets.and_then(|offsets| u32::try_from(offsets.trailer).ok()),
        kind,
        name,
        raw_name: (!raw.is_empty()).then(|| raw.join(" | ")),
        name_source,
    }
}

/// `raw::schedule::<S>` is one function per scheduler: types that share it share the kind, which its callees may tell too.
fn spread_kinds(image: &Image<'_>, functions: &Functions<'_>, symbols: &Symbols<'_>, vtables: &[Vtable], types: &mut [TaskType]) {
    let mut kinds: HashMap<u64, TaskKind> = HashMap::new();
    for (vtable, task_type) in vtables.iter().zip(types.iter()) {
        let Some(schedule) = vtable.schedule else {
            continue;
        };
        let kind = kinds.entry(schedule).or_insert(task_type.kind);
        if *kind == TaskKind::Unknown {
            *kind = task_type.kind;
        } else if *kind != task_type.kind && task_type.kind != TaskKind::Unknown {
            // Merged by the linker: it tells nothing.
            *kind = TaskKind::Unknown;
        }
    }
    for (schedule, kind) in &mut kinds {
        if *kind == TaskKind::Unknown {
            *kind = names::kind_of_schedule(image, functions, symbols, *schedule);
        }
    }
    for (vtable, task_type) in vtables.iter().zip(types) {
        if task_type.kind == TaskKind::Unknown
            && let Some(kind) = vtable.schedule.and_then(|schedule| kinds.get(&schedule))
        {
            task_type.kind = *kind;
        }
    }
}
