//! `inspect`: what can be probed in a program, where, at what cost, and what is missing.

use std::fmt::Write as _;

use anyhow::Result;
use profiler_daemon::{
    cli::{Exit, args::Listing, command::Program, visible},
    session::{Look, look_at_file, look_at_process},
};
use serde_json::json;

/// `inspect`.
pub(super) fn run(program: &Program, format: Listing) -> Result<Exit> {
    let look = match program {
        Program::File(path) => look_at_file(path)?,
        Program::Process(pid) => look_at_process(*pid)?,
    };
    match format {
        Listing::Json => {
            let value = json!({ "path": look.path, "inspection": look.inspection, "plan": look.plan });
            super::ask::print_line(serde_json::to_vec_pretty(&value)?)
        }
        Listing::Table => super::print(text(&look).as_bytes()),
    }
}

fn text(look: &Look) -> String {
    let Look { path, inspection, plan } = look;
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
    let _ = write!(text, "\n{plan}");
    for note in &inspection.notes {
        let _ = writeln!(text, "note: {}", visible(&note.to_string()));
    }
    text
}
