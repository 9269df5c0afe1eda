//! All tasks at one moment: those that the corpus keeps waiting are shown where they wait, though they began before the attach.

use std::time::Duration;

use profiler_tests::awaits::cells::{Cell, tried};
use profiler_tests::awaits::corpus::Corpus;
use profiler_tests::awaits::{answer, verdict};
use profiler_tests::daemon::Daemon;
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::unknown::Table;

/// After this a task of the corpus's runtime has been polled, by which the runtime and its other tasks are found.
const FOUND: Duration = Duration::from_millis(500);

/// Check in each profile that every parked case is in the list of tasks, suspended, at its place.
#[test]
fn parked_tasks_are_where_they_are() -> Result<()> {
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
    wrong.extend(table.verdict("snapshot"));
    all_right(wrong)
}

fn of_cell(cell: Cell, table: &mut Table) -> Result<Vec<String>> {
    let corpus = Corpus::park(cell)?;
    let daemon = Daemon::attach(corpus.pid(), &["--all-requests", "--mode", "process"])?;
    std::thread::sleep(FOUND);
    let ended = daemon.ask(&["tasks", "--awaits", "--once", "--format", "json"])?;
    if ended.code() != 0 {
        return Err(Failure::Wrong(vec![format!("tasks --awaits ended with {}: {}", ended.code(), ended.stderr)]));
    }
    let tasks = answer::all_tasks(&ended.stdout)?;
    let mut wrong = Vec::new();
    for parked in &corpus.parked {
        let verdict = verdict::parked(parked, &tasks);
        table.note(cell, &parked.name, &verdict.unknown);
        wrong.extend(verdict.wrong.iter().map(|what| format!("{cell}: {what}")));
    }
    daemon.end(libc::SIGINT)?;
    corpus.end()?;
    Ok(wrong)
}
