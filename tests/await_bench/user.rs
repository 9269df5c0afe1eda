//! The walk of one task in user space, over a copy of its memory.

use std::hint::black_box;

use fixture_service::clock;
use profiler_common::awaits::AwaitWalk;
use profiler_daemon::inspect::awaits::LoadedTable;
use profiler_daemon::session::Session;
use profiler_tests::failure::chain;
use profiler_tests::{Failure, Result};

use crate::copied::Live;
use profiler_tests::spread::{Spread, each};

/// Walks that are timed together, and how often.
const BATCH: u64 = 1000;
const BATCHES: usize = 31;

/// The layout table of a session's target, as it lies there.
pub(crate) fn table(session: &Session) -> Result<LoadedTable> {
    let wrong = |why: &str| Failure::Wrong(vec![why.to_owned()]);
    let layouts = session.awaits().layouts.clone().ok_or_else(|| {
        wrong(&format!("the fixture has no layouts: {}", session.awaits().why.as_deref().unwrap_or("nobody says why")))
    })?;
    let target = session.target();
    let failed = |error: profiler_daemon::target::TargetError| Failure::Wrong(vec![chain(&error)]);
    let program = target.program().map_err(failed)?;
    let bias = target.load_bias(&program).map_err(failed)?;
    let inspection = session.inspection();
    Ok(LoadedTable::new(layouts, bias, inspection.header, &inspection.task_types))
}

/// Walks from the task at `header`: what a walk takes of the CPU. `words`: what the kernel side's walk kept, which this one must keep too.
pub(crate) fn walk(pid: u32, table: &LoadedTable, header: u64, words: u64) -> Result<Spread> {
    let wrong = |why: String| Failure::Wrong(vec![why]);
    let live = Live::of(pid)?;
    let root = table.task(header, &live).and_then(|task| task.node);
    let root = root.ok_or_else(|| wrong(format!("no task with a layout at {header:#x}")))?;
    let mut walk = AwaitWalk::NEW;
    walk.begin(header, root);
    walk.run(&table.over(&live), &live);
    if walk.words().len() as u64 != words {
        return Err(wrong(format!("in user space {} words were kept, in the kernel {words}", walk.words().len())));
    }
    let id = walk.id;
    let copied = live.copied();
    let tables = table.over(&copied);
    let mut times = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let started_ns = clock::thread_cpu();
        for _ in 0..BATCH {
            walk.begin(black_box(header), root);
            walk.run(&tables, &copied);
            black_box(&walk);
        }
        times.push(each(clock::thread_cpu() - started_ns, BATCH));
    }
    if walk.id == id { Ok(Spread::of(times)) } else { Err(wrong("the copy was walked otherwise than the memory".to_owned())) }
}
