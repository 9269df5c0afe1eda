//! The future that counts the polls of its task and times them.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};

use fixture_service::clock;
use pin_project_lite::pin_project;

use crate::truth::Beaten;

/// How often the task is still to be polled, and since when it is.
#[derive(Debug)]
pub struct Beats {
    polls: u64,
    left: u64,
    cpu_ns: u64,
    wall_ns: u64,
    done: Sender<Beaten>,
}

impl Beats {
    /// `polls` after the first one; whoever waits is told then.
    pub(crate) const fn of(polls: u64, done: Sender<Beaten>) -> Self {
        Self { polls, left: polls, cpu_ns: 0, wall_ns: 0, done }
    }

    fn beat(&mut self, context: &Context<'_>) {
        if self.left == self.polls {
            (self.wall_ns, self.cpu_ns) = (clock::monotonic(), clock::thread_cpu());
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            context.waker().wake_by_ref();
        } else {
            let (cpu_ns, wall_ns) = (clock::thread_cpu() - self.cpu_ns, clock::monotonic() - self.wall_ns);
            let header = context.waker().data() as u64;
            // Whoever no longer listens does not want to know.
            let _ = self.done.send(Beaten { polls: self.polls, cpu_ns, wall_ns, header });
        }
    }
}

pin_project! {
    /// The outermost future of a task: polls the inner one, which never comes to an end, and has itself polled again.
    pub(crate) struct Counted<F> {
        #[pin]
        inner: F,
        beats: Beats,
    }
}

impl<F> Counted<F> {
    pub(crate) const fn new(inner: F, beats: Beats) -> Self {
        Self { inner, beats }
    }
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.inner.poll(context).is_ready() {
            return Poll::Ready(());
        }
        this.beats.beat(context);
        Poll::Pending
    }
}
