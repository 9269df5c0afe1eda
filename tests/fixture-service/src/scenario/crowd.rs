//! A crowd of tasks that wait, some from before any attach, beside tasks that never stay where they are.
//!
//! `--older N` tasks wait from the start to the end (default 100), one of them for another; each `go` spawns `--newer N` more (default 100).
//! `--restless N` tasks (default 8) go to and fro between two ways to wait, as fast as the workers let them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::multi_thread;
use crate::args::Args;
use crate::control;
use crate::measured::Recorder;
use crate::truth::Event;

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = multi_thread(2)?;
    let recorder = Recorder::default();
    // It never has a permit.
    let gate = Arc::new(Semaphore::new(0));
    for nth in 0..args.number("older", 100) {
        say_live(runtime.spawn(waiting_step(Arc::clone(&gate), nth)).id(), "waiting_step")?;
    }
    say_live(runtime.spawn(parent_step(Arc::clone(&gate))).id(), "parent_step")?;
    for _ in 0..args.number("restless", 8) {
        say_live(runtime.spawn(restless_step()).id(), "restless_step")?;
    }
    let newer = args.number("newer", 100);
    control::serve(&runtime, &recorder, || {
        runtime.block_on(async {
            for nth in 0..newer {
                drop(tokio::spawn(waiting_step(Arc::clone(&gate), nth)));
            }
        });
        control::say(&Event::Total { step: "waiting_step".to_owned(), tasks: newer, started_ns: 0, ended_ns: 0 })
    })
}

fn say_live(id: tokio::task::Id, step: &str) -> io::Result<()> {
    let task_id = id.to_string().parse().map_err(io::Error::other)?;
    control::say(&Event::Live { task_id, step: step.to_owned() })
}

/// Waits inline, or in a box, for ever.
async fn waiting_step(gate: Arc<Semaphore>, nth: u64) {
    if nth.is_multiple_of(2) {
        pass(&gate).await;
    } else {
        let boxed: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move { pass(&gate).await });
        boxed.await;
    }
}

async fn pass(gate: &Semaphore) {
    drop(gate.acquire().await);
}

/// Waits for a task that waits.
async fn parent_step(gate: Arc<Semaphore>) {
    drop(tokio::spawn(waiting_step(gate, 0)).await);
}

/// Its two ways lie in the same bytes. Whoever reads half of one and half of the other sees a way that there is not.
async fn restless_step() {
    loop {
        left_way(1).await;
        right_way(2).await;
    }
}

async fn left_way(by: u64) {
    let before = [by; 12];
    left_end().await;
    std::hint::black_box(before);
}

async fn left_end() {
    tokio::task::yield_now().await;
}

async fn right_way(by: u64) {
    right_middle(by).await;
}

async fn right_middle(by: u64) {
    let before = [by; 4];
    right_end().await;
    std::hint::black_box(before);
}

async fn right_end() {
    tokio::time::sleep(Duration::from_micros(10)).await;
}
