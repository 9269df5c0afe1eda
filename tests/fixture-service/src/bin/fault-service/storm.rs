//! More tasks at once than a profiler has room for, as fast as they can be spawned.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fixture_service::clock;
use profiler_annotate::RequestId;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore};

/// What is to be spawned.
pub(crate) struct Order {
    /// Tasks in all.
    pub(crate) tasks: u64,
    /// So many of them wait until all have been spawned; the others are done in their first poll.
    pub(crate) held: u64,
    /// Of a thousand of these others, so many are a request, of one poll.
    pub(crate) scopes: u64,
}

/// Tasks that one spawner makes before it lets others run.
const BATCH: u64 = 64;

/// Where tasks report their ends.
#[derive(Default)]
struct Ends {
    done: AtomicU64,
    all: Notify,
}

impl Ends {
    fn one_of(&self, tasks: u64) {
        if self.done.fetch_add(1, Ordering::AcqRel) + 1 == tasks {
            self.all.notify_one();
        }
    }
}

/// Runs the storm; its beginning and its end (ns).
pub(crate) fn run(runtime: &Runtime, order: &Order) -> io::Result<(u64, u64)> {
    // From within the runtime, as services do: the spawning thread is a worker.
    let (tasks, held, scopes) = (order.tasks, order.held.min(order.tasks), order.scopes);
    let storm = async move {
        let ends = Arc::new(Ends::default());
        let gate = Arc::new(Semaphore::new(0));
        let began_ns = clock::monotonic();
        for number in 0..tasks {
            let ends = Arc::clone(&ends);
            if number < held {
                drop(tokio::spawn(held_step(Arc::clone(&gate), ends, tasks)));
            } else if number % 1000 < scopes {
                let id = RequestId::try_from(format!("storm-{number}")).map_err(io::Error::other)?;
                drop(tokio::spawn(profiler_annotate::scope(id, storm_request_step(ends, tasks))));
            } else {
                drop(tokio::spawn(storm_step(ends, tasks)));
            }
            if number.is_multiple_of(BATCH) {
                tokio::task::yield_now().await;
            }
        }
        gate.close();
        ends.all.notified().await;
        io::Result::Ok((began_ns, clock::monotonic()))
    };
    runtime.block_on(async { tokio::spawn(storm).await.map_err(io::Error::other)? })
}

async fn held_step(gate: Arc<Semaphore>, ends: Arc<Ends>, tasks: u64) {
    // It is closed and never has a permit.
    drop(gate.acquire().await);
    ends.one_of(tasks);
}

#[expect(clippy::unused_async, reason = "a step is an `async fn` so that it has a future type of its own")]
async fn storm_step(ends: Arc<Ends>, tasks: u64) {
    ends.one_of(tasks);
}

#[expect(clippy::unused_async, reason = "as above")]
async fn storm_request_step(ends: Arc<Ends>, tasks: u64) {
    ends.one_of(tasks);
}
