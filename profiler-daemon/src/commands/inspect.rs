//! `inspect`: what can be probed in a program, where, at what cost, and what is missing.

use std::fmt::Write as _;

use anyhow::Result;
use profiler_daemon::{
    cli::{Exit, Streams, command::Program, form::Listing, progress::Progress, visible},
    inspect::{CurrentTask, CurrentTaskError, FoundBy, Inspection},
    model::AwaitSource,
    plan::{Children, SiteTable, children},
    session::{AwaitSummary, ForeignSight, Look, look_at_file, look_at_process},
};
use serde_json::json;

/// `inspect`.
pub(super) fn run(program: &Program, format: Listing, streams: Streams) -> Result<Exit> {
    let progress = Progress::spinner("reading the program", streams);
    let look = match program {
        Program::File(path) => look_at_file(path, &mut super::told_by(&progress))?,
        Program::Process(pid, object) => look_at_process(*pid, object.as_deref(), &mut super::told_by(&progress))?,
    };
    drop(progress);
    match format {
        Listing::Json => {
            let value = json!({
                "path": look.path,
                "object_of": look.object_of,
                "beside": look.beside,
                "inspection": look.inspection,
                "plan": look.plan,
                "sites": SiteTable::new(&look.plan, &look.inspection).rows(),
                "awaits": look.awaits.summary(),
                "foreign": look.foreign,
                "children": children(&look.inspection),
                "sample_mode": sample_mode(&look),
            });
            super::ask::print_line(serde_json::to_vec_pretty(&value)?)
        }
        Listing::Table => super::print(text(&look).as_bytes()),
    }
}

/// Whether the program can tell wanted requests from others.
fn request_mode(inspection: &Inspection) -> &'static str {
    match (inspection.usdt.is_empty(), inspection.is_annotated()) {
        (_, true) => "yes: only wanted requests reach a probe",
        (true, false) => "no: the program does not link profiler-annotate",
        (false, false) => "no: its profiler-annotate is of another version",
    }
}

/// Whether tasks can be told by their ids without any probe.
fn task_ids(found: &Result<CurrentTask, CurrentTaskError>) -> String {
    match found {
        Ok(CurrentTask { id, by, .. }) => {
            let by = match by {
                FoundBy::Code => "read off the code that sets them",
                FoundBy::Version => "known of this version of Tokio",
            };
            format!("task ids are read from each thread, at thread pointer - {}, {by}", id.unsigned_abs())
        }
        Err(why) => format!("no task ids, tasks are told by their types: {}", visible(&why.to_string())),
    }
}

/// The same for programs.
fn sample_mode(look: &Look) -> serde_json::Value {
    match &look.current_task {
        Ok(CurrentTask { id, tag, .. }) => json!({ "task_ids": true, "offset": id, "tag_offset": tag }),
        Err(why) => json!({ "task_ids": false, "why": why.to_string() }),
    }
}

fn text(look: &Look) -> String {
    let Look { path, object_of, beside, inspection, plan, awaits, foreign, current_task } = look;
    let version = inspection.tokio.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
    let found = |there: bool| if there { "yes" } else { "no" };
    let program = match object_of {
        Some(program) => format!("{}, a shared object of a process of {}", visible(path), visible(program)),
        None => visible(path),
    };
    let named = [
        ("program", program),
        ("build id", inspection.build_id.clone().unwrap_or_else(|| "none".to_owned())),
        ("Tokio", version),
        ("task types", inspection.task_types.len().to_string()),
        ("symbols", found(inspection.has_symbols).to_owned()),
        ("debug info", found(inspection.has_debug_info).to_owned()),
        ("annotation", found(!inspection.usdt.is_empty()).to_owned()),
        ("request mode", request_mode(inspection).to_owned()),
        ("sample mode", task_ids(current_task)),
    ];
    // Writing to a String cannot fail.
    let mut text = String::new();
    for (name, value) in named {
        let _ = writeln!(text, "{name:<16} {value}");
    }
    for other in beside {
        let _ = writeln!(text, "{:<16} {} has a Tokio of its own, which is not profiled; --object names it", "", visible(other));
    }
    text.push_str(&followed(&children(inspection)));
    let sites = SiteTable::new(plan, inspection).to_string();
    let sites: String = sites.lines().map(|line| visible(line) + "\n").collect();
    let _ = write!(text, "{}{}\n{plan}\n{sites}", seen_awaits(&awaits.summary()), foreign_ids(foreign));
    for note in inspection.notes.iter().map(ToString::to_string).chain(awaits.notes.iter().cloned()) {
        let _ = writeln!(text, "note: {}", visible(&note));
    }
    text
}

/// Which contexts of other libraries there are, and how they are reached.
fn foreign_ids(foreign: &ForeignSight) -> String {
    let mut text = String::new();
    for (place, found) in foreign.found.iter().enumerate() {
        let label = if place == 0 { "foreign ids" } else { "" };
        let model = found.model.map_or("no known access model", |model| model.name());
        let at = found.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
        let hidden = if found.exported == Some(false) { "; not exported, so other readers do not find it" } else { "" };
        let _ = writeln!(text, "{label:<16} {}: {model}{at}, by {}{hidden}", found.context.symbol(), visible(&found.file));
        if let Some(why) = &found.unread {
            let _ = writeln!(text, "{:<16} not read: {}", "", visible(why));
        }
    }
    if !foreign.keys.is_empty() {
        let _ = writeln!(text, "{:<16} attributes: {}", "", visible(&foreign.keys.join(", ")));
    }
    for note in &foreign.notes {
        let _ = writeln!(text, "{:<16} {}", "  note:", visible(note));
    }
    text
}

/// Which children of a request are followed without any change in the program.
fn followed(kinds: &[Children]) -> String {
    let mut text = String::new();
    for (kind, name) in kinds.iter().zip(std::iter::once("children").chain(std::iter::repeat(""))) {
        let how = kind.why.map_or_else(|| "followed".to_owned(), |why| format!("not followed: {why}"));
        let _ = writeln!(text, "{name:<16} {}: {how}", kind.spawned_by);
    }
    text
}

/// Which of the three ways to see awaits this program gets, and what would give a better one.
fn seen_awaits(awaits: &AwaitSummary) -> String {
    let (way, better) = match awaits.source {
        AwaitSource::Layouts => ("exact, from the layouts of its futures", None),
        AwaitSource::Wakers => (
            "by the stack in which a future last stored its waker: not always the wait that goes on (--no-await-wakers: not at all)",
            awaits.why.as_ref(),
        ),
        AwaitSource::None => ("not seen: a suspended task is known by its type", awaits.why.as_ref()),
    };
    let mut text = format!("{:<16} {way}\n", "awaits");
    if awaits.source == AwaitSource::Layouts {
        let _ = writeln!(
            text,
            "{:<16} {} task types, {} boxed futures, {} scopes, {} nodes; {}",
            "",
            awaits.task_types,
            awaits.dyn_futures,
            awaits.scopes,
            awaits.nodes,
            visible(awaits.compiler.as_deref().unwrap_or("unknown compiler")),
        );
    }
    for (place, key) in awaits.keys.iter().enumerate() {
        let label = if place == 0 { "request keys" } else { "" };
        let use_of = if key.names_requests { "can name requests (--request-key)" } else { "of a type that cannot name requests" };
        let _ = writeln!(text, "{label:<16} {}: {}, {use_of}", visible(&key.name), visible(&key.type_name));
    }
    if let Some(why) = better {
        let _ = writeln!(text, "{:<16} {}", "  get:", visible(why));
    }
    text
}
