//! Many tasks, or many requests, alive at once and polled in turn: each wakes itself in every poll, so it goes to the end of the queue.

use std::future::poll_fn;
use std::task::Poll;

use crate::counted::count;

/// Keeps so many tasks busy.
pub async fn tasks(count: u32) {
    for _ in 0..count {
        tokio::spawn(busy());
    }
    say_ready().await;
}

/// The same, each in a request of its own.
pub async fn requests(count: u32) {
    for number in 0..count {
        tokio::spawn(profiler_annotate::scope(number, busy()));
    }
    say_ready().await;
}

/// Where a service says its port, for there is none.
async fn say_ready() {
    println!("0");
    crate::usage::answer_until_the_end();
    std::future::pending::<()>().await;
}

async fn busy() {
    poll_fn(|context| {
        count();
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    })
    .await;
}
