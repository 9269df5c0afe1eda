//! Each request waited where it says, and for as long as it says.

use await_fixture::truth::Case;
use profiler_tests::awaits::cells::{Cell, tried};
use profiler_tests::awaits::corpus::Corpus;
use profiler_tests::awaits::{answer, verdict};
use profiler_tests::daemon::Daemon;
use profiler_tests::expect::Attempts;
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::unknown::Table;

/// How often a case whose times are off may be tried again.
const ATTEMPTS: usize = 4;

/// Check in each profile that every stack of every case is right or said to be unknown, that each right one has its time, and that nothing
/// is unknown but what may be.
#[test]
fn waits_are_where_they_are() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut table = Table::default();
    let mut wrong = Vec::new();
    for cell in tried()? {
        // Another profile may still tell something.
        match of_cell(cell, &mut table) {
            Ok(found) => wrong.extend(found),
            Err(failure) => wrong.push(format!("{cell}: {failure}")),
        }
    }
    wrong.extend(table.verdict("waits"));
    all_right(wrong)
}

/// What is wrong with the stacks and times of one profile.
fn of_cell(cell: Cell, table: &mut Table) -> Result<Vec<String>> {
    let mut corpus = Corpus::start(cell)?;
    let daemon = Daemon::attach(corpus.pid(), &["--all-requests", "--mode", "process"])?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    let mut wrong = Vec::new();
    while attempts.go_on() {
        let mut found = Vec::new();
        for case in corpus.round(&attempts.open())? {
            match compared(&daemon, &case) {
                Ok(verdict) => {
                    table.note(cell, &case.name, &verdict.unknown);
                    wrong.extend(verdict.wrong.iter().map(|what| format!("{cell}: {what}")));
                    found.push((case.name, verdict.off.iter().map(|what| format!("{cell}: {what}")).collect()));
                }
                Err(failure) => {
                    wrong.push(format!("{cell}: {}: {failure}", case.name));
                    found.push((case.name, Vec::new()));
                }
            }
        }
        attempts.note(found);
    }
    let ended = daemon.end(libc::SIGINT)?;
    if ended.code() != 0 {
        wrong.push(format!("{cell}: the daemon ended with {}: {}", ended.code(), ended.stderr));
    }
    corpus.end()?;
    if let Err(failure) = attempts.verdict() {
        wrong.push(failure.to_string());
    }
    Ok(wrong)
}

/// Asks for a case's waits and holds them against what it says.
fn compared(daemon: &Daemon, case: &Case) -> Result<verdict::Verdict> {
    let ended = daemon.ask(&["waits", "--request", &case.request, "--format", "json"])?;
    if ended.code() != 0 {
        return Err(Failure::Wrong(vec![format!("waits ended with {}: {}", ended.code(), ended.stderr)]));
    }
    let waits = answer::waits(&ended.stdout, &case.request)?;
    if waits.source != "layouts" {
        return Err(Failure::Wrong(vec![format!("its await stacks come from {:?}, with full debug information", waits.source)]));
    }
    Ok(verdict::waits(case, &waits))
}
