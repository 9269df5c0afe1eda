//! Without a request in mind: the waits of all tasks of a type, which the kernel side sums up, are where they are too.

use await_fixture::truth::Case;
use profiler_tests::awaits::answer::{self, Waits};
use profiler_tests::awaits::cells::{Cell, tried};
use profiler_tests::awaits::corpus::Corpus;
use profiler_tests::awaits::verdict::{self, Verdict};
use profiler_tests::daemon::Daemon;
use profiler_tests::expect::Attempts;
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::unknown::Table;

/// How often a case whose times are off may be tried again, each time by a new attach, since sums only grow.
const ATTEMPTS: usize = 4;
/// A task waits for its first poll nowhere.
const FIRST_POLL_NS: u64 = 2_000_000;

/// Check in each profile that the tasks of each case's type have its waits, and their times.
#[test]
fn types_have_the_waits_of_their_tasks() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut table = Table::default();
    let mut wrong = Vec::new();
    for cell in tried()? {
        match of_cell(cell, &mut table) {
            Ok(found) => wrong.extend(found),
            Err(failure) => wrong.push(format!("{cell}: {failure}")),
        }
    }
    wrong.extend(table.verdict("sums"));
    all_right(wrong)
}

fn of_cell(cell: Cell, table: &mut Table) -> Result<Vec<String>> {
    let mut corpus = Corpus::start(cell)?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    let mut wrong = Vec::new();
    while attempts.go_on() {
        let daemon = Daemon::attach(corpus.pid(), &[])?;
        let cases = corpus.round(&attempts.open())?;
        let ended = daemon.ask(&["waits", "--all", "-n", "1000", "--format", "json"])?;
        if ended.code() != 0 {
            return Err(Failure::Wrong(vec![format!("waits --all ended with {}: {}", ended.code(), ended.stderr)]));
        }
        let types = answer::all_waits(&ended.stdout)?;
        daemon.end(libc::SIGINT)?;
        let mut found = Vec::new();
        for case in &cases {
            let verdict = compared(case, &types);
            table.note(cell, &case.name, &verdict.unknown);
            wrong.extend(verdict.wrong.iter().map(|what| format!("{cell}: {what}")));
            found.push((case.name.clone(), verdict.off.iter().map(|what| format!("{cell}: {what}")).collect()));
        }
        attempts.note(found);
    }
    corpus.end()?;
    if let Err(failure) = attempts.verdict() {
        wrong.push(failure.to_string());
    }
    Ok(wrong)
}

/// The case's own type, of which one task ran, held against the case.
fn compared(case: &Case, types: &[Waits]) -> Verdict {
    let root = case.waits.iter().flat_map(|wait| &wait.branches).find_map(|branch| branch.chain.first());
    let root = root.map_or("", |place| &*place.function);
    let is_of = |waits: &&Waits| waits.task_type.as_deref().is_some_and(|name| name.contains("Scope<") && is_about(name, root));
    match types.iter().filter(is_of).collect::<Vec<_>>()[..] {
        [waits] => {
            let mut verdict = verdict::waits(case, waits);
            verdict.unknown.retain(|unknown| unknown.why != "unknown_ns");
            if waits.unknown_ns > FIRST_POLL_NS {
                verdict.off.push(format!("{}: {} ns without a stack", case.name, waits.unknown_ns));
            }
            verdict
        }
        ref several => {
            let names: Vec<_> = several.iter().map(|waits| &waits.task_type).collect();
            let wrong = vec![format!("{}: {} types of {root}: {names:?}", case.name, several.len())];
            Verdict { wrong, ..Verdict::default() }
        }
    }
}

/// Whether a type's name has the function's whole path in it.
fn is_about(name: &str, function: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut ends = name.match_indices(function).map(|(start, _)| name.get(start + function.len()..).unwrap_or_default());
    ends.any(|after| !after.starts_with(is_letter))
}

#[test]
fn types_are_told_by_whole_names() {
    let name = "profiler_annotate::scope::Scope<a::branches::select_loop::{async_fn_env#0}>";
    assert!(is_about(name, "a::branches::select_loop") && !is_about(name, "a::branches::select"));
}
