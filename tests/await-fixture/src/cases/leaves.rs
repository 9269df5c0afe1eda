//! Futures that were written by hand, at the end of a chain and in the middle.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt as _, TryFutureExt as _};
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::{Outcome, doze, length};
use crate::trail::Trail;
use crate::wait;

/// A closure as a leaf: a thread wakes it.
pub async fn poll_fn(trail: Trail) -> Outcome {
    let until = Instant::now() + length(38);
    let mut is_asked = false;
    let leaf = std::future::poll_fn(move |context| {
        if Instant::now() >= until {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut is_asked, true) {
            wake_later(context, until);
        }
        Poll::Pending
    });
    wait!(trail, "PollFn", leaf.await);
    Ok(())
}

/// Wakes a task from a thread, a little after `until`.
fn wake_later(context: &Context<'_>, until: Instant) {
    let waker = context.waker().clone();
    std::thread::spawn(move || {
        std::thread::sleep(until.saturating_duration_since(Instant::now()) + Duration::from_micros(50));
        waker.wake();
    });
}

/// A structure as a leaf.
struct Alarm {
    until: Instant,
    is_asked: bool,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.until {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.is_asked, true) {
            wake_later(context, self.until);
        }
        Poll::Pending
    }
}

/// A structure around another future.
struct Counted<F> {
    polls: u64,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Counted<F> {
    type Output = (F::Output, u64);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        let output = std::task::ready!(self.inner.as_mut().poll(context));
        Poll::Ready((output, self.polls))
    }
}

/// An enumeration that goes from one future to the next.
enum Steps<A, B> {
    First(Pin<Box<A>>, Option<Pin<Box<B>>>),
    Second(Pin<Box<B>>),
    Over,
}

impl<A: Future, B: Future> Future for Steps<A, B> {
    type Output = B::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<B::Output> {
        if let Self::First(first, second) = &mut *self {
            std::task::ready!(first.as_mut().poll(context));
            *self = second.take().map_or(Self::Over, Self::Second);
        }
        match &mut *self {
            Self::Second(second) => second.as_mut().poll(context),
            _ => Poll::Pending,
        }
    }
}

/// A leaf, a structure around a function, and an enumeration of two.
pub async fn hand_written(trail: Trail) -> Outcome {
    wait!(trail, "Alarm", Alarm { until: Instant::now() + length(33), is_asked: false }.await);
    let ((), polls) = wait!(trail => inner, Counted { polls: 0, inner: Box::pin(doze(inner, 26)) }.await);
    std::hint::black_box(polls);
    wait!(trail => inner, Steps::First(Box::pin(doze(inner, 21)), Some(Box::pin(other(inner)))).await);
    Ok(())
}

async fn other(trail: Trail) {
    wait!(trail, "Sleep", sleep(length(45)).await);
}

/// What `futures` puts around a future, and after it.
pub async fn combinators(trail: Trail) -> Outcome {
    wait!(trail => inner, doze(inner, 23).map(|()| 7_u64).boxed().await);
    wait!(trail => inner, doze(inner, 27).then(|()| other(inner)).fuse().await);
    wait!(trail => inner, fallible(inner, 35).and_then(|()| fallible(inner, 29)).map_err(|error| error).await)
}

async fn fallible(trail: Trail, milliseconds: u64) -> Outcome {
    wait!(trail, "Sleep", sleep(length(milliseconds)).await);
    Ok(())
}

/// In a span.
pub async fn instrumented(trail: Trail) -> Outcome {
    wait!(trail => inner, other(inner).instrument(tracing::info_span!("order", number = 7)).await);
    Ok(())
}

tokio::task_local! {
    static NAME: String;
}

/// With a value that goes along.
pub async fn task_local(trail: Trail) -> Outcome {
    wait!(trail => inner, NAME.scope(String::from("seven"), other(inner)).await);
    Ok(())
}
