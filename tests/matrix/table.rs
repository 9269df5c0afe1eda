//! The matrix as text: one row a build, what was found in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use profiler_daemon::inspect::{Inspection, InstructionClass, NameSource, Note, Role, TaskKind};

/// The heading of the columns of [`row`].
pub(crate) fn heading() -> String {
    let mut line = String::new();
    for (title, width) in [("build", WIDTH), ("types", 6), ("kinds", 16), ("named", 6), ("id at", 6)] {
        write!(line, "{title:<width$} ").unwrap();
    }
    for title in ["start", "idle", "complete", "by val", "by ref", "spawn", "blocking"] {
        write!(line, "{title:<18} ").unwrap();
    }
    line.push_str("notes");
    line
}

const WIDTH: usize = 25;

/// One build: counts, and per role how many sites stand on which kind of instruction.
pub(crate) fn row(name: &str, inspection: &Inspection) -> String {
    let types = &inspection.task_types;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for task_type in types {
        *kinds.entry(kind(task_type.kind)).or_default() += 1;
    }
    let named = types.iter().filter(|task_type| task_type.name_source != NameSource::Address).count();
    let mut ids: Vec<u32> = types.iter().filter_map(|task_type| task_type.id_offset).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut line = format!("{name:<WIDTH$} {:<6} {:<16} {named:<6} {:<6} ", types.len(), pairs(&kinds), join(&ids));
    let roles =
        [Role::PollStart, Role::PollIdle, Role::PollComplete, Role::WakeByVal, Role::WakeByRef, Role::Spawn, Role::SpawnBlocking];
    for role in roles {
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for site in inspection.sites_with(role) {
            *classes.entry(class(site.class)).or_default() += 1;
        }
        write!(line, "{:<18} ", pairs(&classes)).unwrap();
    }
    let notes: Vec<String> = inspection.notes.iter().map(note).collect();
    line.push_str(if notes.is_empty() { "-" } else { "" });
    line.push_str(&notes.join(", "));
    line
}

fn pairs(counts: &BTreeMap<&str, usize>) -> String {
    if counts.is_empty() {
        return "-".to_owned();
    }
    let parts: Vec<String> = counts.iter().map(|(what, count)| format!("{count}{what}")).collect();
    parts.join(" ")
}

fn join(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    if numbers.is_empty() { "-".to_owned() } else { numbers.join(",") }
}

fn kind(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::MultiThread => "M",
        TaskKind::CurrentThread => "C",
        TaskKind::Local => "L",
        TaskKind::Blocking => "B",
        TaskKind::Unknown => "?",
    }
}

fn class(class: InstructionClass) -> &'static str {
    match class {
        InstructionClass::Push => "push",
        InstructionClass::Nop => "nop",
        InstructionClass::Nop5 => "nop5",
        InstructionClass::LongNop => "longnop",
        InstructionClass::Jump => "jmp",
        InstructionClass::ConditionalJump => "jcc",
        InstructionClass::Call => "call",
        InstructionClass::SingleStepped => "step",
        InstructionClass::Refused => "REFUSED",
    }
}

fn note(note: &Note) -> String {
    match note {
        Note::IdleNotRecognised { types } => format!("idle not recognised in {}", types.len()),
        Note::NeverIdle { types } => format!("{} never idle", types.len()),
        Note::CompleteNotFound { types } => format!("no complete in {}", types.len()),
        other => format!("{other:?}"),
    }
}
