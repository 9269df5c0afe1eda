//! Many short tasks, so that the allocator hands out the same addresses again and again, beside
//! tasks that live from before any attach to the end.
//!
//! `--live N` tasks live on (default 16); each `go` spawns `--rate N` tasks a second (default
//! 2000) for `--millis N` (default 1000).

use std::io;
use std::time::Duration;

use super::multi_thread;
use crate::args::Args;
use crate::measured::Recorder;
use crate::truth::Event;
use crate::{clock, control};

const BATCH: u64 = 20;

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = multi_thread(2)?;
    let recorder = Recorder::default();
    for _ in 0..args.number("live", 16) {
        let task = runtime.spawn(living_step());
        control::say(&Event::Live {
            task_id: task.id().to_string().parse().map_err(io::Error::other)?,
            step: "living_step".to_owned(),
        })?;
    }
    let rate = args.number("rate", 2000).max(BATCH);
    let millis = args.number("millis", 1000);
    control::serve(&runtime, &recorder, || {
        let total = runtime.block_on(churn(rate, millis))?;
        control::say(&total)
    })
}

/// Ticks for ever.
async fn living_step() {
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn churn(rate: u64, millis: u64) -> io::Result<Event> {
    let started_ns = clock::monotonic();
    let mut ticks = tokio::time::interval(Duration::from_nanos(1_000_000_000 * BATCH / rate));
    let batches = (rate * millis / 1000).div_ceil(BATCH);
    for _ in 0..batches {
        ticks.tick().await;
        let batch: Vec<_> = (0..BATCH).map(|_| tokio::spawn(brief_step())).collect();
        for task in batch {
            task.await?;
        }
    }
    Ok(Event::Total { step: "brief_step".to_owned(), tasks: batches * BATCH, started_ns, ended_ns: clock::monotonic() })
}

async fn brief_step() {
    tokio::task::yield_now().await;
}
