//! What of a scope does not depend on the future's type: one copy of this code in a program.

use std::sync::atomic::Ordering;

use super::current::{Active, Current};
use crate::abi;
use crate::record::Record;
use crate::times::{Kept, Times, Timing};
use crate::waker::Purpose;
use crate::wanted::{self, Case};

/// A scope without its future.
pub(crate) struct State {
    record: Record,
    /// 0 while `phase` is `New`.
    seq: u64,
    /// It keeps its times, those that the table asks for since then (ns). 0: it does not.
    times_since_ns: u64,
    /// Under which generation of the table it was judged last.
    generation: u32,
    phase: Phase,
    /// Its probes are reached whoever listens.
    wanted: bool,
    /// It carries a good token.
    marked: bool,
    /// Its first poll is in its times.
    start_seen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not polled yet.
    New,
    /// A request: its probes fire.
    Request,
    /// A child of a wanted request: its probes fire until the rules change, because whose it is was told under these.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "children are spawned through tokio"))]
    Child,
    /// Part of the request around it, which it began inside of, or of an unwanted one that spawned it: no probes.
    Inner,
    /// Over: nothing more to say.
    Ended,
}

/// Where a scope is polled. It lies in the stack frame that polls the future, so its own address stands above those of all frames of the
/// future's, and below that frame's return address.
pub(crate) struct Place {
    /// The wrapped future.
    pub(crate) future: *const (),
    /// Its poll function.
    pub(crate) poll: *const (),
}

impl State {
    /// A request's.
    pub(crate) fn new(record: Record) -> Self {
        Self {
            record,
            seq: 0,
            times_since_ns: 0,
            generation: 0,
            phase: Phase::New,
            wanted: false,
            marked: false,
            start_seen: false,
        }
    }

    /// That of a child of the request of `record`; `seq`: its number, if its parent is wanted.
    #[cfg(feature = "tokio")]
    pub(crate) fn child(record: Record, seq: Option<u64>) -> Self {
        let generation = abi::table().asked.generation.load(Ordering::Relaxed);
        let phase = if seq.is_some() { Phase::Child } else { Phase::Inner };
        Self { seq: seq.unwrap_or(0), generation, phase, wanted: seq.is_some(), ..Self::new(record) }
    }

    /// Its request carries a good token.
    #[cfg(feature = "profile-header")]
    pub(crate) fn mark(&mut self) {
        self.marked = true;
    }

    #[inline]
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// What its thread's code can ask for while it is polled.
    pub(super) fn active(&self) -> Active<'_> {
        Active { record: &self.record, seq: self.seq, wanted: self.wanted }
    }

    /// Makes it the current one of this thread, without a poll.
    #[inline]
    pub(crate) fn as_current(&self) -> Current<'_> {
        Current::set(self)
    }

    /// A poll is about to begin: whether anything is asked of the scope now. Before [`State::enter`].
    #[inline]
    pub(crate) fn look(&mut self) {
        if self.phase == Phase::New {
            self.begin();
        } else if self.fires() {
            // All that a poll pays while its request is not wanted.
            let generation = abi::table().asked.generation.load(Ordering::Relaxed);
            if generation != self.generation {
                self.judge(generation, false);
            }
        }
    }

    /// What the scope needs a waker of its own for.
    #[inline]
    pub(crate) fn purpose(&self) -> Option<Purpose> {
        let Self { seq, wanted, times_since_ns: since_ns, start_seen, .. } = *self;
        (wanted || since_ns != 0).then_some(Purpose { seq, wanted, since_ns, start_seen })
    }

    /// A poll begins. `times`: those of this scope, if it keeps any.
    #[inline]
    pub(crate) fn enter<'a>(&'a mut self, place: &Place, times: Option<&'a Times>) -> Entered<'a> {
        let request = self.fires().then_some(self.seq);
        let current = self.as_current();
        if let Some(seq) = request {
            abi::scope_enter(self.wanted, &raw const self.record, seq, place);
        }
        // SAFETY: the caller has the scope to itself, for as long as it is borrowed.
        let timing = times.map(|times| unsafe { Kept::new(times) }.enter());
        Entered { timing, current, request, wanted: self.wanted, pending: false }
    }

    #[inline]
    fn fires(&self) -> bool {
        !matches!(self.phase, Phase::New | Phase::Inner | Phase::Ended)
    }

    #[cold]
    fn begin(&mut self) {
        if Active::now(|around| around.record.same_request(&self.record)) == Some(true) {
            self.phase = Phase::Inner;
            return;
        }
        self.phase = Phase::Request;
        self.seq = abi::table().next_scope();
        let generation = abi::table().asked.generation.load(Ordering::Relaxed);
        if generation != 0 {
            self.judge(generation, true);
            self.start_seen = self.times_since_ns != 0;
        }
    }

    #[cold]
    fn judge(&mut self, generation: u32, new: bool) {
        self.generation = generation;
        if self.phase != Phase::Request {
            // A child, which keeps no times either.
            (self.phase, self.wanted) = (Phase::Inner, false);
            return;
        }
        let case = Case { record: &self.record, seq: self.seq, new, marked: self.marked };
        self.wanted = generation != 0 && wanted::judge(abi::table(), &case);
        let since_ns = if generation == 0 { 0 } else { wanted::times_since_ns(abi::table()) };
        if since_ns != self.times_since_ns {
            (self.times_since_ns, self.start_seen) = (since_ns, false);
        }
    }

    /// The scope is over; `dropped`: it was not done. `times`: those of this scope, if it has kept any.
    #[inline]
    pub(crate) fn end(&mut self, times: Option<&Times>, dropped: bool) {
        if self.fires() {
            abi::scope_end(self.wanted, &raw const self.record, self.seq);
            if let Some(times) = times {
                self.deliver(times, dropped);
            }
        }
        // What its destructors spawn is nobody's.
        (self.phase, self.wanted) = (Phase::Ended, false);
    }

    /// Says what the scope has kept, if it is what is asked for now.
    #[inline(never)]
    fn deliver(&self, times: &Times, dropped: bool) {
        let since_ns = self.times_since_ns;
        if since_ns != 0 && since_ns == wanted::times_since_ns(abi::table()) {
            // SAFETY: the caller has the scope to itself.
            let kept = unsafe { Kept::new(times) };
            if let Some(block) = kept.end(dropped) {
                abi::scope_times(&raw const self.record, self.seq, block);
            }
        }
    }
}

/// One poll of a scope. Ends it when dropped, also by a panic.
pub(crate) struct Entered<'a> {
    timing: Option<Timing<'a>>,
    current: Current<'a>,
    /// The scope's number, if its probes fire.
    request: Option<u64>,
    wanted: bool,
    pending: bool,
}

impl Entered<'_> {
    /// The future has something to wait for. Without this it is done, or has panicked.
    #[inline]
    pub(crate) fn left_pending(&mut self) {
        self.pending = true;
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        self.timing = None;
        if let Some(seq) = self.request {
            abi::scope_exit(self.wanted, self.current.record(), seq, !self.pending);
        }
    }
}
