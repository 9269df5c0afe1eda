//! Many tasks, or many requests, alive at once and polled in turn: each, when it is polled, wakes the next.
//!
//! Tasks that woke themselves would not do: a worker goes round the 256 of its own queue, and takes one from the common queue every 61 polls only
//! (tokio/src/runtime/scheduler/multi_thread/queue.rs and worker.rs), so that most of a large crowd is hardly ever polled.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::counted::count;

/// How many go round at once, at equal distances.
const AT_ONCE: usize = 16;
/// How often is looked whether all are there.
const STEP: Duration = Duration::from_millis(1);

/// A crowd: who wakes whom.
struct Ring {
    wakers: Vec<OnceLock<Waker>>,
    /// How many have been polled once.
    there: AtomicUsize,
}

impl Ring {
    fn of(count: u32) -> Arc<Self> {
        let count = usize::try_from(count).unwrap_or(0);
        Arc::new(Self { wakers: (0..count).map(|_| OnceLock::new()).collect(), there: AtomicUsize::new(0) })
    }

    fn wake(&self, place: usize) {
        if let Some(waker) = self.wakers.get(place).and_then(OnceLock::get) {
            waker.wake_by_ref();
        }
    }

    /// The member at `place`, for ever.
    async fn member(self: Arc<Self>, place: usize) {
        poll_fn(|context| {
            // Its waker once, as leaves keep it: a clone at each poll would be a count more in memory that is in no cache.
            let own = self.wakers.get(place);
            if own.is_some_and(|own| own.get().is_some()) {
                count();
                self.wake(if place + 1 < self.wakers.len() { place + 1 } else { 0 });
            } else {
                let _first = own.map(|own| own.set(context.waker().clone()));
                self.there.fetch_add(1, Ordering::Release);
            }
            Poll::<()>::Pending
        })
        .await;
    }

    /// Waits until all have been polled once, and lets them go round.
    async fn go(&self) {
        while self.there.load(Ordering::Acquire) < self.wakers.len() {
            tokio::time::sleep(STEP).await;
        }
        let apart = (self.wakers.len() / AT_ONCE).max(1);
        (0..self.wakers.len()).step_by(apart).for_each(|place| self.wake(place));
    }
}

/// Keeps so many tasks busy.
pub async fn tasks(count: u32) {
    let ring = Ring::of(count);
    for place in 0..ring.wakers.len() {
        tokio::spawn(Arc::clone(&ring).member(place));
    }
    ring.go().await;
    say_ready().await;
}

/// The same, each in a request of its own.
pub async fn requests(count: u32) {
    let ring = Ring::of(count);
    for (place, number) in (0..ring.wakers.len()).zip(0_u32..) {
        tokio::spawn(profiler_annotate::scope(number, Arc::clone(&ring).member(place)));
    }
    ring.go().await;
    say_ready().await;
}

/// Where a service says its port, for there is none.
async fn say_ready() {
    println!("0");
    crate::usage::answer_until_the_end();
    std::future::pending::<()>().await;
}
