//! Polls, counted by the future that is polled: how many a request takes is known without asking a profiler.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Polls of all counted futures so far.
static POLLS: AtomicU64 = AtomicU64::new(0);

/// Polls of all counted futures so far.
pub fn polls() -> u64 {
    POLLS.load(Ordering::Relaxed)
}

/// Counts one more poll.
pub fn count() {
    POLLS.fetch_add(1, Ordering::Relaxed);
}

pin_project_lite::pin_project! {
    /// A future whose polls are counted.
    #[derive(Debug)]
    pub struct Counted<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Counted<F> {
    /// Counts the polls of `inner`.
    pub const fn new(inner: F) -> Self {
        Self { inner }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        count();
        self.project().inner.poll(context)
    }
}
