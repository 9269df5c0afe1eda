//! What is awaited until somebody else lets go.

use std::io;
use std::sync::Arc;

use profiler_annotate::RequestId;
use tokio::sync::{Barrier, Mutex, Notify, RwLock, Semaphore};

use super::{Outcome, Started, later, spawned};
use crate::trail::Trail;
use crate::wait;

/// Two holders, one after the other.
pub async fn start_mutex(trail: Trail, id: RequestId) -> Started {
    let (first, second) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new([0_u8; 40])));
    let held = Arc::clone(&first).lock_owned().await;
    later(30, move || drop(held));
    let held = Arc::clone(&second).lock_owned().await;
    later(72, move || drop(held));
    Ok(spawned(id, mutex(trail, first, second)))
}

async fn mutex(trail: Trail, first: Arc<Mutex<i32>>, second: Arc<Mutex<[u8; 40]>>) -> Outcome {
    let first = wait!(trail, "Acquire", first.lock().await);
    // The first is still held; a lock that is free does not wait.
    let second = wait!(trail, "Acquire", second.lock().await);
    std::hint::black_box((*first, *second));
    Ok(())
}

/// One permit, and then several.
pub async fn start_semaphore(trail: Trail, id: RequestId) -> Started {
    let semaphore = Arc::new(Semaphore::new(0));
    for milliseconds in [26, 60] {
        let semaphore = Arc::clone(&semaphore);
        later(milliseconds, move || semaphore.add_permits(2));
    }
    Ok(spawned(id, permits(trail, semaphore)))
}

async fn permits(trail: Trail, semaphore: Arc<Semaphore>) -> Outcome {
    let one = wait!(trail, "Acquire", semaphore.acquire().await).map_err(io::Error::other)?;
    let three = wait!(trail => inner, several(inner, Arc::clone(&semaphore)).await)?;
    drop((one, three));
    Ok(())
}

async fn several(trail: Trail, semaphore: Arc<Semaphore>) -> io::Result<tokio::sync::OwnedSemaphorePermit> {
    wait!(trail, "Acquire", semaphore.acquire_many_owned(3).await).map_err(io::Error::other)
}

/// A reader behind a writer, then a writer behind a reader.
pub async fn start_rwlock(trail: Trail, id: RequestId) -> Started {
    let (first, second) = (Arc::new(RwLock::new(1)), Arc::new(RwLock::new(2)));
    let held = Arc::clone(&first).write_owned().await;
    later(27, move || drop(held));
    let held = Arc::clone(&second).read_owned().await;
    later(68, move || drop(held));
    Ok(spawned(id, readers(trail, first, second)))
}

async fn readers(trail: Trail, first: Arc<RwLock<i32>>, second: Arc<RwLock<i32>>) -> Outcome {
    let read = *wait!(trail, "Acquire", first.read().await);
    *wait!(trail, "Acquire", second.write().await) += read;
    Ok(())
}

/// A notice to one who waits.
pub async fn start_notify(trail: Trail, id: RequestId) -> Started {
    let notify = Arc::new(Notify::new());
    let told = Arc::clone(&notify);
    later(34, move || told.notify_one());
    Ok(spawned(id, notified(trail, notify)))
}

async fn notified(trail: Trail, notify: Arc<Notify>) -> Outcome {
    wait!(trail, "Notified", notify.notified().await);
    Ok(())
}

/// A barrier for two.
pub async fn start_barrier(trail: Trail, id: RequestId) -> Started {
    let barrier = Arc::new(Barrier::new(2));
    let other = Arc::clone(&barrier);
    later(36, move || {
        tokio::spawn(async move { other.wait().await.is_leader() });
    });
    Ok(spawned(id, at_barrier(trail, barrier)))
}

async fn at_barrier(trail: Trail, barrier: Arc<Barrier>) -> Outcome {
    wait!(trail, "barrier", barrier.wait().await);
    Ok(())
}
