//! A future that belongs to a request.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

use crate::id::RequestId;
use crate::record::{Record, TraceContext};
use crate::{abi, startup};

thread_local! {
    /// The record of the innermost scope being polled on this thread. The slot may hold another library's record; this never does.
    static CURRENT: Cell<*const Record> = const { Cell::new(ptr::null()) };
}

/// Makes `future` belong to the request `id`.
///
/// While the scope is polled, [`current_request_id`] is `id` on that thread, and a profiler that listens sees the poll begin and
/// end. Nothing is allocated, and without a profiler a poll costs a few nanoseconds.
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
    let record = CURRENT.get();
    // SAFETY: a pointer stands there only while an `Entered` that borrows the record lives further up this thread's stack.
    unsafe { record.as_ref() }.map(Record::request_id)
}

/// The future that [`scope`] makes.
#[must_use = "futures do nothing unless polled"]
pub struct Scope<F> {
    state: State,
    /// Dropped by hand, so that its destructors run inside the scope.
    future: ManuallyDrop<F>,
    /// The record's address is published: once polled, it must not move.
    _pinned: PhantomPinned,
}

impl<F> Scope<F> {
    pub(crate) fn new(record: Record, future: F) -> Self {
        let state = State { record, seq: 0, phase: Phase::New };
        Self { state, future: ManuallyDrop::new(future), _pinned: PhantomPinned }
    }

    /// The id it was made with.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.state.record.request_id()
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: neither field is moved out of or replaced below: both are pinned with the scope.
        let Self { state, future, .. } = unsafe { self.get_unchecked_mut() };
        let future: &mut F = future;
        let poll: fn(Pin<&mut F>, &mut Context<'_>) -> Poll<F::Output> = F::poll;
        let entered = state.enter(ptr::from_mut(future).cast(), poll as *const ());
        // SAFETY: pinned with the scope, as said above, and dropped in place.
        let output = unsafe { Pin::new_unchecked(future) }.poll(cx);
        drop(entered);
        if output.is_ready() {
            state.end();
        }
        output
    }
}

impl<F> Drop for Scope<F> {
    fn drop(&mut self) {
        /// Ends the scope even when the future's destructor panics.
        struct End<'a>(&'a mut State);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }

        let end = End(&mut self.state);
        let _current = Current::set(&end.0.record);
        // SAFETY: dropped here only, and in place, as pinning asks.
        unsafe { ManuallyDrop::drop(&mut self.future) };
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("request_id", &self.request_id()).finish_non_exhaustive()
    }
}

/// What of a scope does not depend on the future's type: one copy of this code in a program.
struct State {
    record: Record,
    /// 0 while `phase` is `New`.
    seq: u64,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not polled yet.
    New,
    /// A request: its probes fire.
    Request,
    /// Part of the request around it, which it began inside of: no probes.
    Inner,
    /// Over: nothing more to say.
    Ended,
}

impl State {
    #[inline]
    fn enter(&mut self, future: *const (), poll: *const ()) -> Entered<'_> {
        if self.phase == Phase::New {
            self.begin();
        }
        let entered =
            Entered { current: Current::set(&self.record), request: (self.phase == Phase::Request).then_some(self.seq) };
        if let Some(seq) = entered.request {
            abi::scope_enter(&raw const self.record, seq, future, poll);
        }
        entered
    }

    #[cold]
    fn begin(&mut self) {
        // SAFETY: as in `current_request_id`.
        let around = unsafe { CURRENT.get().as_ref() };
        if around.is_some_and(|around| around.same_request(&self.record)) {
            self.phase = Phase::Inner;
        } else {
            self.phase = Phase::Request;
            self.seq = abi::table().next_scope();
        }
    }

    #[inline]
    fn end(&mut self) {
        if self.phase == Phase::Request {
            abi::scope_end(&raw const self.record, self.seq);
        }
        self.phase = Phase::Ended;
    }
}

/// One poll of a scope. Ends it when dropped, also by a panic.
struct Entered<'a> {
    current: Current<'a>,
    /// The scope's number, if its probes fire.
    request: Option<u64>,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(seq) = self.request {
            abi::scope_exit(self.current.record, seq);
        }
    }
}

/// Makes a record the current one of this thread, and what was there current again when dropped. What was in the slot before may
/// be another library's: it is put back, never read.
pub(crate) struct Current<'a> {
    record: &'a Record,
    /// What was in the slot.
    slot: *const Record,
    /// What was in `CURRENT`.
    outer: *const Record,
}

impl<'a> Current<'a> {
    #[inline]
    pub(crate) fn set(record: &'a Record) -> Self {
        Self { record, slot: abi::replace_slot(record), outer: CURRENT.replace(record) }
    }
}

impl Drop for Current<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        abi::replace_slot(self.slot);
    }
}
