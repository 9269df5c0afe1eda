//! The same little work under every way Tokio has to run it.

use std::io;
use std::time::Duration;

use tokio::task::LocalSet;

use super::{current_thread, multi_thread};
use crate::args::Args;
use crate::measured::Recorder;
use crate::{clock, control};

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let multi = multi_thread(2)?;
    let current = current_thread()?;
    let recorder = Recorder::default();
    let repeat = args.number("repeat", 5);
    control::serve(&multi, &recorder, || {
        for _ in 0..repeat {
            multi.block_on(on_multi_thread(&recorder))?;
            current.block_on(on_current_thread(&recorder))?;
            LocalSet::new().block_on(&current, on_local_set(&recorder))?;
        }
        Ok(())
    })
}

async fn on_multi_thread(recorder: &Recorder) -> io::Result<()> {
    let tasks =
        [tokio::spawn(recorder.task("multi_step", multi_step())), tokio::spawn(recorder.task("multi_step", multi_step()))];
    for task in tasks {
        task.await?;
    }
    tokio::task::spawn_blocking(recorder.blocking("spawn_blocking_step", spawn_blocking_step)).await?;
    tokio::spawn(recorder.task("block_in_place_step", block_in_place_step())).await?;
    Ok(())
}

async fn on_current_thread(recorder: &Recorder) -> io::Result<()> {
    tokio::spawn(recorder.task("current_step", current_step())).await?;
    Ok(())
}

async fn on_local_set(recorder: &Recorder) -> io::Result<()> {
    tokio::task::spawn_local(recorder.task("local_step", local_step())).await?;
    let nesting = nesting_step(recorder.clone());
    tokio::task::spawn_local(recorder.task("nesting_step", nesting)).await?
}

async fn work() {
    clock::spin(Duration::from_millis(2));
    tokio::time::sleep(Duration::from_millis(3)).await;
    clock::spin(Duration::from_millis(1));
}

async fn multi_step() {
    work().await;
}

async fn current_step() {
    work().await;
}

async fn local_step() {
    work().await;
}

/// Drives a `LocalSet` of its own: the inner task is polled inside a poll of this one.
async fn nesting_step(recorder: Recorder) -> io::Result<()> {
    LocalSet::new().run_until(async move { tokio::task::spawn_local(recorder.task("nested_step", nested_step())).await }).await?;
    Ok(())
}

async fn nested_step() {
    work().await;
}

fn spawn_blocking_step() {
    clock::spin(Duration::from_millis(2));
    clock::block(Duration::from_millis(3));
}

/// Gives its worker away, then drives a root future in the middle of its poll.
async fn block_in_place_step() {
    clock::spin(Duration::from_millis(1));
    tokio::task::block_in_place(|| {
        clock::spin(Duration::from_millis(2));
        clock::asleep(|| {
            tokio::runtime::Handle::current().block_on(tokio::time::sleep(Duration::from_millis(3)));
        });
    });
    tokio::time::sleep(Duration::from_millis(3)).await;
}
