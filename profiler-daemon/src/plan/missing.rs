//! What a plan cannot give, why, and what would give it.

use super::children;
use super::{Machine, Missing, MultiSupport, PollEndMethod, Wanted};
use crate::inspect::{Inspection, NameSource, Note, Role, TaskKind, TokioVersion};

/// Detaching 300 single uprobes took 33 s: the kernel serialises them.
const SINGLE_DETACH_MS: usize = 110;
/// The first Tokio whose `OwnedTasks::bind` hands the new task to a function that is not generic.
const BIND_INNER: TokioVersion = TokioVersion { major: 1, minor: 38, patch: 0 };

pub(super) fn what_is_missing(
    inspection: &Inspection,
    machine: &Machine,
    wanted: Wanted,
    (poll_end, other_ends): (PollEndMethod, &[(u32, PollEndMethod)]),
    sites: usize,
) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut add = |what: &str, why: String, how: &str| {
        missing.push(Missing { what: what.to_owned(), why, how_to_get: how.to_owned() });
    };
    let has = |role| inspection.sites_with(role).next().is_some();
    if wanted.scopes && inspection.usdt.is_empty() {
        add(
            "requests",
            "the program does not link profiler-annotate, so nothing says which request is served".to_owned(),
            "wrap the request's future in profiler_annotate::scope, or add its tower layer",
        );
    }
    if wanted.wakes && !(has(Role::WakeByVal) && has(Role::WakeByRef)) {
        add(
            "wakes",
            "the functions of Tokio's wakers were not found: `scheduled` cannot be told from `suspended`".to_owned(),
            "build with symbols (strip = false)",
        );
    }
    if wanted.wakes && !has(Role::Defer) {
        add(
            "yields",
            "the function that defers wakes was not found: a task that yields is `suspended` until its worker wakes it"
                .to_owned(),
            "build with symbols (strip = false), without fat LTO, with a later Tokio (1.38 has it)",
        );
    }
    missing_awaits(inspection, poll_end, other_ends, &mut add);
    if wanted.spawns {
        missing_spawns(inspection, &mut add);
    }
    let unnamed = inspection.task_types.iter().filter(|t| t.name_source == NameSource::Address).count();
    if unnamed > 0 {
        add(
            "type names",
            format!("{unnamed} of {} task types have no symbol or debug information", inspection.task_types.len()),
            "build with symbols (strip = false) or debug = \"line-tables-only\"",
        );
    }
    if inspection.task_types.iter().any(|t| t.id_offset.is_none()) {
        add(
            "task ids",
            "task vtables of this Tokio hold no offset of the id: a task is known by its address and spawn only".to_owned(),
            "Tokio 1.28 or later",
        );
    }
    if machine.uprobe_multi != MultiSupport::Yes {
        let why = match machine.uprobe_multi {
            MultiSupport::BrokenPidFilter => "this kernel's uprobe-multi links filter by thread, not by process",
            _ => "this kernel has no uprobe-multi links",
        };
        let seconds = (sites * SINGLE_DETACH_MS).div_ceil(1000);
        add(
            "a quick detach",
            format!("{why}: {sites} single uprobes take about {seconds} s to remove"),
            "Linux 6.6 or later, with the fix of commit 46ba0e49b642",
        );
    }
    for note in &inspection.notes {
        if let Note::NeverIdle { types } = note {
            add(
                "the idle end of some polls",
                format!("{} task types never go idle, as far as their code shows: {}", types.len(), names(inspection, types)),
                "nothing, where their futures never wait",
            );
        }
    }
    missing
}

fn missing_awaits(
    inspection: &Inspection,
    poll_end: PollEndMethod,
    other_ends: &[(u32, PollEndMethod)],
    add: &mut impl FnMut(&str, String, &str),
) {
    let late = other_ends.iter().filter(|(_, end)| !end.is_before_release()).count();
    if !poll_end.is_before_release() {
        add(
            "await stacks",
            "no exchange to idle was recognised in the polls, so their end is only seen after the task was released".to_owned(),
            "build with symbols and without link-time optimisation, or report this binary's Tokio and rustc versions",
        );
    } else if late > 0 {
        add(
            &format!("await stacks of {late} of {} task types", inspection.task_types.len()),
            "the end of their polls was not recognised in their code, so it is only seen after the task was released".to_owned(),
            "build without fat LTO, or report this binary's Tokio and rustc versions",
        );
    }
}

fn missing_spawns(inspection: &Inspection, add: &mut impl FnMut(&str, String, &str)) {
    let has = |role| inspection.sites_with(role).next().is_some();
    let old = inspection.tokio.is_some_and(|version| version < BIND_INNER);
    if old {
        add(
            "spawns",
            "before Tokio 1.38 the function that binds a new task to its runtime is generic: it makes the task itself".to_owned(),
            "Tokio 1.38 or later",
        );
    } else if !has(Role::Spawn) {
        add(
            "spawns",
            "OwnedTasks::bind_inner was not found: inlined by link-time optimisation, or the file is stripped".to_owned(),
            "build with symbols (strip = false), without fat LTO",
        );
    }
    let kinds = || inspection.task_types.iter().map(|t| t.kind);
    if kinds().any(|kind| kind == TaskKind::Local) && !old && !children::local_is_seen(inspection) {
        add(
            "spawns of spawn_local",
            "the function that puts a task into its LocalSet's queue was not found, or nothing tells new tasks from old ones"
                .to_owned(),
            "build with symbols (strip = false); without, wall time of such tasks starts at their first poll",
        );
    }
    if kinds().any(|kind| kind == TaskKind::Blocking) && !has(Role::SpawnBlocking) {
        add(
            "spawns of spawn_blocking",
            "Spawner::spawn_task was not found: inlined, the file is stripped, or Tokio is older than 1.28".to_owned(),
            "build with symbols (strip = false), Tokio 1.28 or later",
        );
    }
}

fn names(inspection: &Inspection, types: &[u32]) -> String {
    let indexes = types.iter().filter_map(|index| usize::try_from(*index).ok());
    let names: Vec<&str> = indexes.filter_map(|index| inspection.task_types.get(index)).map(|t| t.name.as_str()).collect();
    names.join(", ")
}
