//! The times that a scope keeps of itself while a profiler wants those of every request: two readings of the clock a poll, no trap.
//!
//! What is not to be known here is how a poll's time was divided: the kernel adds that, by what stands in a thread-local of each thread
//! (`abi::replace_times`), and takes the whole at the scope's end. `ABI.md` has the layout.
//!
//! Invariant: `in_poll_ns + scheduled_ns + suspended_ns == last_ns - first_ns` after every call of [`Sums`].

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi;

/// `Times::magic`.
const MAGIC: u64 = u64::from_ne_bytes(*b"PRFTIMES");

/// A wake's time where the scope is woken inside of its own poll, by the thread that polls it: it is ready as soon as that poll ends, so when it
/// was woken makes no difference, and the clock need not be read.
const IN_POLL: u64 = 1;

/// The scope's first poll is in its times.
const START_SEEN: u64 = 1;

/// What is added up. Plain data: one thread at a time has the scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Sums {
    /// [`START_SEEN`].
    flags: u64,
    /// Its first poll (ns).
    first_ns: u64,
    /// Up to when its time has been divided (ns).
    last_ns: u64,
    /// Between enters and exits.
    in_poll_ns: u64,
    /// Between wakes and enters.
    scheduled_ns: u64,
    /// Between exits and wakes.
    suspended_ns: u64,
    /// Polls.
    polls: u64,
    /// Polls that a wake led to.
    wakes: u64,
    /// Polls but the first that no wake led to.
    wakes_unseen: u64,
    /// The longest poll (ns).
    longest_poll_ns: u64,
}

impl Sums {
    /// A poll begins; `woken_ns` is when the scope was first woken since the last, 0 for not at all.
    #[inline]
    fn enter(&mut self, now_ns: u64, woken_ns: u64) {
        if self.polls == 0 {
            (self.first_ns, self.last_ns) = (now_ns, now_ns);
        } else {
            let between = now_ns.saturating_sub(self.last_ns);
            if woken_ns == 0 {
                // Its task was woken for something else.
                self.suspended_ns += between;
                self.wakes_unseen += 1;
            } else {
                // One from within the last poll makes it ready at once.
                let suspended = woken_ns.saturating_sub(self.last_ns).min(between);
                self.suspended_ns += suspended;
                self.scheduled_ns += between - suspended;
                self.wakes += 1;
            }
            self.last_ns += between;
        }
        self.polls += 1;
    }

    /// A poll ends.
    #[inline]
    fn exit(&mut self, now_ns: u64) {
        let elapsed = now_ns.saturating_sub(self.last_ns);
        self.in_poll_ns += elapsed;
        self.longest_poll_ns = self.longest_poll_ns.max(elapsed);
        self.last_ns += elapsed;
    }

    #[cfg(test)]
    pub(crate) fn first_ns(&self) -> u64 {
        self.first_ns
    }

    #[cfg(test)]
    pub(crate) fn polls(&self) -> u64 {
        self.polls
    }

    /// The scope is dropped while it waits.
    fn drop_waiting(&mut self, now_ns: u64) {
        let between = now_ns.saturating_sub(self.last_ns);
        self.suspended_ns += between;
        self.last_ns += between;
    }
}

/// See `ABI.md`. On the heap, shared with the scope's waker, which may outlive it.
#[repr(C)]
pub(crate) struct Times {
    magic: u64,
    /// The scope's number.
    seq: u64,
    /// That of the scope in whose poll this one is polled; while it is.
    parent: UnsafeCell<*const Times>,
    sums: UnsafeCell<Sums>,
    /// When the scope was first woken since its last poll (ns), 0 for not at all. Written by whoever wakes it.
    first_wake_ns: AtomicU64,
    _reserved: [u64; 2],
}

// SAFETY: `parent` and `sums` are touched through a scope that the caller has to itself (see `begin`), the wake is atomic, and what a
// pointer stands for is only ever compared or read by the kernel.
unsafe impl Send for Times {}
// SAFETY: the same.
unsafe impl Sync for Times {}

/// A poll that panics leaves sums that hold what they held before it, or with it: both add up.
impl std::panic::RefUnwindSafe for Times {}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Times, seq) == 8);
    assert!(offset_of!(Times, parent) == 16);
    assert!(offset_of!(Times, sums) == 24);
    assert!(offset_of!(Sums, longest_poll_ns) == 72);
    assert!(offset_of!(Times, first_wake_ns) == 104);
    assert!(size_of::<Times>() == 128);
};

impl Times {
    /// Of scope `seq`, which has not been polled since they were asked for.
    /// `start_seen`: its next poll is its first.
    pub(crate) fn new(seq: u64, start_seen: bool) -> Self {
        let flags = if start_seen { START_SEEN } else { 0 };
        Self {
            magic: MAGIC,
            seq,
            parent: UnsafeCell::new(ptr::null()),
            sums: UnsafeCell::new(Sums { flags, ..Sums::default() }),
            first_wake_ns: AtomicU64::new(0),
            _reserved: [0; 2],
        }
    }

    /// The scope is woken. Before its task is: behind that it may be entered already.
    #[inline]
    pub(crate) fn woken(&self) {
        if ptr::eq(abi::current_times(), self) {
            // Any other that is noted came in this poll too, since its start took what was there: the same of it.
            self.first_wake_ns.store(IN_POLL, Ordering::Relaxed);
        } else if self.first_wake_ns.load(Ordering::Relaxed) == 0 {
            // One that is noted already keeps its place, at the price of a load.
            let _ = self.first_wake_ns.compare_exchange(0, abi::now_ns(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    #[inline]
    fn take_wake(&self) -> u64 {
        let woken_ns = self.first_wake_ns.load(Ordering::Relaxed);
        if woken_ns != 0 {
            // Nobody else writes where there is one.
            self.first_wake_ns.store(0, Ordering::Relaxed);
        }
        woken_ns
    }
}

/// A scope's own hold of its times: nobody else has one for the same.
pub(crate) struct Kept<'a>(&'a Times);

impl<'a> Kept<'a> {
    /// # Safety
    /// The caller has the scope of `times` to itself for as long as this lives.
    pub(crate) unsafe fn new(times: &'a Times) -> Self {
        Self(times)
    }

    /// What has been added up.
    pub(crate) fn sums(&self) -> Sums {
        // SAFETY: ours alone, by `new`.
        unsafe { *self.0.sums.get() }
    }

    /// Changes what has been added up.
    #[inline]
    fn change(&self, change: impl FnOnce(&mut Sums)) {
        // SAFETY: ours alone, by `new`, and the change knows nothing of us.
        change(unsafe { &mut *self.0.sums.get() });
    }

    /// Goes on from another block, which nobody has told of its wakes yet: the scope's task has changed.
    pub(crate) fn go_on_from(&self, before: &Kept<'_>) {
        self.change(|own| *own = before.sums());
        self.0.first_wake_ns.store(before.0.take_wake(), Ordering::Relaxed);
    }

    /// A poll begins. It ends when what this gives is dropped.
    #[inline]
    pub(crate) fn enter(self) -> Timing<'a> {
        let woken_ns = self.0.take_wake();
        self.change(|sums| sums.enter(abi::now_ns(), woken_ns));
        let outer = abi::current_times();
        // Before the block is published: the thread may lose its CPU between any two of these stores, and from the moment at which its word
        // points here the kernel finds the scopes around this one by `parent` alone. Were that written second, a switch in between would leave
        // the outer scopes' time off the CPU in their running. The other way round is harmless: until the word changes nobody follows it, and
        // the outer scopes are found as before. The compiler keeps the order, because the store behind is assembly that may read any memory;
        // the processor does, because the kernel reads on the same CPU.
        // SAFETY: ours alone, by `new`.
        unsafe { *self.0.parent.get() = outer };
        // Behind the clock, so that what the kernel sees of a stretch lies inside the poll.
        abi::replace_times(self.0);
        Timing { kept: self, outer }
    }

    /// The scope is over: without a poll since it last waited, if it was `dropped`. The block's address for whoever listens, unless
    /// there is nothing in it.
    pub(crate) fn end(&self, dropped: bool) -> Option<*const Times> {
        if self.sums().polls == 0 {
            return None;
        }
        if dropped {
            self.change(|sums| sums.drop_waiting(abi::now_ns()));
        }
        Some(ptr::from_ref(self.0))
    }
}

/// One poll of a scope that keeps its times.
pub(crate) struct Timing<'a> {
    kept: Kept<'a>,
    /// What stood in the thread-local before.
    outer: *const Times,
}

impl Drop for Timing<'_> {
    #[inline]
    fn drop(&mut self) {
        abi::replace_times(self.outer);
        // The next poll may be in another scope, and is seen in none until it says so.
        // SAFETY: ours alone, by `Kept::new`.
        unsafe { *self.kept.0.parent.get() = ptr::null() };
        self.kept.change(|sums| sums.exit(abi::now_ns()));
    }
}

#[cfg(test)]
mod tests;
