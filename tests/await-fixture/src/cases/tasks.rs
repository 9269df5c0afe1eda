//! Other tasks, and giving way to them.

use std::io;
use std::time::Duration;

use profiler_annotate::RequestId;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::{Outcome, Started, doze, length, spawned};
use crate::trail::Trail;
use crate::wait;

/// A task of the request's own. Its trail is another's: it waits by itself.
pub async fn join_handle(trail: Trail) -> Outcome {
    let child = tokio::spawn(child(trail.child(), 43));
    wait!(trail, "JoinHandle|tasks::child", child.await).map_err(io::Error::other)?;
    wait!(trail => inner, doze(inner, 20).await);
    Ok(())
}

async fn child(trail: Trail, milliseconds: u64) -> u64 {
    wait!(trail, "Sleep", sleep(length(milliseconds)).await);
    milliseconds
}

/// A set of tasks of one type, and one of two: what is left in it is waited for.
pub async fn join_set(trail: Trail) -> Outcome {
    let mut set = JoinSet::new();
    for number in 0..3 {
        set.spawn(child(trail.child(), 24 + 22 * number));
    }
    while let Some(ended) = wait!(trail, "tasks::child", set.join_next().await) {
        ended.map_err(io::Error::other)?;
    }
    set.spawn(child(trail.child(), 23));
    set.spawn(nephew(trail.child()));
    let ended = wait!(trail, "tasks::child", set.join_next().await);
    let last = wait!(trail, "tasks::nephew", set.join_next().await);
    if ended.is_some() && last.is_some() { Ok(()) } else { Err(io::Error::other("a task is missing")) }
}

async fn nephew(trail: Trail) -> u64 {
    wait!(trail => inner, doze(inner, 55).await);
    55
}

/// A closure on a thread of its own.
pub async fn spawn_blocking(trail: Trail) -> Outcome {
    let call = tokio::task::spawn_blocking(|| std::thread::sleep(length(39)));
    wait!(trail, "JoinHandle|tasks::spawn_blocking", call.await).map_err(io::Error::other)
}

/// On a runtime of one thread, where another task has its turn first.
pub async fn start_yield_now(trail: Trail, id: RequestId) -> Started {
    let (started, task) = oneshot::channel();
    let (over, goes_on) = oneshot::channel();
    let runtime = Builder::new_current_thread().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let request = spawned(id, yields(trail, over));
            tokio::spawn(async { std::thread::sleep(Duration::from_millis(32)) });
            // A starter that is gone and a request that has failed are told by the handle.
            drop(started.send(request));
            drop(goes_on.await);
        });
    });
    task.await.map_err(io::Error::other)
}

async fn yields(trail: Trail, over: oneshot::Sender<()>) -> Outcome {
    wait!(trail, "yield_now", yield_now().await);
    drop(over);
    Ok(())
}
