//! What must hold of each inspection.

use std::collections::BTreeSet;
use std::fs;

use profiler_daemon::inspect::{Inspection, InstructionClass, NameSource, Note, Register, Role, Site, TaskKind, inspect};
use profiler_daemon::plan::{Machine, MultiSupport, PollEndMethod, Wanted};

use crate::builds::Build;
use crate::truth::Truth;

/// Tokio's version, the file's kind, and the header's layout.
pub(crate) fn target(build: &Build, inspection: &Inspection) {
    let name = build.name();
    assert_eq!(inspection.tokio.map(|version| version.to_string()).as_deref(), Some(build.version), "{name}");
    assert_eq!(inspection.pie, build.profile != "static", "{name}");
    assert!(inspection.build_id.as_ref().is_some_and(|id| id.len() >= 32), "{name}");
    assert_eq!(inspection.has_symbols, !build.stripped, "{name}");
    assert_eq!(inspection.has_debug_info, build.profile == "dev", "{name}");
    assert_eq!(inspection.header.vtable, header_vtable(minor(build)), "{name}");
}

fn minor(build: &Build) -> u32 {
    build.version.split('.').nth(1).unwrap().parse().unwrap()
}

/// By the declarations of `Header` in each version's `core.rs`: state; list pointers until 1.20; queue_next; stack_next in 1.8.
fn header_vtable(minor: u32) -> u32 {
    match minor {
        8 => 40,
        20 => 32,
        _ => 16,
    }
}

/// The fixture spawns load, store, Countdown, Pending and a waiter on a runtime handle that may be of either kind, so each stands twice;
/// load and another on a `LocalSet`; a closure on the blocking pool, where Tokio's own worker runs too.
pub(crate) fn types(build: &Build, inspection: &Inspection) {
    let name = build.name();
    // `LocalRuntime` (1.43) spawns what a `LocalSet` does on a current-thread handle: one more.
    let local_runtime = usize::from(minor(build) >= 43);
    // Unoptimised Tokio before 1.49 also has every future boxed (`BOX_FUTURE_THRESHOLD`), except on a `LocalSet` before 1.43.
    let expected = match (build.profile, minor(build)) {
        ("dev", 20..43) => 26,
        ("dev", 43..49) => 30,
        _ => 14 + local_runtime,
    };
    assert_eq!(inspection.task_types.len(), expected, "{name}: types");
    for task_type in &inspection.task_types {
        let id = match (minor(build), task_type.kind) {
            (..28, _) => None,
            // A scheduler of no size until 1.38, of two words later; an `Arc` is one.
            (28..40, TaskKind::Blocking) => Some(32),
            (_, TaskKind::Blocking) => Some(48),
            _ => Some(40),
        };
        assert_eq!(task_type.id_offset, id, "{name}: {}", task_type.name);
    }
    if build.stripped {
        assert!(inspection.task_types.iter().all(|t| t.name_source == NameSource::Address), "{name}");
        return;
    }
    let names: BTreeSet<&str> = inspection.task_types.iter().map(|t| t.name.as_str()).collect();
    assert!(names.iter().any(|found| found.ends_with("orders::load")), "{name}: {names:?}");
    assert!(names.iter().any(|found| found.ends_with("orders::store")), "{name}: {names:?}");
    assert!(names.iter().any(|found| found.contains("Launch::launch")), "{name}: {names:?}");
    assert!(names.iter().all(|found| !found.contains("{{closure}}") && !found.contains("17h")), "{name}: {names:?}");
}

/// The bytes at each site's file offset are the instruction it claims, by the opcode map of the processor's manual.
pub(crate) fn instructions(build: &Build, inspection: &Inspection, bytes: &[u8]) {
    for site in &inspection.sites {
        let name = format!("{}: {site:x?}", build.name());
        let code = &bytes[usize::try_from(site.file_offset).unwrap()..];
        let actual = match code {
            [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..] => InstructionClass::Push,
            [0x90, ..] => InstructionClass::Nop,
            [0xeb | 0xe9, ..] => InstructionClass::Jump,
            [0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => InstructionClass::ConditionalJump,
            [0xe8, ..] => InstructionClass::Call,
            [0xf0 | 0x2e | 0x3e | 0x26 | 0x36 | 0xcc, ..] => InstructionClass::Refused,
            [0x0f, 0x1f, ..] => InstructionClass::LongNop,
            _ => InstructionClass::SingleStepped,
        };
        assert_eq!(site.class, actual, "{name}");
        assert_ne!(site.class, InstructionClass::Refused, "{name}");
        assert_eq!(inspection.file_offset(site.vaddr), Some(site.file_offset), "{name}");
        assert_eq!(site.header.is_none(), site.role == Role::PollReturn, "{name}");
        assert!(matches!(site.sp_base, Register::Rsp | Register::Rbp), "{name}");
        assert!(site.vaddr >= site.function, "{name}");
        assert_ne!(site.header, Some(Register::Rsp), "{name}");
    }
}

/// Every poll's end is seen before the task is released, without a return probe.
pub(crate) fn plan(build: &Build, inspection: &Inspection) {
    let machine = Machine { kernel: (6, 18), uprobe_multi: MultiSupport::Yes, uretprobe_safe: false, virtual_machine: true };
    let wanted = Wanted { tasks: true, times: false, scopes: false, wakes: true, spawns: true, wakers: true };
    let plan =
        profiler_daemon::plan::plan(inspection, &machine, &wanted).unwrap_or_else(|error| panic!("{}: {error}", build.name()));
    assert_eq!(plan.poll_end, PollEndMethod::BeforeRelease, "{}", build.name());
    assert!(plan.other_ends.is_empty(), "{}: {:?}", build.name(), plan.other_ends);
}

fn functions(inspection: &Inspection, role: Role) -> BTreeSet<u64> {
    inspection.sites_with(role).map(|site| site.function).collect()
}

/// The functions found are those that the symbols name.
pub(crate) fn against_symbols(build: &Build, inspection: &Inspection, truth: &Truth) {
    let name = build.name();
    let polls: BTreeSet<u64> = inspection.task_types.iter().map(|task_type| task_type.poll).collect();
    assert_eq!(polls, truth.polls, "{name}: raw::poll");
    assert_eq!(functions(inspection, Role::PollStart), truth.polls, "{name}: poll starts");
    assert_eq!(functions(inspection, Role::WakeByVal), truth.wakes_by_val, "{name}: wakes by value");
    assert_eq!(functions(inspection, Role::WakeByRef), truth.wakes_by_ref, "{name}: wakes by reference");
    assert_eq!(functions(inspection, Role::Spawn), truth.binds, "{name}: spawns");
    assert_eq!(functions(inspection, Role::SpawnBlocking), truth.blocking_spawns, "{name}: blocking spawns");
    assert!(truth.idles.is_subset(&functions(inspection, Role::PollIdle)), "{name}: transition_to_idle");
    let found = functions(inspection, Role::PollComplete);
    assert!(truth.completes.is_subset(&found), "{name}: transition_to_complete");
    assert!(minor(build) >= 10 || truth.terminals.is_subset(&found), "{name}: transition_to_terminal");
    if truth.idles.is_empty() {
        inlined_idles(&name, inspection);
    }
}

/// Where the transition is inlined, each type that can wait has its own site, unless one function polls several futures.
fn inlined_idles(name: &str, inspection: &Inspection) {
    let unseen: Vec<&str> = inspection
        .notes
        .iter()
        .flat_map(|note| match note {
            Note::NeverIdle { types } | Note::IdleNotRecognised { types } => types.clone(),
            _ => Vec::new(),
        })
        .map(|index| inspection.task_types[usize::try_from(index).unwrap()].name.as_str())
        .collect();
    // Old Tokio's blocking closure may have lost its name, and with it its kind.
    assert!(unseen.len() <= 1 && unseen.iter().all(|found| found.starts_with("task@")), "{name}: {unseen:?}");
    for site in inspection.sites_with(Role::PollIdle) {
        assert!(site.class.is_emulated(), "{name}: {site:x?}");
    }
}

/// Stripping takes names away, and the blocking spawn that only its name leads to; every other site stays where it was.
pub(crate) fn against_unstripped(build: &Build, inspection: &Inspection) {
    let whole = inspect(&fs::read(build.path.with_extension("")).unwrap()).unwrap();
    let sites = |inspection: &Inspection, role: Role| -> BTreeSet<u64> {
        inspection.sites_with(role).map(|site: &Site| site.vaddr).collect()
    };
    for role in [Role::PollStart, Role::PollIdle, Role::PollComplete, Role::PollReturn] {
        assert_eq!(sites(inspection, role), sites(&whole, role), "{}: {role:?}", build.name());
    }
    // 1.38 on, a function that binds tasks is known by its code.
    assert_eq!(sites(inspection, Role::Spawn), sites(&whole, Role::Spawn), "{}: spawns", build.name());
    // Wakers are found through the polls that make them; a type that never waits makes none.
    for role in [Role::WakeByVal, Role::WakeByRef] {
        assert!(!sites(inspection, role).is_empty(), "{}: {role:?}", build.name());
        assert!(sites(inspection, role).is_subset(&sites(&whole, role)), "{}: {role:?}", build.name());
    }
}
