//! A future that belongs to a request.

mod current;
mod state;

use std::fmt;
use std::marker::PhantomPinned;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

pub(crate) use current::Active;
pub(crate) use state::{Place, State};

use crate::id::RequestId;
use crate::record::{Record, TraceContext};
use crate::startup;
use crate::waker::OwnWaker;

/// Makes `future` belong to the request `id`.
///
/// While the scope is polled, [`current_request_id`] is `id` on that thread, and a profiler that listens sees the poll begin and
/// end. Without a profiler nothing is allocated, and a poll costs a few nanoseconds.
///
/// ```
/// use profiler_annotate::{InvalidRequestId, RequestId, scope};
///
/// struct Order { id: u64 }
/// async fn handle(order: Order) {}
///
/// // An id from the application's own numbers cannot be wrong; one from outside can.
/// # async fn f(order: Order, name: String) -> Result<(), InvalidRequestId> {
/// scope(order.id, handle(order)).await;
/// scope(RequestId::try_from(name)?, async { /* ... */ }).await;
/// # Ok(()) }
/// ```
///
/// What no layer fits, a consumer of a queue or a job, names each message or run by hand, in whichever task it is handled:
///
/// ```
/// use profiler_annotate::{RequestId, request_id, scope};
///
/// struct Message { key: Vec<u8>, payload: Vec<u8> }
/// async fn handle(message: Message) {}
///
/// # async fn consume(mut next: impl AsyncFnMut() -> Option<Message>) {
/// while let Some(message) = next().await {
///     // A key is any bytes; one that is empty or longer than 64 is no reason to drop a message.
///     let id = RequestId::new(&message.key).unwrap_or(request_id!("no-usable-key"));
///     scope(id, handle(message)).await;
/// }
/// # }
/// ```
///
/// # What is one request
///
/// * A scope inside a scope **with the same id** is the same request: only the outer one is seen from outside. This is decided
///   once, at the inner scope's first poll.
/// * A scope inside a scope with another id is a request of its own; the outer one goes on.
/// * A spawned task starts with no request: `tokio::spawn(scope(id, child))` gives it one, which is then another instance of the
///   same id. (A profiler that follows spawns ties a plain child to the request that was current where it was spawned.)
/// * A request begins with its scope's first poll and ends when the scope's future is done, or is dropped before. A scope that is
///   never polled is never seen.
pub fn scope<F: Future>(id: impl Into<RequestId>, future: F) -> Scope<F> {
    Scope::new(Record::new(&id.into(), TraceContext::default(), startup::request_id_key()), future)
}

/// The id of the request whose scope is being polled on this thread, if there is one: the innermost.
///
/// ```
/// # use profiler_annotate::{current_request_id, request_id, scope};
/// # fn block_on(future: impl Future<Output = ()>) {
/// #     let waker = std::task::Waker::noop();
/// #     assert!(std::pin::pin!(future).poll(&mut std::task::Context::from_waker(waker)).is_ready());
/// # }
/// # block_on(async {
/// scope(request_id!("order-42"), async {
///     assert_eq!(current_request_id().unwrap().to_string(), "order-42");
/// })
/// .await;
/// assert_eq!(current_request_id(), None);
/// # });
/// ```
#[must_use]
pub fn current_request_id() -> Option<RequestId> {
    Active::now(|active| active.record.request_id())
}

/// The future that [`scope`] makes.
#[must_use = "futures do nothing unless polled"]
pub struct Scope<F> {
    state: State,
    /// What a scope that is wanted or keeps its times is woken through; the times are there.
    waker: Option<OwnWaker>,
    /// Dropped by hand, so that its destructors run inside the scope.
    future: ManuallyDrop<F>,
    /// The record's address is published: once polled, it must not move.
    _pinned: PhantomPinned,
}

impl<F> Scope<F> {
    pub(crate) fn new(record: Record, future: F) -> Self {
        Self::of(State::new(record), future)
    }

    pub(crate) fn of(state: State, future: F) -> Self {
        Self { state, waker: None, future: ManuallyDrop::new(future), _pinned: PhantomPinned }
    }

    /// The id it was made with.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.state.record().request_id()
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: neither the record nor the future is moved out of or replaced below: both are pinned with the scope.
        let Self { state, waker, future, .. } = unsafe { self.get_unchecked_mut() };
        let future: &mut F = future;
        let poll: fn(Pin<&mut F>, &mut Context<'_>) -> Poll<F::Output> = F::poll;
        let place = Place { future: ptr::from_mut(future).cast(), poll: poll as *const () };
        state.look();
        let own = state.purpose().map(|purpose| OwnWaker::of(waker, purpose, cx.waker()));
        let mut entered = state.enter(&place, own.and_then(OwnWaker::times));
        // SAFETY: pinned with the scope, as said above, and dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        let output = match own {
            None => future.poll(cx),
            Some(own) => own.lend(|waker| future.poll(&mut Context::from_waker(waker))),
        };
        if output.is_pending() {
            entered.left_pending();
        }
        drop(entered);
        if output.is_ready() {
            state.end(own.and_then(OwnWaker::times), false);
        }
        output
    }
}

impl<F> Drop for Scope<F> {
    fn drop(&mut self) {
        /// Ends the scope even when the future's destructor panics.
        struct End<'a>(&'a mut State, Option<&'a OwnWaker>);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end(self.1.and_then(OwnWaker::times), true);
            }
        }

        let end = End(&mut self.state, self.waker.as_ref());
        let _current = end.0.as_current();
        // SAFETY: dropped here only, and in place, as pinning asks.
        unsafe { ManuallyDrop::drop(&mut self.future) };
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("request_id", &self.request_id()).finish_non_exhaustive()
    }
}
