//! Data flows one way through the daemon: each folder of `profiler-daemon/src` is a step, and knows only what stands in this table.
//! Files beside the folders (`main.rs`, `lib.rs`) know all.

use super::Finding;
use super::file::File;

const SOURCE: &str = "profiler-daemon/src/";

/// One step.
struct Layer {
    folder: &'static str,
    /// Steps, or modules of steps, that it may name.
    knows: &'static [&'static str],
    /// Why not more.
    reason: &'static str,
}

const LAYERS: [Layer; 12] = [
    Layer { folder: "target", knows: &[], reason: "it reads the process's facts from /proc, whatever they are used for" },
    Layer { folder: "inspect", knows: &[], reason: "bytes in, plain structs out: no process, no BPF" },
    Layer {
        folder: "plan",
        knows: &["inspect", "target"],
        reason: "it chooses among what was found; choosing makes no kernel call",
    },
    Layer { folder: "attach", knows: &["plan", "target"], reason: "it does what the plan says and reads no ELF itself" },
    Layer { folder: "collect", knows: &["attach"], reason: "it drains maps into plain rows and knows no use of them" },
    Layer {
        folder: "model",
        knows: &["collect", "target"],
        reason: "plain rows in, tasks, requests and stacks out, named by the files that were mapped: no BPF",
    },
    Layer {
        folder: "export",
        knows: &["model"],
        reason: "a function from the model to a writer; where data came from is not its matter",
    },
    Layer { folder: "control", knows: &["model"], reason: "the socket carries what it is handed; no exporter's inside" },
    Layer {
        folder: "launch",
        knows: &[],
        reason: "it starts a program and holds it; what is done to it meanwhile is not its matter",
    },
    Layer { folder: "cli", knows: &[], reason: "arguments to a checked struct; it does nothing itself" },
    Layer {
        folder: "session",
        knows: &["target", "inspect", "plan", "attach", "collect", "model", "export", "control"],
        reason: "the steps in their order; what the user typed has become plain values",
    },
    Layer {
        folder: "commands",
        knows: &["session", "cli", "control", "export", "inspect", "launch", "model", "plan", "attach", "target"],
        reason: "glue between checked arguments and the library; what a kernel gave is read by a session alone",
    },
];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let Some((folder, inside)) = file.path.strip_prefix(SOURCE).and_then(|path| path.split_once('/')) else { return Vec::new() };
    let Some(layer) = LAYERS.iter().find(|layer| layer.folder == folder) else {
        let message = format!("the folder `{folder}` has no line in xtask's table of layers; give it one, with its reason");
        return if inside == "mod.rs" { vec![Finding::new(file, 0, message)] } else { Vec::new() };
    };
    let mut found = Vec::new();
    for (line, named) in named(&file.text) {
        let step = named.split("::").next().unwrap_or_default();
        let is_step = LAYERS.iter().any(|layer| layer.folder == step);
        let allowed = layer.knows.iter().any(|known| named == *known || named.starts_with(&format!("{known}::")));
        if is_step && step != folder && !allowed {
            let knows = if layer.knows.is_empty() { "no other step".to_owned() } else { layer.knows.join(", ") };
            found.push(Finding::new(file, line, format!("`{folder}` names `{named}` and may know {knows}: {}", layer.reason)));
        }
    }
    found
}

/// Every path that begins at the crate (which the binary names `profiler_daemon`), without that begin, with its line.
/// Comments may name what code may not.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let whole = code.join("\n");
    for (at, begin) in whole.match_indices("crate::").chain(whole.match_indices("profiler_daemon::")) {
        let before = whole.get(..at).unwrap_or_default();
        // `$crate::` is a path of this crate too; `my_crate::` is not.
        if before.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let rest = whole.get(at + begin.len()..).unwrap_or_default();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(in_group(group).into_iter().map(|path| (line, path))),
            None => found.push((line, path_of(rest))),
        }
    }
    found
}

/// The paths of `{a, b::c, d::{e, f}}` behind its first brace; of an inner group only what stands before it.
fn in_group(group: &str) -> Vec<String> {
    let (mut depth, mut paths, mut from) = (0, Vec::new(), 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                paths.push(path_of(group.get(from..at).unwrap_or_default().trim()));
                from = at + 1;
            }
            _ => {}
        }
        if letter == '}' && depth == 0 && from == at + 1 {
            break;
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// The path at the begin of `text`.
fn path_of(text: &str) -> String {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':').unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn breaches(path: &str, text: &str) -> Vec<usize> {
        check(&file(&format!("{SOURCE}{path}"), text)).iter().map(|finding| finding.line).collect()
    }

    /// Check what a step may name: itself, what its line allows, and things that are no step.
    #[test]
    fn allowed_names_pass() {
        assert!(breaches("plan/mod.rs", "use crate::inspect::Site;\nuse crate::plan::cost;\nuse crate::Error;\n").is_empty());
        assert!(breaches("model/mod.rs", "use crate::collect::Row;\n").is_empty());
        assert!(
            breaches("inspect/mod.rs", "// crate::attach would be wrong\n/// [`crate::attach`]\nfn a() {} // crate::plan\n")
                .is_empty()
        );
        assert!(breaches("main.rs", "use crate::attach;\n").is_empty());
        assert!(breaches("commands/run.rs", "use profiler_daemon::{cli::command::Run, session::Session};\n").is_empty());
        assert!(breaches("model/mod.rs", "use other_crate::attach;\n").is_empty());
    }

    /// Check that what it may not name is found, wherever it stands.
    #[test]
    fn forbidden_names_are_found() {
        assert_eq!(breaches("inspect/mod.rs", "//! X.\nuse crate::attach::Link;\n"), [2]);
        assert_eq!(breaches("collect/mod.rs", "\n\nuse crate::model::Report;\n"), [3]);
        assert_eq!(breaches("model/mod.rs", "use crate::{model, attach::{Link, Other}, Error};\n"), [1]);
        assert_eq!(breaches("model/mod.rs", "use crate::{\n    Error,\n    export,\n};\n"), [1]);
        assert_eq!(breaches("commands/run.rs", "use profiler_daemon::collect::Row;\n"), [1]);
        assert_eq!(breaches("attach/mod.rs", "use crate::session::Session;\n"), [1]);
        assert_eq!(breaches("export/svg.rs", "fn a(x: crate::collect::Row) {}\n"), [1]);
    }

    /// Check that a new folder must be given its line.
    #[test]
    fn unknown_folders_are_found() {
        assert_eq!(breaches("gadgets/mod.rs", "//! X.\n"), [0]);
    }
}
