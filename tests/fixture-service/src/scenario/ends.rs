//! The ways in which a task can end, and the ways to be polled again without a wake.

#![expect(clippy::unused_async, reason = "a step is an `async fn` so that it has a future type of its own")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use super::multi_thread;
use crate::args::Args;
use crate::measured::Recorder;
use crate::{clock, control};

const YIELDS: u32 = 100;
/// More than four of Tokio's coop budgets (128 operations each, tokio/src/task/coop).
const MESSAGES: u32 = 600;

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = multi_thread(1)?;
    let recorder = Recorder::default();
    let repeat = args.number("repeat", 5);
    control::serve(&runtime, &recorder, || {
        for number in 0..repeat {
            runtime.block_on(all(&recorder, number))?;
            shut_down(&recorder)?;
        }
        Ok(())
    })
}

async fn all(recorder: &Recorder, number: u64) -> io::Result<()> {
    panics(recorder).await?;
    aborted_while_suspended(recorder).await?;
    aborted_while_scheduled(recorder).await?;
    detached(recorder).await?;
    request_outlived_by_child(recorder, number).await?;
    tokio::spawn(recorder.task("yielding_step", yielding_step())).await?;
    // Unmeasured: with its own waker. One in the middle, as ours or a combinator's, hides from outside whose wake it is.
    tokio::spawn(bare_yielding_step()).await?;
    spent_budget(recorder).await
}

async fn panics(recorder: &Recorder) -> io::Result<()> {
    let joined = tokio::spawn(recorder.task("panicking_step", panicking_step())).await;
    match joined {
        Err(error) if error.is_panic() => Ok(()),
        other => Err(io::Error::other(format!("no panic: {other:?}"))),
    }
}

async fn panicking_step() {
    clock::spin(Duration::from_millis(2));
    // Not `panic!`: the hook would print to the service's standard error each time.
    std::panic::resume_unwind(Box::new("on purpose"));
}

async fn aborted_while_suspended(recorder: &Recorder) -> io::Result<()> {
    let task = tokio::spawn(recorder.task("suspended_then_aborted", suspended_then_aborted()));
    tokio::time::sleep(Duration::from_millis(5)).await;
    task.abort();
    cancelled(task.await)
}

async fn suspended_then_aborted() {
    std::future::pending::<()>().await;
}

async fn aborted_while_scheduled(recorder: &Recorder) -> io::Result<()> {
    let notify = Arc::new(Notify::new());
    let waiting = scheduled_then_aborted(Arc::clone(&notify));
    let task = tokio::spawn(recorder.task("scheduled_then_aborted", waiting));
    tokio::time::sleep(Duration::from_millis(2)).await;
    let (woken, seen) = oneshot::channel();
    let hog = tokio::spawn(recorder.task("aborting_hog", aborting_hog(notify, woken)));
    // The main thread drives this future, so it can abort while the hog keeps the worker.
    seen.await.map_err(io::Error::other)?;
    task.abort();
    hog.await?;
    cancelled(task.await)
}

async fn scheduled_then_aborted(notify: Arc<Notify>) {
    notify.notified().await;
    std::future::pending::<()>().await;
}

async fn aborting_hog(notify: Arc<Notify>, woken: oneshot::Sender<()>) {
    notify.notify_one();
    // Nobody waiting any more is as good: the round fails then by itself.
    let _ = woken.send(());
    clock::spin(Duration::from_millis(5));
}

fn cancelled(joined: Result<(), tokio::task::JoinError>) -> io::Result<()> {
    match joined {
        Err(error) if error.is_cancelled() => Ok(()),
        other => Err(io::Error::other(format!("not cancelled: {other:?}"))),
    }
}

/// Nobody holds the handle when it ends.
async fn detached(recorder: &Recorder) -> io::Result<()> {
    let (done, seen) = oneshot::channel();
    drop(tokio::spawn(recorder.task("detached_step", detached_step(done))));
    seen.await.map_err(io::Error::other)
}

async fn detached_step(done: oneshot::Sender<()>) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    clock::spin(Duration::from_millis(1));
    // A receiver that is gone ends the round with an error of its own.
    let _ = done.send(());
}

/// The request is over while the task that it spawned still runs.
async fn request_outlived_by_child(recorder: &Recorder, number: u64) -> io::Result<()> {
    let id = format!("outlived-{number}");
    let request = recorder.scope("outlived_step", &id, outlived_step(recorder.clone(), id.clone()));
    tokio::spawn(super::requests::scoped(&id, request)).await?.await?;
    Ok(())
}

async fn outlived_step(recorder: Recorder, id: String) -> tokio::task::JoinHandle<()> {
    clock::spin(Duration::from_millis(1));
    tokio::spawn(recorder.child("outliving_step", &id, outliving_step()))
}

async fn outliving_step() {
    tokio::time::sleep(Duration::from_millis(10)).await;
    clock::spin(Duration::from_millis(1));
}

async fn yielding_step() {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
    }
}

async fn bare_yielding_step() {
    for _ in 0..YIELDS {
        clock::spin(Duration::from_micros(20));
        tokio::task::yield_now().await;
    }
}

/// Every message is there already: only the coop budget makes the task yield.
async fn spent_budget(recorder: &Recorder) -> io::Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    for number in 0..MESSAGES {
        sender.send(number).map_err(io::Error::other)?;
    }
    drop(sender);
    tokio::spawn(recorder.task("budget_step", budget_step(receiver))).await?;
    let (sender, receiver) = mpsc::unbounded_channel();
    for number in 0..MESSAGES {
        sender.send(number).map_err(io::Error::other)?;
    }
    drop(sender);
    tokio::spawn(bare_budget_step(receiver)).await?;
    Ok(())
}

async fn bare_budget_step(mut receiver: mpsc::UnboundedReceiver<u32>) {
    while receiver.recv().await.is_some() {
        clock::spin(Duration::from_micros(2));
    }
}

async fn budget_step(mut receiver: mpsc::UnboundedReceiver<u32>) {
    while receiver.recv().await.is_some() {}
}

/// Tasks that are dropped at an await because their runtime goes away.
fn shut_down(recorder: &Recorder) -> io::Result<()> {
    let doomed = multi_thread(1)?;
    doomed.block_on(async {
        drop(tokio::spawn(recorder.task("shut_down_step", shut_down_step())));
        tokio::time::sleep(Duration::from_millis(5)).await;
    });
    drop(doomed);
    Ok(())
}

async fn shut_down_step() {
    clock::spin(Duration::from_millis(1));
    std::future::pending::<()>().await;
}
