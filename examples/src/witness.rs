//! Clocks on both sides of a request's scope, for the profiler's tests.
//!
//! [`outside`] stands around the scope and [`inside`] in it, around the handler. Each reads the clock of the profiler's own times at its
//! first poll and at its end, and two clocks around each poll. So what the profiler says lies between the two, whatever the machine
//! does meanwhile: no tolerance has to be guessed.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use profiler_annotate::{RequestId, current_request_id};
use serde::Serialize;

/// What one side measured of one request.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The id, as every output shows it; empty outside of a request.
    pub id: String,
    /// Around the scope, or in it?
    pub outside: bool,
    /// `CLOCK_MONOTONIC` at the begin of the first poll, ns.
    pub begun_ns: u64,
    /// At the end.
    pub ended_ns: u64,
    /// How often it was polled.
    pub polls: u64,
    /// Sum over the polls, ns.
    pub polls_ns: u64,
    /// Sum over the polls by the thread's CPU clock, ns.
    pub cpu_ns: u64,
    /// `false`: dropped before it was done.
    pub complete: bool,
}

static ALL: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

/// Everything seen since the last call.
pub fn take() -> Vec<Seen> {
    // Nothing panics while it is held.
    std::mem::take(&mut *ALL.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Measures around a scope; `id` is what its request's header says.
pub fn outside<F: Future>(id: Option<&[u8]>, future: F) -> Witness<F> {
    let id = id.and_then(|id| RequestId::new(id).ok());
    Witness::new(id, true, future)
}

/// Measures inside the current scope.
pub fn inside<F: Future>(future: F) -> Witness<F> {
    Witness::new(current_request_id(), false, future)
}

/// The future that [`outside`] and [`inside`] make. Boxed, so that pinning needs no unsafe code.
#[must_use = "futures do nothing unless polled"]
pub struct Witness<F> {
    future: Pin<Box<F>>,
    seen: Seen,
}

impl<F> Witness<F> {
    fn new(id: Option<RequestId>, outside: bool, future: F) -> Self {
        let id = id.map_or_else(String::new, |id| id.to_string());
        let seen = Seen { id, outside, begun_ns: 0, ended_ns: 0, polls: 0, polls_ns: 0, cpu_ns: 0, complete: false };
        Self { future: Box::pin(future), seen }
    }
}

impl<F: Future> Future for Witness<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // The side that is further out reads first and last, so that what is inside of it lies within by either clock.
        let begun = clock_ns(libc::CLOCK_MONOTONIC);
        let cpu = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID);
        let output = self.future.as_mut().poll(cx);
        let cpu = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) - cpu;
        let ended = clock_ns(libc::CLOCK_MONOTONIC);
        let seen = &mut self.seen;
        if seen.polls == 0 {
            seen.begun_ns = begun;
        }
        seen.ended_ns = ended;
        seen.polls += 1;
        seen.polls_ns += ended - begun;
        seen.cpu_ns += cpu;
        seen.complete = output.is_ready();
        if seen.complete {
            self.tell();
        }
        output
    }
}

impl<F> Witness<F> {
    fn tell(&self) {
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push(self.seen.clone());
    }
}

/// A client that goes away takes its request with it: what there was is told all the same.
impl<F> Drop for Witness<F> {
    fn drop(&mut self) {
        if self.seen.polls > 0 && !self.seen.complete {
            self.tell();
        }
    }
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the timespec, nothing else. It cannot fail for these clocks; a zero would stand out.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// [`outside`] as a tower layer: it goes around the layer that names requests.
#[derive(Clone, Copy, Debug)]
pub struct OutsideLayer;

impl<S> tower_layer::Layer<S> for OutsideLayer {
    type Service = OutsideService<S>;

    fn layer(&self, inner: S) -> OutsideService<S> {
        OutsideService(inner)
    }
}

/// The service that [`OutsideLayer`] makes.
#[derive(Clone, Debug)]
pub struct OutsideService<S>(S);

impl<S: tower_service::Service<http::Request<B>>, B> tower_service::Service<http::Request<B>> for OutsideService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Witness<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Witness<S::Future> {
        let id = request.headers().get("x-request-id").cloned();
        outside(id.as_ref().map(http::HeaderValue::as_bytes), self.0.call(request))
    }
}
