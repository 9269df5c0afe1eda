//! Steps whose states are known beforehand, each `--repeat` times, on a runtime with one worker.
//!
//! Every step is an `async fn` of its own, hence a future type and a row of its own in the report.
//! With `--requests` each step runs in a scope, id `known-STEP-N`, N from 0.

#![expect(clippy::unused_async, reason = "a step is an `async fn` so that it has a future type of its own")]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::multi_thread;
use crate::args::Args;
use crate::measured::Recorder;
use crate::{affinity, clock, control};

const BUSY: Duration = Duration::from_millis(5);
const BLOCKED: Duration = Duration::from_millis(5);
const AWAITED: Duration = Duration::from_millis(20);
const HOGGED: Duration = Duration::from_millis(10);
const CONTENDED: Duration = Duration::from_millis(20);

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = multi_thread(1)?;
    let steps = Steps { recorder: Recorder::default(), in_requests: args.has("requests") };
    let repeat = args.number("repeat", 5);
    control::serve(&runtime, &steps.recorder, || {
        runtime.block_on(async {
            for number in 0..repeat {
                steps.all(number).await?;
            }
            Ok(())
        })
    })
}

struct Steps {
    recorder: Recorder,
    in_requests: bool,
}

impl Steps {
    async fn all(&self, number: u64) -> io::Result<()> {
        self.step("busy_step", number, busy_step()).await?;
        self.step("blocking_step", number, blocking_step()).await?;
        self.step("await_step", number, await_step()).await?;
        self.queue(number).await?;
        self.step("preempted_step", number, preempted_step()).await?;
        self.step("mixed_step", number, mixed_step()).await?;
        let parent = parent_step(self.recorder.clone());
        self.step("parent_step", number, parent).await
    }

    async fn step<F>(&self, name: &str, number: u64, future: F) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.spawn(name, number, future).await?
    }

    fn spawn<F>(&self, name: &str, number: u64, future: F) -> tokio::task::JoinHandle<io::Result<()>>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        if !self.in_requests {
            return tokio::spawn(self.recorder.task(name, future));
        }
        let request = format!("known-{name}-{number}");
        let scope = self.recorder.scope(name, &request, future);
        let scope = super::requests::scoped(&request, scope);
        tokio::spawn(self.recorder.child(name, &request, scope))
    }

    /// The queued task waits for its wake, then for the hog that woke it and keeps the only worker.
    async fn queue(&self, number: u64) -> io::Result<()> {
        let notify = Arc::new(Notify::new());
        let queued = self.spawn("queued_step", number, queued_step(Arc::clone(&notify)));
        // Its first poll is over by then: the worker has nothing else to do.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.step("hog_step", number, hog_step(notify)).await?;
        queued.await?
    }
}

/// running.
async fn busy_step() -> io::Result<()> {
    clock::spin(BUSY);
    Ok(())
}

/// blocked.
async fn blocking_step() -> io::Result<()> {
    clock::block(BLOCKED);
    Ok(())
}

/// suspended.
async fn await_step() -> io::Result<()> {
    tokio::time::sleep(AWAITED).await;
    Ok(())
}

/// scheduled.
async fn queued_step(notify: Arc<Notify>) -> io::Result<()> {
    notify.notified().await;
    Ok(())
}

/// running, and it keeps the worker from the task that it wakes.
async fn hog_step(notify: Arc<Notify>) -> io::Result<()> {
    notify.notify_one();
    clock::spin(HOGGED);
    Ok(())
}

/// running and preempted, about half each.
async fn preempted_step() -> io::Result<()> {
    affinity::spin_contended(CONTENDED)
}

/// running, blocked, suspended and, by the yield, scheduled: in one task.
async fn mixed_step() -> io::Result<()> {
    clock::spin(Duration::from_millis(2));
    tokio::time::sleep(Duration::from_millis(5)).await;
    clock::block(Duration::from_millis(2));
    tokio::task::yield_now().await;
    clock::spin(Duration::from_millis(1));
    Ok(())
}

/// suspended while its child works.
async fn parent_step(recorder: Recorder) -> io::Result<()> {
    tokio::spawn(recorder.task("child_step", child_step())).await?
}

async fn child_step() -> io::Result<()> {
    clock::spin(Duration::from_millis(2));
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(())
}
