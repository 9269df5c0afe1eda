//! Requests with children of every kind, each awaited in its own way.
//!
//! `family` spawns, with `tokio::spawn` where nothing else is said:
//!
//! ```text
//! family_step        spins 2 ms, and 2 more between the first two spawns and the first await
//!   first_step       spins 1 ms, sleeps 6, awaits grand_step at once
//!     grand_step     sleeps 5 ms, spins 1
//!   second_step      sleeps 3 ms: has ended when it is awaited
//!   left_step        sleeps 80 ms: nobody awaits it, and it outlives the request
//!   held_step        spawn_blocking: blocks 5 ms, then spawns
//!     handed_step    sleeps 3 ms; its handle is handed to the root, which awaits it
//!   short_step, long_step   sleep 3 and 7 ms, joined by `join!`
//!   set_step         three in a `JoinSet`: 2, 4 and 6 ms
//! ```
//!
//! `local` runs on a `LocalSet`, and so do `near_step` (sleeps 4 ms, spins 1) and `nearer_step`, which that one spawns.

use std::io;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet, LocalSet};

use super::requests::scoped;
use super::{current_thread, multi_thread};
use crate::args::Args;
use crate::measured::Recorder;
use crate::{clock, control};

const ID: &str = "family";
const LOCAL: &str = "local";

/// See the module.
pub fn run(_args: &Args) -> io::Result<()> {
    let multi = multi_thread(2)?;
    let current = current_thread()?;
    let recorder = Recorder::default();
    control::serve(&multi, &recorder, || {
        multi.block_on(async {
            let root = scoped(ID, recorder.scope("family_step", ID, family_step(recorder.clone())));
            let left = tokio::spawn(root).await??;
            left.await?;
            io::Result::Ok(())
        })?;
        LocalSet::new().block_on(&current, async {
            let root = scoped(LOCAL, recorder.scope("local_root_step", LOCAL, local_root_step(recorder.clone())));
            tokio::task::spawn_local(root).await?
        })
    })
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

async fn family_step(recorder: Recorder) -> io::Result<JoinHandle<()>> {
    clock::spin(ms(2));
    let first = tokio::spawn(recorder.child("first_step", ID, first_step(recorder.clone())));
    let second = tokio::spawn(recorder.child("second_step", ID, second_step()));
    let left = tokio::spawn(recorder.child("left_step", ID, left_step()));
    clock::spin(ms(2));
    first.await??;
    second.await?;
    let inner = recorder.clone();
    let held = tokio::task::spawn_blocking(recorder.blocking("held_step", move || held_step(&inner)));
    held.await?.await?;
    let short = tokio::spawn(recorder.child("short_step", ID, short_step()));
    let long = tokio::spawn(recorder.child("long_step", ID, long_step()));
    let (short, long) = tokio::join!(short, long);
    short?;
    long?;
    let mut set = JoinSet::new();
    for number in 1..=3 {
        set.spawn(recorder.child("set_step", ID, set_step(number)));
    }
    while let Some(ended) = set.join_next().await {
        ended?;
    }
    Ok(left)
}

async fn first_step(recorder: Recorder) -> io::Result<()> {
    clock::spin(ms(1));
    tokio::time::sleep(ms(6)).await;
    tokio::spawn(recorder.child("grand_step", ID, grand_step())).await?;
    Ok(())
}

async fn grand_step() {
    tokio::time::sleep(ms(5)).await;
    clock::spin(ms(1));
}

async fn second_step() {
    tokio::time::sleep(ms(3)).await;
}

async fn left_step() {
    tokio::time::sleep(ms(80)).await;
}

fn held_step(recorder: &Recorder) -> JoinHandle<()> {
    clock::block(ms(5));
    Handle::current().spawn(recorder.child("handed_step", ID, handed_step()))
}

async fn handed_step() {
    tokio::time::sleep(ms(3)).await;
}

async fn short_step() {
    tokio::time::sleep(ms(3)).await;
}

async fn long_step() {
    tokio::time::sleep(ms(7)).await;
}

async fn set_step(number: u64) {
    tokio::time::sleep(ms(2) * u32::try_from(number).unwrap_or(1)).await;
}

async fn local_root_step(recorder: Recorder) -> io::Result<()> {
    clock::spin(ms(1));
    tokio::task::spawn_local(recorder.child("near_step", LOCAL, near_step(recorder.clone()))).await?
}

async fn near_step(recorder: Recorder) -> io::Result<()> {
    tokio::time::sleep(ms(4)).await;
    clock::spin(ms(1));
    tokio::task::spawn_local(recorder.child("nearer_step", LOCAL, nearer_step())).await?;
    Ok(())
}

async fn nearer_step() {
    tokio::time::sleep(ms(3)).await;
}
