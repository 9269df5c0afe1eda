//! The row of one live task, and what poll starts, poll ends and wakes do to it.
//!
//! A task is polled by one thread at a time (Tokio's RUNNING bit), so a poll's start and end have one writer. A wake comes from
//! anywhere and writes one word, `first_wake_ns`, by compare-exchange from 0; the next poll start takes it.
//!
//! Invariant: `states.wall_ns() == last_ns - first_ns` after every call.

use crate::awaits::{Awaiting, Basis};
use crate::clock::{OffCpu, Snapshot};
use crate::states::{Ready, States, least};
use crate::thread::ThreadRow;

/// The spawn was seen: wall time starts there. Otherwise at the first poll in the window.
pub const SPAWN_SEEN: u32 = 1;
/// A poll is open.
pub const POLLED: u32 = 2;
/// Ready since `last_ns`: spawned, or its last poll ended with a wake already noted.
pub const READY: u32 = 4;
/// Its last poll deferred its own wake (`yield_now`, a spent coop budget): ready, although the wake comes later.
pub const YIELDED: u32 = 8;
/// A wanted scope has been entered in one of its polls, so its polls and wakes leave records.
pub const CARRIER: u32 = 16;

/// It is a child that the annotation has told of, not Tokio: its key and id are [`CHILD`] and its scope's number, and `vtable` holds the
/// address of the future.
pub const CHILD_SCOPE: u32 = 32;
/// See [`CHILD_SCOPE`]: it is a closure in the pool of blocking threads.
pub const CHILD_BLOCKING: u32 = 64;
/// See [`CHILD_SCOPE`]: it is a task of a `LocalSet`.
pub const CHILD_LOCAL: u32 = 128;

/// What the keys and ids of [`CHILD_SCOPE`] rows begin with: no address, and no id that Tokio comes to.
pub const CHILD: u64 = 1 << 62;

/// Bits of the word at the start of a task's header (tokio `runtime/task/state.rs`, the same from 1.8 to 1.54).
pub mod state_word {
    /// The task has completed.
    pub const COMPLETE: u64 = 0b10;
    /// The task is in a run queue, or will be put there when its poll ends.
    pub const NOTIFIED: u64 = 0b100;
    /// The task is to be cancelled.
    pub const CANCELLED: u64 = 0b10_0000;
}

/// One row of the `TASKS` map; the key is the task's header address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TaskRow {
    /// Odd while a handler writes the row.
    pub sequence: u32,
    /// [`SPAWN_SEEN`], [`POLLED`], [`READY`], [`YIELDED`], [`CARRIER`], [`CHILD_SCOPE`], [`CHILD_BLOCKING`], [`CHILD_LOCAL`].
    pub flags: u32,
    /// Tokio's task id; 0 where this Tokio version has none.
    pub id: u64,
    /// The vtable in the task's header, a runtime address.
    pub vtable: u64,
    /// Place of the type in the daemon's list of task types.
    pub task_type: u32,
    /// The thread of the open or last poll.
    pub tid: u32,
    /// The request (scope sequence number) on whose thread it was spawned, 0 for none.
    pub request: u64,
    /// Since when it is known (ns).
    pub first_ns: u64,
    /// Up to when its time has been divided (ns).
    pub last_ns: u64,
    /// When the first effective wake since the last poll start came (ns), 0 for none. The one word that others write.
    pub first_wake_ns: u64,
    /// The thread's clocks at the start of the open poll.
    pub off_at_start: OffCpu,
    /// Its time so far.
    pub states: States,
    /// Polls started.
    pub polls: u64,
    /// Effective wakes: calls through its waker that found it not notified yet. Added to by others.
    pub wakes: u64,
    /// Polls whose wake was not seen.
    pub wakes_unseen: u64,
    /// Polls that ended in a yield.
    pub yields: u64,
    /// The longest poll (ns).
    pub longest_poll_ns: u64,
    /// Moves at every poll start.
    pub generation: u32,
    /// The node at which a walk of its awaits begins, and 1; 0 for none.
    pub await_root: u32,
    /// Where it waits since its last poll's end.
    pub awaiting: Awaiting,
    /// With layouts the id of the stack at which it was last found waiting: that one is kept already. Without, of the stack in which a leaf
    /// last stored its waker. 0 for none.
    pub last_stack: u64,
    /// The request (scope sequence number) that the key's value in its memory names, 0 for none. Equal to `request` where the value is that
    /// of the request that spawned it.
    pub keyed: u64,
    /// The value's hash, 0 for none: whether it is wanted or not.
    pub key_hash: u64,
    /// The number that the request will have, if the poll that spawned it turns out to be the first of one; 0 for none.
    pub spawner: u64,
    /// Id of the task that was being polled on the thread that spawned it, 0 for none.
    pub parent: u64,
    /// Where the id stands behind the header's address (bytes), 0 where this Tokio version has none.
    pub id_offset: u32,
    /// Keeps the row a multiple of 8 bytes; always 0.
    pub padding: u32,
    /// What the walk to `last_stack` went by. Read and written at the ends of its polls only.
    pub basis: Basis,
}

/// What a poll's start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// When the task became ready (ns), 0 where that was not seen.
    pub ready_ns: u64,
    /// The end of the poll before was not seen.
    pub end_unseen: bool,
    /// The event was older than the row.
    pub backwards: bool,
}

impl TaskRow {
    /// A row as it is put into the map, to be described there: it is too big for the 512 bytes of BPF stack. Its sequence number says that it is
    /// being written, so nobody takes it for a task before it is one.
    pub const NEW: Self = Self {
        sequence: 1,
        flags: 0,
        id: 0,
        vtable: 0,
        task_type: 0,
        tid: 0,
        request: 0,
        first_ns: 0,
        last_ns: 0,
        first_wake_ns: 0,
        off_at_start: OffCpu { preempted_ns: 0, blocked_ns: 0, stopped_ns: 0 },
        states: States::NONE,
        polls: 0,
        wakes: 0,
        wakes_unseen: 0,
        yields: 0,
        longest_poll_ns: 0,
        generation: 0,
        await_root: 0,
        awaiting: Awaiting::NOWHERE,
        last_stack: 0,
        keyed: 0,
        key_hash: 0,
        spawner: 0,
        parent: 0,
        id_offset: 0,
        padding: 0,
        basis: Basis::NONE,
    };

    /// The row of a task seen being spawned at `now_ns`: ready at once.
    #[inline(always)]
    pub fn spawned(&mut self, now_ns: u64, request: u64) {
        self.flags = SPAWN_SEEN | READY;
        self.request = request;
        self.first_ns = now_ns;
        self.last_ns = now_ns;
    }

    /// The row of a task first met at a poll's start.
    #[inline(always)]
    pub fn found(&mut self, now_ns: u64) {
        self.flags = 0;
        self.first_ns = now_ns;
        self.last_ns = now_ns;
    }

    /// When the task became ready, going by what has been noted since `last_ns` and the wake taken from `first_wake_ns`.
    ///
    /// A wake noted during the last poll makes the task ready at that poll's end, but a scope that was left before it at the wake:
    /// both read it from here and clamp it into their own gap.
    #[inline(always)]
    pub(crate) fn ready(&self, wake_ns: u64) -> Ready {
        if self.flags & (READY | YIELDED) != 0 {
            Ready::At(if wake_ns == 0 { self.last_ns } else { least(wake_ns, self.last_ns) })
        } else if wake_ns != 0 {
            Ready::At(wake_ns)
        } else {
            Ready::Not
        }
    }

    /// A poll starts on the thread of `snapshot`. `wake_ns` is what the caller took out of `first_wake_ns`.
    #[inline(always)]
    pub fn on_poll_start(&mut self, snapshot: &Snapshot, tid: u32, wake_ns: u64) -> Started {
        let backwards = snapshot.now_ns < self.last_ns;
        let now_ns = if backwards { self.last_ns } else { snapshot.now_ns };
        let end_unseen = self.flags & POLLED != 0;
        let new = self.polls == 0 && self.flags & SPAWN_SEEN == 0;

        let ready = if end_unseen { Ready::Unseen } else { self.ready(wake_ns) };
        let ready = match ready {
            // It is polled, so somebody made it ready.
            Ready::Not => Ready::Unseen,
            seen => seen,
        };
        if new {
            // Its wall time starts here, whenever the row was made.
            self.first_ns = now_ns;
        } else {
            self.states.add_between(self.last_ns, now_ns, ready);
            if ready == Ready::Unseen {
                self.wakes_unseen += 1;
            }
        }
        let ready_ns = match ready {
            Ready::At(ns) if ns <= now_ns => ns,
            Ready::At(_) => now_ns,
            _ => 0,
        };

        self.flags = self.flags & !(READY | YIELDED) | POLLED;
        self.off_at_start = snapshot.off;
        self.last_ns = now_ns;
        self.tid = tid;
        self.polls += 1;
        self.generation = self.generation.wrapping_add(1);
        Started { ready_ns, end_unseen, backwards }
    }

    /// The open poll ends on the thread of `snapshot`. `notified` is what the header's state word says just before the task is
    /// released: whether it goes straight back to a run queue. Returns whether the event was older than the row.
    #[inline(always)]
    pub fn on_poll_end(&mut self, snapshot: &Snapshot, notified: bool) -> bool {
        let backwards = snapshot.now_ns < self.last_ns;
        let now_ns = if backwards { self.last_ns } else { snapshot.now_ns };
        let elapsed = now_ns - self.last_ns;
        self.states.add_polled(elapsed, snapshot.off.since(&self.off_at_start));
        if elapsed > self.longest_poll_ns {
            self.longest_poll_ns = elapsed;
        }
        if self.flags & YIELDED != 0 {
            self.yields += 1;
        }
        self.flags = self.flags & !POLLED | if notified { READY } else { 0 };
        self.last_ns = now_ns;
        backwards
    }

    /// Its poll is about to end, and it waits there.
    #[inline(always)]
    pub fn awaits(&mut self, awaiting: Awaiting) {
        self.awaiting = awaiting;
        if awaiting.stack != 0 {
            self.last_stack = awaiting.stack;
        }
    }

    /// The idle site was reached again for a poll that has ended already (a retry of the exchange): only the notice can be new.
    #[inline(always)]
    pub fn on_idle_again(&mut self, notified: bool) {
        if notified && self.flags & POLLED == 0 {
            self.flags |= READY;
        }
    }

    /// The task deferred its own wake: from the end of this poll on it is ready.
    #[inline(always)]
    pub fn on_defer(&mut self) {
        if self.flags & POLLED != 0 {
            self.flags |= YIELDED;
        }
    }

    /// The task ends outside a poll (`shutdown`, an abort while it is not polled). A poll still open is closed like any other.
    #[inline(always)]
    pub fn on_end(&mut self, snapshot: &Snapshot, wake_ns: u64) -> bool {
        if self.flags & POLLED != 0 {
            return self.on_poll_end(snapshot, false);
        }
        let backwards = snapshot.now_ns < self.last_ns;
        let now_ns = if backwards { self.last_ns } else { snapshot.now_ns };
        self.states.add_between(self.last_ns, now_ns, self.ready(wake_ns));
        self.last_ns = now_ns;
        backwards
    }

    /// The row as it would be at `at_ns` if nothing happened until then. `thread` is the row of its thread while it is polled.
    /// A moment before the last event gives the row at that event.
    #[must_use]
    pub fn projected(&self, thread: Option<&ThreadRow>, at_ns: u64) -> Self {
        let mut row = *self;
        let now_ns = if at_ns < self.last_ns { self.last_ns } else { at_ns };
        if row.flags & POLLED == 0 {
            row.states.add_between(row.last_ns, now_ns, row.ready(row.first_wake_ns));
        } else {
            let off = thread.map_or(row.off_at_start, |thread| thread.off_at(now_ns));
            let elapsed = now_ns - row.last_ns;
            row.states.add_polled(elapsed, off.since(&row.off_at_start));
            if elapsed > row.longest_poll_ns {
                row.longest_poll_ns = elapsed;
            }
        }
        row.last_ns = now_ns;
        row
    }
}

/// Whether a wake makes the task ready: one that finds it notified or complete changes nothing in Tokio either.
#[inline(always)]
#[must_use]
pub const fn wake_is_effective(word: u64) -> bool {
    word & (state_word::NOTIFIED | state_word::COMPLETE) == 0
}
