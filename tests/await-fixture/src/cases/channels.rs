//! Tokio's channels.

use std::io;

use profiler_annotate::RequestId;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{Outcome, Started, later, spawned};
use crate::trail::Trail;
use crate::wait;

fn closed<E>(_: E) -> io::Error {
    io::Error::other("a channel was closed")
}

/// Whether the other side is still there makes no difference: the case itself tells what went wrong with it.
fn sent<T, E>(_: Result<T, E>) {}

/// A bounded one and an unbounded one, both empty.
pub async fn start_mpsc(trail: Trail, id: RequestId) -> Started {
    let (sender, receiver) = mpsc::channel(4);
    later(29, move || sent(sender.try_send(7_u64)));
    let (unbounded, other) = mpsc::unbounded_channel();
    later(66, move || sent(unbounded.send([7_u8; 24])));
    Ok(spawned(id, received(trail, receiver, other)))
}

async fn received(trail: Trail, mut one: mpsc::Receiver<u64>, mut other: mpsc::UnboundedReceiver<[u8; 24]>) -> Outcome {
    wait!(trail, "recv", one.recv().await).ok_or(closed(())).map(drop)?;
    wait!(trail, "recv", other.recv().await).ok_or(closed(())).map(drop)
}

/// A full one: the sender waits.
pub async fn start_mpsc_full(trail: Trail, id: RequestId) -> Started {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send(1_u64).await.map_err(closed)?;
    later(44, move || sent(receiver.try_recv()));
    Ok(spawned(id, sends(trail, sender)))
}

async fn sends(trail: Trail, sender: mpsc::Sender<u64>) -> Outcome {
    sent(wait!(trail, "Acquire", sender.send(2).await));
    Ok(())
}

/// An answer.
pub async fn start_oneshot(trail: Trail, id: RequestId) -> Started {
    let (sender, receiver) = oneshot::channel();
    later(31, move || sent(sender.send(String::from("yes"))));
    Ok(spawned(id, answered(trail, receiver)))
}

async fn answered(trail: Trail, receiver: oneshot::Receiver<String>) -> Outcome {
    wait!(trail, "oneshot::Receiver", receiver.await).map(drop).map_err(closed)
}

/// A changed value.
pub async fn start_watch(trail: Trail, id: RequestId) -> Started {
    let (sender, receiver) = watch::channel(0);
    later(33, move || {
        sender.send_replace(1);
    });
    Ok(spawned(id, changed(trail, receiver)))
}

async fn changed(trail: Trail, mut receiver: watch::Receiver<i32>) -> Outcome {
    wait!(trail, "changed", receiver.changed().await).map_err(closed)
}

/// A message to all.
pub async fn start_broadcast(trail: Trail, id: RequestId) -> Started {
    let (sender, receiver) = broadcast::channel(4);
    later(37, move || sent(sender.send(9_u8)));
    Ok(spawned(id, overheard(trail, receiver)))
}

async fn overheard(trail: Trail, mut receiver: broadcast::Receiver<u8>) -> Outcome {
    wait!(trail, "broadcast", receiver.recv().await).map(drop).map_err(closed)
}
