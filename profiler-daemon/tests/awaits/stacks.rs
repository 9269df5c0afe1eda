//! Every task's await stack, in every profile, is the one that the source says.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use profiler_common::awaits::word::{WordKind, parts};
use profiler_common::awaits::{AwaitEnd, AwaitWalk};
use profiler_daemon::inspect::awaits::{AwaitLayouts, LoadedTable, await_layouts};
use profiler_daemon::inspect::{Inspection, inspect};

use crate::fixture::{self, PROFILES};
use crate::process::Process;

/// The stacks of all tasks as text: names from inside to outside would read backwards, so each line is one deeper than what awaits it.
fn stacks(program: &Path, layouts: &Arc<AwaitLayouts>, inspection: &Inspection) -> String {
    let process = Process::start(program);
    let bias = process.bias(program, inspection);
    let table = LoadedTable::new(Arc::clone(layouts), bias, inspection.header, &inspection.task_types);
    let places = fixture::places();
    let mut text = String::new();
    for (name, header) in &process.tasks {
        let mut walk = AwaitWalk::NEW;
        let root = table.task(*header, &process).and_then(|task| task.node);
        match root {
            Some(root) => {
                walk.begin(*header, root);
                walk.run(&table.over(&process), &process);
            }
            None => walk.begin_cut(AwaitEnd::NoLayout),
        }
        let end = walk.end().name();
        writeln!(text, "{name}: {end}").unwrap();
        for word in walk.words() {
            writeln!(text, "{}", line(*word, layouts, inspection, &places)).unwrap();
        }
    }
    text
}

/// One word as text.
fn line(word: u64, layouts: &AwaitLayouts, inspection: &Inspection, places: &HashMap<(String, u32), String>) -> String {
    let parts = parts(word);
    let indent = "  ".repeat(parts.depth as usize + 1);
    let Some(frame) = layouts.frames.get(parts.node as usize).and_then(Option::as_ref) else {
        return format!("{indent}{:?} {:#x}", parts.kind, parts.detail);
    };
    match parts.kind {
        Some(WordKind::Frame) => {
            let point = frame.points.iter().find(|point| point.state == parts.detail);
            let at = point.map(|point| {
                let file = &layouts.files[point.file as usize];
                let own = file.split_once("/fixture/").map(|(_, file)| (file.to_owned(), point.line));
                match own {
                    Some(place) => {
                        format!(" @ {}", places.get(&place).cloned().unwrap_or_else(|| format!("{}:{}", place.0, place.1)))
                    }
                    // Of other crates only whose file it is: their lines are theirs.
                    None => format!(" @ {}", file.rsplit('/').next().unwrap()),
                }
            });
            format!("{indent}{}{}", frame.name, at.unwrap_or_default())
        }
        Some(WordKind::Task) => {
            let of = inspection.task_types.get(parts.detail as usize).map_or("?", |task| task.name.as_str());
            format!("{indent}{} -> task {of}", frame.name)
        }
        kind => format!("{indent}{kind:?} {:#x}", parts.detail),
    }
}

/// The program's layouts in a profile.
fn compiled(profile: &str) -> (std::path::PathBuf, Inspection, Arc<AwaitLayouts>) {
    let program = fixture::build(profile);
    let bytes = std::fs::read(&program).unwrap();
    let inspection = inspect(&bytes).unwrap();
    let layouts = await_layouts(&bytes, &inspection, &mut |_| {}).unwrap();
    (program, inspection, Arc::new(layouts))
}

/// Check every task's stack, in every profile.
#[test]
fn every_task_waits_where_its_source_says() {
    let expected = include_str!("expected.txt");
    let mut wrong = String::new();
    for profile in PROFILES {
        let (program, inspection, layouts) = compiled(profile);
        let found = stacks(&program, &layouts, &inspection);
        if found == expected {
            continue;
        }
        let first = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        writeln!(
            wrong,
            "{profile}: found and expected {first:?} of {} and {} lines",
            found.lines().count(),
            expected.lines().count()
        )
        .unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Check that nothing was left out, that the future in the annotation's scope is known by its poll, and that a table comes back from bytes.
#[test]
fn nothing_is_left_out() {
    for profile in PROFILES {
        let (_, inspection, layouts) = compiled(profile);
        assert_eq!(layouts.notes, [], "{profile}");
        assert_eq!(layouts.tasks.len(), inspection.task_types.len(), "{profile}");
        let [(_, node)] = layouts.scopes[..] else { panic!("{profile}: {:?}", layouts.scopes) };
        let frame = layouts.frames[node as usize].as_ref().unwrap();
        assert_eq!(frame.name, "waiting::plain::in_scope::{async_fn#0}", "{profile}");
        assert_eq!(AwaitLayouts::from_bytes(&layouts.to_bytes()).as_ref(), Ok(&*layouts), "{profile}");
    }
}
