//! Children of a request that a profiler follows without a probe on anybody else's spawns: Tokio's spawns, which hand the request on.

mod join_set;

use std::pin::Pin;
use std::ptr;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

pub use join_set::JoinSet;

use crate::abi;
use crate::record::Record;
use crate::scope::{Active, Place, Scope, State};

/// `scope_spawn`'s kinds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Task = 0,
    Blocking = 1,
    Local = 2,
}

/// The state of a child of the request that is current here: `None` outside any.
fn child(kind: Kind) -> Option<State> {
    Active::now(|parent| {
        let table = abi::table();
        let followed = parent.wanted && table.asked.children.load(Ordering::Relaxed) != 0;
        let seq = followed.then(|| table.next_scope());
        if let Some(seq) = seq {
            abi::scope_spawn(ptr::from_ref::<Record>(parent.record), seq, parent.seq, kind as u64);
        }
        State::child(parent.record.clone(), seq)
    })
}

/// A future that belongs to the request that was current where it was spawned, if one was.
pub(crate) enum Child<F> {
    Of(Scope<F>),
    Nobodys(F),
}

impl<F> Child<F> {
    fn new(kind: Kind, future: F) -> Self {
        match child(kind) {
            Some(state) => Self::Of(Scope::of(state, future)),
            None => Self::Nobodys(future),
        }
    }
}

impl<F: Future> Future for Child<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: neither variant's content is moved out of or replaced below.
        match unsafe { self.get_unchecked_mut() } {
            // SAFETY: pinned with the whole.
            Self::Of(scope) => unsafe { Pin::new_unchecked(scope) }.poll(cx),
            // SAFETY: the same.
            Self::Nobodys(future) => unsafe { Pin::new_unchecked(future) }.poll(cx),
        }
    }
}

/// [`tokio::spawn`], and the task belongs to the request that spawns it: [`current_request_id`](crate::current_request_id) is the
/// same in it, and a profiler that measures this request alone follows it.
///
/// Outside a [`scope`](crate::scope) it is [`tokio::spawn`].
///
/// # Panics
/// As [`tokio::spawn`] does, outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Child::new(Kind::Task, future))
}

/// [`tokio::task::spawn_local`], and the task belongs to the request that spawns it. See [`spawn`].
///
/// # Panics
/// As [`tokio::task::spawn_local`] does, outside a `LocalSet`.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(Child::new(Kind::Local, future))
}

/// [`tokio::task::spawn_blocking`], and the closure belongs to the request that spawns it. See [`spawn`].
///
/// # Panics
/// As [`tokio::task::spawn_blocking`] does, outside a runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    tokio::task::spawn_blocking(child_of_closure(function))
}

fn child_of_closure<F, R>(function: F) -> impl FnOnce() -> R + Send + 'static
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    /// Ends the scope when dropped: also by a panic, or where the pool shuts down before it ran.
    struct Whole(Option<State>);

    impl Drop for Whole {
        fn drop(&mut self) {
            if let Some(state) = &mut self.0 {
                state.end(None, false);
            }
        }
    }

    let mut whole = Whole(child(Kind::Blocking));
    move || {
        let nowhere = Place { future: ptr::null(), poll: ptr::null() };
        // The closure is dropped inside the scope, as a future is.
        let entered = whole.0.as_mut().map(|state| {
            state.look();
            state.enter(&nowhere, None)
        });
        let result = function();
        drop(entered);
        result
    }
}
