//! A request that yields was ready, also where only it reaches a probe and no site tells of the yield.

use std::time::Duration;

use profiler_tests::awaits::cells::tried;
use profiler_tests::awaits::corpus::{Corpus, is_asked_for};
use profiler_tests::awaits::{answer, verdict};
use profiler_tests::daemon::Daemon;
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

/// The corpus's case in which another task has its turn first, for [`TURN`].
const CASE: &str = "yield-now";
const TURN: Duration = Duration::from_millis(32);

/// Check in each profile that all of a wait for a turn is scheduled time, of the request and of that wait.
#[test]
fn a_yield_is_scheduled_where_only_the_request_reaches_a_probe() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut wrong = Vec::new();
    for cell in tried()?.into_iter().filter(|_| is_asked_for(CASE)) {
        let mut corpus = Corpus::start(cell)?;
        let daemon = Daemon::attach(corpus.pid(), &["--sample", "1/1"])?;
        for case in corpus.round(&[CASE.to_owned()])? {
            let ended = daemon.ask(&["waits", "--request", &case.request, "--format", "json"])?;
            let waits = answer::waits(&ended.stdout, &case.request)?;
            let is_yield = |row: &&answer::Row| row.stack.iter().any(|frame| frame.name.contains("::yield_now::"));
            let found = waits.waits.iter().find(is_yield);
            let found = found.ok_or_else(|| Failure::Wrong(vec![format!("{cell}: no wait in a yield: {waits:?}")]))?;
            if found.suspended_ns != 0
                || u128::from(found.scheduled_ns) < TURN.as_nanos()
                || waits.scheduled_ns < found.scheduled_ns
            {
                wrong.push(format!("{cell}: {waits:?}"));
            }
            wrong.extend(verdict::waits(&case, &waits).wrong.iter().map(|what| format!("{cell}: {what}")));
        }
        daemon.end(libc::SIGINT)?;
        corpus.end()?;
    }
    all_right(wrong)
}
