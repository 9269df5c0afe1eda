//! Requests: many at once, nested, repeated, outside of any task, and many through one task.
//!
//! Ids: `req-N` (one of `--concurrent N`, default 64, each with another amount of work),
//! `outer` around `inner`, `same` around `same`, `again` twice in turn, `rooted` in `block_on`,
//! `served-0` to `served-3` through one task.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use profiler_annotate::RequestId;

use super::multi_thread;
use crate::args::Args;
use crate::measured::Recorder;
use crate::{clock, control};

/// Puts `future` into the scope of the request `id`. The ids here are ours, and valid.
pub(super) fn scoped<F: Future>(id: &str, future: F) -> impl Future<Output = F::Output> + use<F> {
    let id = RequestId::try_from(id);
    async move {
        match id {
            Ok(id) => profiler_annotate::scope(id, future).await,
            Err(error) => unreachable!("an id of the fixture: {error}"),
        }
    }
}

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = multi_thread(2)?;
    let recorder = Recorder::default();
    let concurrent = args.number("concurrent", 64);
    control::serve(&runtime, &recorder, || {
        runtime.block_on(async {
            many(&recorder, concurrent).await?;
            nested(&recorder).await?;
            again(&recorder).await?;
            tokio::spawn(recorder.task("serving_step", serving_step(recorder.clone()))).await?;
            io::Result::Ok(())
        })?;
        let rooted = recorder.scope("rooted_step", "rooted", rooted_step());
        runtime.block_on(scoped("rooted", rooted));
        Ok(())
    })
}

/// The work of request `number`, which no other request has.
fn share(number: u64) -> Duration {
    Duration::from_micros(40) * u32::try_from(number).unwrap_or(u32::MAX)
}

async fn many(recorder: &Recorder, concurrent: u64) -> io::Result<()> {
    let tasks: Vec<_> = (0..concurrent)
        .map(|number| {
            let id = format!("req-{number}");
            let step = request_step(recorder.clone(), id.clone(), number);
            let scope = scoped(&id, recorder.scope("request_step", &id, step));
            tokio::spawn(recorder.child("request_step", &id, scope))
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn request_step(recorder: Recorder, id: String, number: u64) -> io::Result<()> {
    clock::spin(share(number));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let child = recorder.child("request_child_step", &id, request_child_step(number));
    // Of every other request the child is spawned by Tokio, of the rest by the annotation.
    let child = if number.is_multiple_of(2) { tokio::spawn(child) } else { profiler_annotate::spawn(child) };
    clock::spin(share(number));
    child.await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(())
}

async fn request_child_step(number: u64) {
    clock::spin(share(number));
    tokio::time::sleep(Duration::from_millis(2)).await;
}

async fn nested(recorder: &Recorder) -> io::Result<()> {
    for (outer, inner) in [("outer", "inner"), ("same", "same")] {
        let future = outer_step(recorder.clone(), inner);
        let scope = scoped(outer, recorder.scope("outer_step", outer, future));
        tokio::spawn(recorder.child("outer_step", outer, scope)).await?;
    }
    Ok(())
}

async fn outer_step(recorder: Recorder, inner: &'static str) {
    clock::spin(Duration::from_millis(2));
    scoped(inner, recorder.scope("inner_step", inner, inner_step())).await;
    clock::spin(Duration::from_millis(2));
}

async fn inner_step() {
    clock::spin(Duration::from_millis(3));
    tokio::time::sleep(Duration::from_millis(4)).await;
}

async fn again(recorder: &Recorder) -> io::Result<()> {
    for part in 1..=2 {
        let scope = recorder.scope("again_step", "again", again_step(part));
        tokio::spawn(scoped("again", scope)).await?;
    }
    Ok(())
}

/// The second instance works twice as long.
async fn again_step(part: u32) {
    clock::spin(Duration::from_millis(2) * part);
    tokio::time::sleep(Duration::from_millis(3) * part).await;
}

/// One keep-alive connection: the requests come in turn, and between two of them is a pause that
/// belongs to none.
async fn serving_step(recorder: Recorder) {
    for (number, spin) in (0..4).zip([1, 2, 3, 4]) {
        let id = format!("served-{number}");
        let served = served_step(Duration::from_millis(spin));
        scoped(&id, recorder.scope("served_step", &id, served)).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn served_step(spin: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        clock::spin(spin);
        tokio::time::sleep(Duration::from_millis(3)).await;
    })
}

async fn rooted_step() {
    clock::spin(Duration::from_millis(3));
    tokio::time::sleep(Duration::from_millis(4)).await;
}
