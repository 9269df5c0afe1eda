//! `inspect`: what can be probed in a program, where, at what cost, and what is missing.

use std::fmt::Write as _;

use anyhow::Result;
use profiler_daemon::{
    cli::{Exit, Streams, args::Listing, command::Program, progress::Progress, visible},
    model::AwaitSource,
    plan::{Children, children},
    session::{AwaitSummary, Look, look_at_file, look_at_process},
};
use serde_json::json;

/// `inspect`.
pub(super) fn run(program: &Program, format: Listing, streams: Streams) -> Result<Exit> {
    let progress = Progress::spinner("reading the program", streams);
    let look = match program {
        Program::File(path) => look_at_file(path, &mut super::told_by(&progress))?,
        Program::Process(pid) => look_at_process(*pid, &mut super::told_by(&progress))?,
    };
    drop(progress);
    match format {
        Listing::Json => {
            let value = json!({ "path": look.path, "inspection": look.inspection, "plan": look.plan, "awaits": look.awaits.summary(),
                    "children": children(&look.inspection) });
            super::ask::print_line(serde_json::to_vec_pretty(&value)?)
        }
        Listing::Table => super::print(text(&look).as_bytes()),
    }
}

fn text(look: &Look) -> String {
    let Look { path, inspection, plan, awaits } = look;
    let version = inspection.tokio.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
    let found = |there: bool| if there { "yes" } else { "no" };
    let named = [
        ("program", visible(path)),
        ("build id", inspection.build_id.clone().unwrap_or_else(|| "none".to_owned())),
        ("Tokio", version),
        ("task types", inspection.task_types.len().to_string()),
        ("symbols", found(inspection.has_symbols).to_owned()),
        ("debug info", found(inspection.has_debug_info).to_owned()),
        ("annotation", found(!inspection.usdt.is_empty()).to_owned()),
    ];
    // Writing to a String cannot fail.
    let mut text = String::new();
    for (name, value) in named {
        let _ = writeln!(text, "{name:<16} {value}");
    }
    text.push_str(&followed(&children(inspection)));
    let _ = write!(text, "{}\n{plan}", seen_awaits(&awaits.summary()));
    for note in inspection.notes.iter().map(ToString::to_string).chain(awaits.notes.iter().cloned()) {
        let _ = writeln!(text, "note: {}", visible(&note));
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
