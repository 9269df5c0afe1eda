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

/// What the numbers of children begin with, so that nobody takes one for a request.
const CHILD: u64 = 1 << 62;

/// A child that is about to be spawned.
struct Birth {
    state: State,
    /// Its number, if it is followed.
    followed: Option<u64>,
}

impl Birth {
    /// A child of the request that is current here: `None` outside any.
    fn here(kind: Kind) -> Option<Self> {
        Active::now(|parent| {
            let table = abi::table();
            let children = parent.wanted && table.asked.children.load(Ordering::Relaxed) != 0;
            let followed = children.then(|| table.next_scope() | CHILD);
            if let Some(seq) = followed {
                abi::scope_spawn(ptr::from_ref::<Record>(parent.record), seq, parent.seq, kind as u64);
            }
            Self { state: State::child(parent.record.clone(), followed), followed }
        })
    }
}

/// Spawns `future` by `spawner`, as a child of the request that is current here.
fn as_child<F, H>(kind: Kind, future: F, spawner: impl FnOnce(Child<F>) -> H) -> H {
    let Some(Birth { state, followed }) = Birth::here(kind) else { return spawner(Child::Nobodys(future)) };
    told(followed, spawner(Child::Of(Scope::of(state, future))))
}

/// The same of a closure.
fn closure_as_child<F, R, H>(function: F, spawner: impl FnOnce(Closure<F>) -> H) -> H
where
    F: FnOnce() -> R,
{
    let Some(Birth { state, followed }) = Birth::here(Kind::Blocking) else {
        return spawner(Closure { whole: Whole(None), function });
    };
    told(followed, spawner(Closure { whole: Whole(Some(state)), function }))
}

fn told<H>(followed: Option<u64>, handle: H) -> H {
    if let Some(seq) = followed {
        abi::scope_task(seq, &handle);
    }
    handle
}

/// A future that belongs to the request that was current where it was spawned, if one was.
pub(crate) enum Child<F> {
    Of(Scope<F>),
    Nobodys(F),
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
    as_child(Kind::Task, future, tokio::spawn)
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
    as_child(Kind::Local, future, tokio::task::spawn_local)
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
    closure_as_child(function, |closure: Closure<F>| tokio::task::spawn_blocking(move || closure.run()))
}

/// A closure that belongs to the request that was current where it was spawned, if one was.
struct Closure<F> {
    whole: Whole,
    function: F,
}

impl<F> Closure<F> {
    fn run<R>(self) -> R
    where
        F: FnOnce() -> R,
    {
        let Self { mut whole, function } = self;
        let place = Place { future: ptr::null(), poll: ptr::null() };
        // The closure is dropped inside the scope, as a future is.
        let entered = whole.0.as_mut().map(|state| {
            state.look();
            state.enter(&place, None)
        });
        let result = function();
        drop(entered);
        result
    }
}

/// Ends the scope when dropped: also by a panic, or where the pool shuts down before it ran.
struct Whole(Option<State>);

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(state) = &mut self.0 {
            state.end(None, false);
        }
    }
}
