//! The corpus by itself: what it says of itself is what stands in its source, and it is what its clock says. Needs no root.

use std::collections::BTreeSet;

use await_fixture::truth::{Branch, Case, Place};
use profiler_tests::awaits::cells::tried;
use profiler_tests::awaits::corpus::Corpus;
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries};

const MS: u64 = 1_000_000;
const ROUNDS: usize = 3;
/// No case may be without these.
const NAMES: [&str; 33] = [
    "nested",
    "loop",
    "recursion",
    "generic",
    "async-block",
    "async-closure",
    "dyn",
    "async-trait",
    "select",
    "join",
    "try-join",
    "join-all",
    "futures-unordered",
    "buffer-unordered",
    "stream-next",
    "timeout",
    "timer-interval",
    "mutex",
    "semaphore",
    "mpsc",
    "oneshot",
    "watch",
    "socket-read",
    "socket-accept",
    "join-handle",
    "join-set",
    "spawn-blocking",
    "yield-now",
    "hand-written",
    "tower-stack",
    "hyper-server",
    "hyper-client",
    "sqlx",
];

/// Check in each profile that every case tells its waits, that they make up its time, and that each stands where it says.
#[test]
fn cases_know_where_they_wait() -> Result<()> {
    let _turn = turn();
    let mut wrong = Vec::new();
    for cell in tried()? {
        let mut corpus = Corpus::start(cell)?;
        let mut cases = corpus.round(&[])?;
        let mut found: Vec<String> = cases.iter().flat_map(of_case).collect();
        // On a busy machine a case can wait longer for a CPU than at its awaits: what is wrong is so in each round.
        for _ in 1..ROUNDS {
            if found.is_empty() {
                break;
            }
            cases = corpus.round(&[])?;
            found = cases.iter().flat_map(of_case).collect();
        }
        corpus.end()?;
        wrong.extend(found.into_iter().map(|what| format!("{cell}: {what}")));
        if std::env::var_os(profiler_tests::awaits::corpus::CASE_VARIABLE).is_none() {
            let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
            wrong.extend(
                NAMES.iter().filter(|name| !names.contains(*name)).map(|name| format!("{cell}: there is no case {name}")),
            );
        }
    }
    all_right(wrong)
}

fn of_case(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let waited: u64 = case.waits.iter().map(|wait| wait.total_ns).sum();
    // The rest is what lies around the awaits: preparing, spawning, and on a busy machine waiting for a CPU.
    if waited > case.wall_ns || waited * 2 < case.wall_ns || waited < 20 * MS {
        wrong.push(format!("{}: it waited for {waited} ns of {} ns", case.name, case.wall_ns));
    }
    let mut roots: BTreeSet<&str> = BTreeSet::new();
    for branch in case.waits.iter().flat_map(|wait| &wait.branches) {
        roots.extend(branch.chain.first().map(|place| &*place.function));
        wrong.extend(of_branch(branch).into_iter().map(|what| format!("{}: {what}", case.name)));
    }
    if roots.len() != 1 {
        wrong.push(format!("{}: its chains begin in {roots:?}", case.name));
    }
    wrong
}

fn of_branch(branch: &Branch) -> Vec<String> {
    let unlabelled = branch.label.is_empty() || branch.chain.is_empty();
    let mut wrong: Vec<String> = unlabelled.then(|| format!("not a branch: {branch:?}")).into_iter().collect();
    wrong.extend(branch.chain.iter().filter_map(|place| not_there(place).err()).map(|failure| failure.to_string()));
    wrong
}

/// Looks the place up in the source: an `.await` must stand on the line, or the call of a macro that has one, in that function.
fn not_there(place: &Place) -> Result<()> {
    let path = binaries::repository().join(&place.file);
    let text = std::fs::read_to_string(&path).map_err(Failure::io(path.display().to_string()))?;
    let wrong = |why: &str| Err(Failure::Wrong(vec![format!("{why}: {place:?}")]));
    let before: Vec<&str> = text.lines().take(place.line as usize).collect();
    let line = before.last().copied().unwrap_or_default();
    let word = match place.in_macro.as_deref().and_then(|file| file.rsplit(['/', '.']).nth(1)) {
        Some(name) => format!("tokio::{name}!("),
        None => ".await".to_owned(),
    };
    if !line.contains(&word) && !line.contains(&word.replace('(', " {")) {
        return wrong("no await on this line");
    }
    let function = place.function.rsplit("::").next().unwrap_or_default();
    let header = before.iter().rev().find(|line| line.contains("fn ")).copied().unwrap_or_default();
    if header.contains(&format!("fn {function}(")) || header.contains(&format!("fn {function}<")) {
        return Ok(());
    }
    wrong("it stands in another function")
}

/// Check that what is parked stays at a place where the same case waits otherwise.
#[test]
fn parked_cases_stay() -> Result<()> {
    let _turn = turn();
    let mut wrong = Vec::new();
    for cell in tried()? {
        let mut corpus = Corpus::start(cell)?;
        let cases = corpus.round(&[])?;
        corpus.end()?;
        let parked = Corpus::park(cell)?;
        for case in &parked.parked {
            let as_ever = cases.iter().filter(|other| other.name == case.name).flat_map(|other| &other.waits);
            if !as_ever.into_iter().any(|wait| wait.branches == case.branches && wait.total_ns > 10 * MS) {
                wrong.push(format!("{cell}: {}: it is parked where it does not wait: {:?}", case.name, case.branches));
            }
        }
        let strays =
            cases.iter().filter(|case| case.name != "yield-now" && !parked.parked.iter().any(|other| other.name == case.name));
        wrong.extend(strays.map(|case| format!("{cell}: {} is not parked", case.name)));
        parked.end()?;
    }
    all_right(wrong)
}
