//! The probes as a tracer sees them: this process puts breakpoints onto its own sites, as the kernel does for a uprobe, raises the
//! semaphores, and reads the arguments from the registers.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr;
use std::task::{Context, Poll, Waker};

use profiler_annotate::{RequestId, current_request_id, request_id, scope};

use crate::slot;

use tracer::Event::{self, End, Enter, Exit, Times};
use tracer::{EVENTS, IDS, Tracer, poke};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Pending for so many polls.
struct PendingFor(u32);

impl Future for PendingFor {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            None => Poll::Ready(()),
            Some(less) => {
                self.0 = less;
                Poll::Pending
            }
        }
    }
}

#[test]
fn each_poll_is_bracketed_and_the_end_comes_once() {
    let tracer = Tracer::attach();
    let mut future = pin!(scope(request_id!("order-42"), PendingFor(1)));
    assert!(poll(future.as_mut()).is_pending());
    assert!(poll(future.as_mut()).is_ready());
    let events = tracer.events();
    let [Enter { record, seq, future: inner, poll: function, frame }, ..] = events[..] else { panic!("{events:?}") };
    let enter = Enter { record, seq, future: inner, poll: function, frame };
    let here = 0_u8;
    assert!(frame < &raw const here as u64, "the frame that polls lies below this one");
    let [pending, done] = [0, 1].map(|done| Exit { record, seq, done });
    assert_eq!(events, [enter, pending, enter, done, End { record, seq }]);
    assert!(seq > 0);
    assert_eq!(function, <PendingFor as Future>::poll as *const () as u64);
    let scope = ptr::from_ref(future.as_ref().get_ref()) as u64;
    assert!((scope..scope + size_of_val(future.as_ref().get_ref()) as u64).contains(&inner));
    assert_eq!(IDS.take(), [request_id!("order-42"); 2]);
}

#[test]
fn nothing_fires_while_nobody_listens() {
    let tracer = Tracer::attach();
    tracer.lower();
    assert!(poll(pin!(scope(1_u64, PendingFor(0)))).is_ready());
    assert_eq!(tracer.events(), []);
}

#[test]
fn a_scope_that_is_dropped_ends_if_it_has_begun() {
    let tracer = Tracer::attach();
    drop(scope(1_u64, PendingFor(0)));
    assert_eq!(tracer.events(), []);
    let mut begun = Box::pin(scope(1_u64, PendingFor(9)));
    assert!(poll(begun.as_mut()).is_pending());
    drop(begun);
    assert_eq!(tracer.kinds(), ["enter", "exit", "end"]);
}

#[test]
fn a_scope_of_the_same_request_is_silent_for_life() {
    let tracer = Tracer::attach();
    let mut inner = Box::pin(scope(1_u64, PendingFor(9)));
    let outer = scope(1_u64, async {
        assert!(poll(inner.as_mut()).is_pending());
    });
    assert!(poll(pin!(outer)).is_ready());
    assert_eq!(tracer.kinds(), ["enter", "exit", "end"]);
    // Alone now, and still no request of its own.
    assert!(poll(inner.as_mut()).is_pending());
    drop(inner);
    assert_eq!(tracer.events(), []);
}

#[test]
fn a_scope_of_another_request_fires_as_its_own() {
    let tracer = Tracer::attach();
    assert!(poll(pin!(scope(1_u64, scope(2_u64, scope(1_u64, async {}))))).is_ready());
    let events = tracer.events();
    assert_eq!(
        events.iter().map(|event| event.kind()).collect::<Vec<_>>(),
        ["enter", "enter", "enter", "exit", "end", "exit", "end", "exit", "end"]
    );
    let seqs: Vec<_> = events[..3].iter().map(|event| event.seq()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "each has a number of its own: {seqs:?}");
    assert_eq!(
        events.iter().map(|event| event.seq()).collect::<Vec<_>>()[3..],
        [seqs[2], seqs[2], seqs[1], seqs[1], seqs[0], seqs[0]]
    );
}

#[test]
fn a_panic_leaves_the_scope_and_ends_it() {
    let tracer = Tracer::attach();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut future = Box::pin(scope(1_u64, async { panic!("on purpose") }));
        poll(future.as_mut())
    }));
    assert!(panicked.is_err());
    assert_eq!(current_request_id(), None);
    assert_eq!(tracer.kinds(), ["enter", "exit", "end"]);
}

#[test]
fn a_destructor_runs_inside_the_scope_and_before_its_end() {
    struct Guard<'a>(&'a Cell<Option<RequestId>>, &'a Tracer);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.set(current_request_id());
            assert_eq!(self.1.kinds(), ["enter", "exit"]);
        }
    }
    let tracer = Tracer::attach();
    let seen = Cell::new(None);
    let guard = Guard(&seen, &tracer);
    let mut future = Box::pin(scope(request_id!("order-42"), async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    }));
    assert!(poll(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(seen.get(), Some(request_id!("order-42")));
    assert_eq!(tracer.kinds(), ["end"]);
}

#[test]
fn scopes_are_numbered_without_gaps_or_repeats_over_threads() {
    let tracer = Tracer::attach();
    let mut seqs: Vec<u64> = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    EVENTS.with_borrow_mut(|events| events.reserve(1000));
                    IDS.with_borrow_mut(|ids| ids.reserve(1000));
                    for _ in 0..100 {
                        assert!(poll(pin!(scope(1_u64, async {}))).is_ready());
                    }
                    EVENTS.take()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).map(Event::seq).collect()
    });
    drop(tracer);
    assert_eq!(seqs.len(), 1200);
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 400);
}

/// Wakes itself, then waits for so many polls.
struct WakesItself(u32);

impl Future for WakesItself {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(less) = self.0.checked_sub(1) else { return Poll::Ready(()) };
        self.0 = less;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn only_the_wanted_request_is_seen_and_says_when_it_is_woken() {
    let tracer = Tracer::attach();
    tracer.only_wanted(&[(1, b"order-4"), (2, b"job-")], false);
    for id in [request_id!("order-42"), request_id!("order-"), request_id!("job")] {
        assert!(poll(pin!(scope(id, WakesItself(0)))).is_ready());
    }
    assert_eq!(tracer.events(), []);
    for id in [request_id!("order-4"), request_id!("job-7")] {
        let mut future = pin!(scope(id, WakesItself(1)));
        assert!(poll(future.as_mut()).is_pending());
        assert!(poll(future.as_mut()).is_ready());
        assert_eq!(tracer.kinds(), ["enter", "wake", "exit", "enter", "exit", "end"]);
    }
}

#[test]
fn a_request_is_judged_again_when_the_rules_change() {
    let tracer = Tracer::attach();
    tracer.only_wanted(&[(1, b"other")], false);
    let mut future = pin!(scope(request_id!("order-42"), PendingFor(9)));
    assert!(poll(future.as_mut()).is_pending());
    tracer.only_wanted(&[(1, b"order-42")], false);
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(tracer.kinds(), ["enter", "exit"]);
    tracer.only_wanted(&[], false);
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(tracer.events(), []);
}

#[cfg(feature = "tokio")]
mod children {
    use super::tracer::Event::{Spawn, Task};
    use super::*;

    fn run(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
    }

    #[test]
    fn of_a_wanted_request_are_scopes_that_say_whose_they_are() {
        let tracer = Tracer::attach();
        tracer.only_wanted(&[(1, b"order-42")], true);
        run(scope(request_id!("order-42"), async {
            let inside = profiler_annotate::spawn(async { current_request_id() }).await.unwrap();
            assert_eq!(inside, Some(request_id!("order-42")));
        }));
        let events = tracer.events();
        let root = events.first().map(|event| event.seq()).unwrap();
        let Some(Spawn { seq: child, parent, kind, .. }) = events.iter().copied().find(|event| event.kind() == "spawn") else {
            panic!("{events:?}")
        };
        assert_eq!((parent, kind), (root, 0));
        let of_child: Vec<_> = events.iter().filter(|event| event.seq() == child).map(|event| event.kind()).collect();
        assert_eq!(of_child, ["spawn", "task", "enter", "exit", "end"]);
        assert!(events.iter().any(|event| matches!(event, Task { handle, .. } if *handle != 0)));
    }

    #[test]
    fn are_followed_only_if_asked_for_and_know_their_request_anyway() {
        let tracer = Tracer::attach();
        tracer.only_wanted(&[(1, b"order-42")], false);
        run(scope(request_id!("order-42"), async {
            let mut set = profiler_annotate::JoinSet::new();
            set.spawn(async { current_request_id() });
            assert_eq!(set.join_next().await.unwrap().unwrap(), Some(request_id!("order-42")));
        }));
        let kinds = tracer.kinds();
        assert!(!kinds.contains(&"spawn"), "{kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| **kind == "end").count(), 1);
    }

    #[test]
    fn in_the_pool_of_blocking_threads_are_entered_once() {
        let tracer = Tracer::attach();
        tracer.only_wanted(&[(1, b"order-42")], true);
        run(scope(request_id!("order-42"), async {
            let blocking = profiler_annotate::spawn_blocking(|| {
                EVENTS.with_borrow_mut(|events| events.reserve(100));
                current_request_id()
            });
            // Its thread's events are its own: the enter came before there was room for it.
            assert_eq!(blocking.await.unwrap(), Some(request_id!("order-42")));
        }));
        let spawned = tracer.events().into_iter().find(|event| event.kind() == "spawn");
        assert!(matches!(spawned, Some(Spawn { kind: 1, .. })), "{spawned:?}");
    }
}

mod times;
mod tracer;
