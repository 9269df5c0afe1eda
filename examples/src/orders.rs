//! What a request is here: some work on the CPU, a wait for whoever else must be there, a sleep, some more work.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

/// How many requests wait for one another before any of them goes on; unset, nobody waits.
static MEETING: OnceLock<Barrier> = OnceLock::new();
static NOW: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(0);

/// Makes every `count` orders wait for one another in the midst of their work, so that they are in flight at the same time.
pub fn meet(count: usize) {
    // Told twice, the first holds.
    let _ = MEETING.set(Barrier::new(count));
}

/// The most orders that were in the making at once.
#[must_use]
pub fn most_at_once() -> u64 {
    MOST.load(Ordering::Relaxed)
}

/// Makes an order. What it takes depends on its number, so that one's times are not another's.
pub async fn make(number: u64) -> String {
    MOST.fetch_max(NOW.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    work(Duration::from_micros(20 + 10 * (number % 8)));
    if let Some(meeting) = MEETING.get() {
        meeting.wait().await;
    }
    tokio::time::sleep(Duration::from_millis(1 + number % 5)).await;
    work(Duration::from_micros(20 + 5 * (number % 16)));
    NOW.fetch_sub(1, Ordering::Relaxed);
    format!("order {number} is made\n")
}

/// Keeps the CPU for so long.
fn work(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}
