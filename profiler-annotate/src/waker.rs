//! A scope's own waker: it notes, or says from outside, when the scope was woken, so that nobody else's wakes need a probe. Made only
//! for a scope that is wanted or keeps its times.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::abi;
use crate::times::{Kept, Times};

/// Whom a waker of its own is for, and what it is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// The scope's number.
    pub(crate) seq: u64,
    /// Its wakes are said from outside.
    pub(crate) wanted: bool,
    /// It keeps its times: those that the table asks for since this moment (ns). 0: it does not.
    pub(crate) since_ns: u64,
    /// Its first poll is in them.
    pub(crate) start_seen: bool,
}

/// Wakes the task around the scope, and says so first. What a poll touches of it are the times, and nothing else: each line more is one more that a poll
/// waits for where many requests are alive.
struct Signal {
    /// See [`Purpose::seq`] and [`Purpose::wanted`].
    seq: u64,
    wanted: bool,
    task: Waker,
    times: Option<Times>,
}

impl Signal {
    fn wake(&self) {
        // Before the task's wake: behind it the scope may be entered already.
        if let Some(times) = &self.times {
            times.woken();
        }
        if self.wanted {
            abi::scope_wake(self.seq);
        }
        self.task.wake_by_ref();
    }
}

/// What a waker's data pointer is: an `Arc` of a signal, as `Waker::from(Arc)` has it. Written out, so that a poll can have a waker
/// without counting one.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_one);

/// # Safety
/// `data` is `Arc::into_raw` or `Arc::as_ptr` of a living `Arc<Signal>`.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the caller's.
    unsafe { Arc::increment_strong_count(data.cast::<Signal>()) };
    RawWaker::new(data, &VTABLE)
}

/// # Safety
/// As [`clone`], and one count is the caller's to give.
unsafe fn wake(data: *const ()) {
    // SAFETY: the caller's.
    unsafe { Arc::from_raw(data.cast::<Signal>()) }.wake();
}

/// # Safety
/// As [`clone`].
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the caller's; the count that the waker has keeps it alive.
    unsafe { &*data.cast::<Signal>() }.wake();
}

/// # Safety
/// As [`wake`].
unsafe fn drop_one(data: *const ()) {
    // SAFETY: the caller's.
    drop(unsafe { Arc::from_raw(data.cast::<Signal>()) });
}

/// The waker that a scope hands on, and what it stands for: here, where the scope lies in a cache already, and not behind the pointer.
pub(crate) struct OwnWaker {
    signal: Arc<Signal>,
    purpose: Purpose,
    task: Place,
}

/// By what two wakers are the same ([`Waker::will_wake`]). That of the signal's own task stays that task's for as long as the signal has its waker.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    data: *const (),
    vtable: *const RawWakerVTable,
}

impl Place {
    #[inline]
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data(), vtable: std::ptr::from_ref(waker.vtable()) }
    }
}

// SAFETY: the pointers are compared and never followed; the waker that they are of is in the signal, which may go to other threads.
unsafe impl Send for Place {}
// SAFETY: the same.
unsafe impl Sync for Place {}

impl OwnWaker {
    /// The waker for `purpose` in the task of `task`: the one in `kept` as long as both are the same, so that leaves see that they
    /// hold it already.
    #[inline]
    pub(crate) fn of<'a>(kept: &'a mut Option<Self>, purpose: Purpose, task: &Waker) -> &'a Self {
        if !kept.as_ref().is_some_and(|own| own.purpose == purpose && own.task == Place::of(task)) {
            *kept = Some(Self::made(kept.as_ref(), purpose, task));
        }
        kept.get_or_insert_with(|| Self::made(None, purpose, task))
    }

    /// Times go on where the scope has changed its task, and begin anew where others are asked for.
    #[cold]
    fn made(before: Option<&Self>, purpose: Purpose, task: &Waker) -> Self {
        let times = (purpose.since_ns != 0).then(|| {
            let times = Times::new(purpose.seq, purpose.start_seen);
            let before = before.filter(|own| own.purpose.since_ns == purpose.since_ns);
            if let Some(before) = before.and_then(Self::times) {
                // SAFETY: the caller's scope's own, which it has to itself.
                let old = unsafe { Kept::new(before) };
                // SAFETY: nobody else has them yet.
                unsafe { Kept::new(&times) }.go_on_from(&old);
            }
            times
        });
        let signal = Arc::new(Signal { seq: purpose.seq, wanted: purpose.wanted, task: task.clone(), times });
        // The one that is kept, which may not be what it was cloned from.
        let task = Place::of(&signal.task);
        Self { signal, purpose, task }
    }

    /// The times that its scope keeps.
    #[inline]
    pub(crate) fn times(&self) -> Option<&Times> {
        self.signal.times.as_ref()
    }

    /// Calls `poll` with the waker.
    #[inline]
    pub(crate) fn lend<T>(&self, poll: impl FnOnce(&Waker) -> T) -> T {
        let data = Arc::as_ptr(&self.signal).cast::<()>();
        // SAFETY: the functions keep a waker's contract, with the signal's count; this one borrows ours and never gives it back.
        let waker = ManuallyDrop::new(unsafe { Waker::new(data, &VTABLE) });
        poll(&waker)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const WANTED: Purpose = Purpose { seq: 1, wanted: true, since_ns: 0, start_seen: false };

    #[test]
    fn wakes_the_task_and_stays_the_same_while_the_task_does() {
        let (one, other) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (task, another) = (Waker::from(Arc::clone(&one)), Waker::from(Arc::clone(&other)));
        let mut kept = None;
        let first = OwnWaker::of(&mut kept, WANTED, &task).lend(Waker::clone);
        assert!(OwnWaker::of(&mut kept, WANTED, &task.clone()).lend(|own| own.will_wake(&first)));
        first.wake_by_ref();
        let moved = OwnWaker::of(&mut kept, WANTED, &another).lend(Waker::clone);
        assert!(!moved.will_wake(&first));
        drop(kept);
        moved.wake();
        first.wake();
        assert_eq!((one.0.load(Ordering::Relaxed), other.0.load(Ordering::Relaxed)), (2, 1));
        assert_eq!((Arc::strong_count(&one), Arc::strong_count(&other)), (2, 2), "nothing is kept or given twice");
    }

    #[test]
    fn times_go_on_in_another_task_and_begin_anew_for_another_reader() {
        let (task, another) = (Waker::from(Arc::new(Count::default())), Waker::from(Arc::new(Count::default())));
        let timed = Purpose { since_ns: 5, wanted: false, start_seen: true, ..WANTED };
        let mut kept = None;
        let polled = |own: &OwnWaker| {
            // SAFETY: nobody else has them.
            let kept = || unsafe { Kept::new(own.times().unwrap()) };
            drop(kept().enter());
            kept().sums()
        };
        let one = polled(OwnWaker::of(&mut kept, timed, &task));
        let two = polled(OwnWaker::of(&mut kept, timed, &another));
        assert_eq!((one.first_ns(), one.polls(), two.polls()), (two.first_ns(), 1, 2));
        let later = Purpose { since_ns: 6, start_seen: false, ..timed };
        assert_eq!(polled(OwnWaker::of(&mut kept, later, &another)).polls(), 1);
        assert!(OwnWaker::of(&mut kept, WANTED, &another).times().is_none());
    }
}
