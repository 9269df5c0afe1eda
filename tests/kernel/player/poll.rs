//! The moves of a runtime, each with the clock readings around it.

use std::ffi::c_void;

use profiler_common::task::state_word::COMPLETE;

use super::clock::{Move, now, thread_cpu};
use super::task::Task;
use super::triggers::{self, Body};

/// One whole poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polled {
    pub(crate) start: Move,
    pub(crate) end: Move,
    /// CPU time of the thread between the two (ns).
    pub(crate) cpu_ns: u64,
}

/// Calls `function` with `header` as a runtime calls `raw::poll`; `body` runs inside. Returns the start.
pub(crate) fn enter(function: extern "C" fn(u64, Body, *mut c_void), header: u64, body: impl FnOnce()) -> Move {
    extern "C" fn run<F: FnMut()>(context: *mut c_void) {
        // SAFETY: the pointer below, still borrowed by the call.
        let body = unsafe { &mut *context.cast::<F>() };
        body();
    }
    fn of<F: FnMut()>(_: &F) -> Body {
        run::<F>
    }
    let (mut body, mut after) = (Some(body), 0);
    let mut call = || {
        after = now();
        if let Some(body) = body.take() {
            body();
        }
    };
    let before = now();
    function(header, of(&call), (&raw mut call).cast());
    Move { before, after }
}

/// A poll in which `body` runs, whose end nobody sees.
pub(crate) fn poll(task: &Task, body: impl FnOnce()) -> Move {
    enter(triggers::trigger_poll, task.header(), || {
        task.start_running();
        body();
    })
}

/// The same for an empty body, from one place: the stack pointer is the same each time.
#[inline(never)]
pub(crate) fn unfinished_poll(task: &Task) -> Move {
    poll(task, || ())
}

/// Runs `act` further down the stack than the caller would by itself.
#[inline(never)]
pub(crate) fn deeper(act: impl FnOnce()) {
    let room = std::hint::black_box([0_u8; 8192]);
    act();
    std::hint::black_box(room);
}

fn ended_by(task: &Task, body: impl FnOnce(), end: fn(&Task) -> Move) -> Polled {
    let (mut ended, mut cpu_ns) = (None, 0);
    let start = poll(task, || {
        let before = thread_cpu();
        body();
        cpu_ns = thread_cpu() - before;
        ended = Some(end(task));
    });
    Polled { start, end: ended.unwrap(), cpu_ns }
}

/// A poll that returns pending.
pub(crate) fn pending(task: &Task, body: impl FnOnce()) -> Polled {
    ended_by(task, body, idle)
}

/// A poll that completes its task.
pub(crate) fn ready(task: &Task, body: impl FnOnce()) -> Polled {
    ended_by(task, body, complete)
}

/// The poll is about to return pending.
pub(crate) fn idle(task: &Task) -> Move {
    Move::of(|| triggers::trigger_idle(task.header()))
}

/// The task is about to be complete, in a poll or out of one.
pub(crate) fn complete(task: &Task) -> Move {
    let done = Move::of(|| triggers::trigger_complete(task.header()));
    task.set(COMPLETE);
    done
}

/// Somebody calls the task's waker.
pub(crate) fn wake(task: &Task) -> Move {
    let woken = Move::of(|| triggers::trigger_wake(task.header()));
    task.notify();
    woken
}

/// The task is bound to its runtime, and so put into a queue.
pub(crate) fn spawn(task: &Task) -> Move {
    let spawned = Move::of(|| triggers::trigger_spawn(task.header()));
    task.notify();
    spawned
}

/// The task is put into the queue of its `LocalSet`.
pub(crate) fn queue(task: &Task) {
    triggers::trigger_local_scheduled(task.header());
    task.notify();
}

/// A leaf of the task stores its waker.
pub(crate) fn store_waker(task: &Task) -> Move {
    Move::of(|| triggers::trigger_waker_stored(task.header()))
}

/// The task defers its own wake.
pub(crate) fn defer(waker: [u64; 2]) -> Move {
    Move::of(|| triggers::trigger_defer(waker.as_ptr() as u64))
}
