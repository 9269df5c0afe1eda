//! The service's own clocks, for the profiler's tests: what a request takes, measured from inside.
//!
//! The measuring future stands just inside the request's scope. It reads the monotonic clock at its first poll and at its end, and
//! the thread's CPU clock around each poll (a system call each, some 0.3 µs). What it does after its last reading is one insertion
//! into a map.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use profiler_annotate::{RequestId, current_request_id};
use tower_layer::Layer;
use tower_service::Service;

use crate::truth::{Truth, Truths};

/// Measures each request and keeps the result in [`Truths`].
#[derive(Clone)]
pub(crate) struct MeasureLayer(Truths);

impl MeasureLayer {
    pub(crate) fn new(truths: Truths) -> Self {
        Self(truths)
    }
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measure<S>;

    fn layer(&self, inner: S) -> Measure<S> {
        Measure { inner, truths: self.0.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Measure<S> {
    inner: S,
    truths: Truths,
}

impl<S: Service<Request>> Service<Request> for Measure<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Measured<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Measured<S::Future> {
        let clocks = Clocks { id: current_request_id(), truths: self.truths.clone(), begun: None, cpu_ns: 0, polls: 0 };
        Measured { inner: Box::pin(self.inner.call(request)), clocks }
    }
}

/// The future that [`Measure`] makes. Boxed so that pinning needs no unsafe code; made once a request.
pub(crate) struct Measured<F> {
    inner: Pin<Box<F>>,
    clocks: Clocks,
}

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let begun = *self.clocks.begun.get_or_insert_with(|| clock_ns(libc::CLOCK_MONOTONIC));
        let cpu = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID);
        let output = self.inner.as_mut().poll(cx);
        self.clocks.cpu_ns += clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) - cpu;
        self.clocks.polls += 1;
        if output.is_ready() {
            self.clocks.end(begun, true);
        }
        output
    }
}

struct Clocks {
    id: Option<RequestId>,
    truths: Truths,
    /// Of the monotonic clock; none before the first poll and after the end.
    begun: Option<u64>,
    cpu_ns: u64,
    polls: u64,
}

impl Clocks {
    fn end(&mut self, begun: u64, complete: bool) {
        let wall_ns = clock_ns(libc::CLOCK_MONOTONIC) - begun;
        self.begun = None;
        if let Some(id) = self.id {
            self.truths.add(id, Truth { wall_ns, cpu_ns: self.cpu_ns, polls: self.polls, complete });
        }
    }
}

/// A client that goes away takes its request with it.
impl Drop for Clocks {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.end(begun, false);
        }
    }
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the timespec, nothing else. It cannot fail for these clocks; a zero would stand out.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
