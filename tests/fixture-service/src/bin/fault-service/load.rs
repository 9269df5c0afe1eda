//! What the service serves: requests with every kind of work in them, from clients that ask again at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fixture_service::clock;
use profiler_annotate::RequestId;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

/// Requests served since the start. A forked child counts on from its parent's.
static SERVED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn served() -> u64 {
    SERVED.load(Ordering::Relaxed)
}

pub(crate) fn start(runtime: &Runtime, clients: u64) {
    for client in 0..clients {
        drop(runtime.spawn(client_step(client)));
    }
}

/// Asks for ever.
async fn client_step(client: u64) {
    for number in 0.. {
        if let Ok(id) = RequestId::try_from(format!("load-{client}-{number}")) {
            serve(id, number).await;
        }
    }
}

/// One request, served.
pub(crate) async fn serve(id: RequestId, number: u64) {
    profiler_annotate::scope(id, request_step(number)).await;
    SERVED.fetch_add(1, Ordering::Relaxed);
}

/// Every request waits for a timer and a child; of 16 each, one has a blocking task, a blocked worker, a wake from a thread that Tokio does not
/// know, a task that is aborted, one that panics, and a spawn from outside.
async fn request_step(number: u64) {
    clock::spin(Duration::from_micros(20));
    tokio::time::sleep(Duration::from_millis(2)).await;
    let child = child_step();
    let child = if number.is_multiple_of(2) { tokio::spawn(child) } else { profiler_annotate::spawn(child) };
    drop(child.await);
    match number % 16 {
        3 => drop(tokio::task::spawn_blocking(|| clock::spin(Duration::from_micros(50))).await),
        5 => std::thread::sleep(Duration::from_micros(500)),
        7 => foreign_wake().await,
        9 => {
            let waiting = tokio::spawn(forever_step());
            tokio::task::yield_now().await;
            waiting.abort();
            drop(waiting.await);
        }
        11 => drop(tokio::spawn(panicking_step()).await),
        13 => {
            let handle = Handle::current();
            drop(std::thread::spawn(move || handle.spawn(child_step())));
        }
        _ => {}
    }
}

async fn child_step() {
    clock::spin(Duration::from_micros(10));
    tokio::task::yield_now().await;
}

async fn forever_step() {
    std::future::pending::<()>().await;
}

async fn panicking_step() {
    tokio::task::yield_now().await;
    // Not `panic!`: the hook would print to the service's standard error each time.
    std::panic::resume_unwind(Box::new("on purpose"));
}

async fn foreign_wake() {
    let (sender, receiver) = oneshot::channel();
    drop(std::thread::spawn(move || sender.send(())));
    drop(receiver.await);
}
