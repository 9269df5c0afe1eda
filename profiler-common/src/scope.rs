//! The row of one scope, which is one instance of a request, and what its enter, exit and end do to it.
//!
//! A scope is a part of a task. Inside its own poll its time is divided by the thread's clocks, like a task's. Between two of
//! its polls it is suspended, then scheduled from the wake of its task that led to the poll that entered it again; a poll of the
//! task that does not enter the scope leaves it suspended.
//!
//! Where tasks are not seen, because only wanted requests are, a scope has a waker of its own: it is scheduled from its own first wake on,
//! and entered without one (its task was woken for something else) it has been suspended.
//!
//! Invariant: `states.wall_ns() == last_ns - first_ns` after every call.

use crate::awaits::Awaiting;
use crate::clock::{OffCpu, Snapshot};
use crate::frame::Frame;
use crate::limits::{REQUEST_ID_BYTES, SCOPE_SLOTS, TRACE_ID_BYTES};
use crate::record::{POLL_OF_SCOPE, PollRecord, RecordKind};
use crate::states::{Ready, States};
use crate::task::{self, TaskRow};
use crate::thread::ThreadRow;

/// The scope is being polled.
pub const INSIDE: u32 = 1;
/// It was entered outside any task (`block_on`): no wake can be seen, so `scheduled` is not known.
pub const NO_TASK: u32 = 2;
/// It has ended; the row waits for the daemon because the ring buffer was full.
pub const ENDED: u32 = 4;
/// Of a request that a key names: its first poll was seen.
pub const START_SEEN: u32 = 8;

/// It is woken through a waker of its own, and nothing is known of its task.
pub const OWN_WAKER: u32 = 16;
/// When it was left last, its future had something to wait for.
pub const LEFT_PENDING: u32 = 32;
/// It may have been entered before, when there was no room for it: its times begin later than it did.
pub const TURNED_AWAY: u32 = 64;

/// It has kept its times itself: nothing is known of its task, its stacks or its awaits.
pub const TIMED: u32 = 256;

/// Its one poll, in which it was done, has no record of its own: the row says it ([`ScopeRow::only_poll`]).
pub const POLL_IN_ROW: u32 = 512;

/// What the numbers of requests begin with that a key names: the annotation counts from 1 on.
pub const KEYED: u64 = 1 << 63;

/// One row of the `SCOPES` map; the key is the scope's sequence number, unique in its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ScopeRow {
    /// Odd while a handler writes the row.
    pub sequence: u32,
    /// [`INSIDE`], [`NO_TASK`], [`ENDED`], [`START_SEEN`], [`OWN_WAKER`], [`LEFT_PENDING`], [`TURNED_AWAY`], [`TIMED`],
    /// [`POLL_IN_ROW`].
    pub flags: u32,
    /// Length of the request id (bytes, 1 to 64).
    pub id_len: u32,
    /// Place of its task's type in the daemon's list, `u32::MAX` outside any task.
    pub task_type: u32,
    /// The request id, untrusted, zeros after `id_len`.
    pub id: [u8; REQUEST_ID_BYTES],
    /// Header address of the task in which it was entered last, 0 for none.
    pub task: u64,
    /// That task's id, 0 for none.
    pub task_id: u64,
    /// The trace it is part of, W3C byte order; zeros for none.
    pub trace_id: [u8; TRACE_ID_BYTES],
    /// The thread of the open or last poll.
    pub tid: u32,
    /// The node at which a walk of its awaits begins, and 1; 0 for none.
    pub await_root: u32,
    /// Its first poll (ns).
    pub first_ns: u64,
    /// Up to when its time has been divided (ns).
    pub last_ns: u64,
    /// Of one with a waker of its own: when the first wake since it was entered last came (ns), 0 for none. Others write it. Else, and only with
    /// [`POLL_IN_ROW`], when its task became ready for that poll (ns), 0 where its wake was not seen.
    pub first_wake_ns: u64,
    /// The thread's clocks when it was entered.
    pub off_at_enter: OffCpu,
    /// Its time so far.
    pub states: States,
    /// Polls of the scope.
    pub polls: u64,
    /// Polls of the scope whose task's wake was seen.
    pub wakes: u64,
    /// Polls of the scope whose task's wake was not seen.
    pub wakes_unseen: u64,
    /// The longest poll of the scope (ns).
    pub longest_poll_ns: u64,
    /// The address of the future that the scope wraps.
    pub future: u64,
    /// Where it waits since it was last left.
    pub awaiting: Awaiting,
    /// Where only scopes are seen: how many task ids Tokio gave out while it, or a child of it, was polled, to whomever, without those of the
    /// children that are followed.
    pub ids_given: u64,
}

/// One slot of the map `SCOPE_SLOTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ScopeSlot {
    /// The scope's sequence number; 0: nobody has the slot.
    pub scope: u64,
    /// How many scopes that go on would have this slot and are in the map `SCOPES`, because it was taken when they were entered first.
    pub by_hash: u64,
    /// Its row.
    pub row: ScopeRow,
}

impl ScopeSlot {
    /// Where the scope of this number has its slot. Scopes whose numbers follow one another are polled by different threads: their slots lie apart, so
    /// that no two share a line of a cache.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "less than SCOPE_SLOTS, which is a u32")]
    pub const fn place(scope: u64) -> u32 {
        const { assert!(SCOPE_SLOTS.is_power_of_two()) };
        (scope.wrapping_mul(Self::APART) % SCOPE_SLOTS as u64) as u32
    }

    /// Odd, so that it is a permutation.
    const APART: u64 = 37;
}

impl Default for ScopeRow {
    fn default() -> Self {
        Self::NEW
    }
}

impl ScopeRow {
    /// A scope that has not been entered yet.
    pub const NEW: Self = Self {
        sequence: 0,
        flags: 0,
        id_len: 0,
        task_type: u32::MAX,
        id: [0; REQUEST_ID_BYTES],
        task: 0,
        task_id: 0,
        trace_id: [0; TRACE_ID_BYTES],
        tid: 0,
        await_root: 0,
        first_ns: 0,
        last_ns: 0,
        first_wake_ns: 0,
        off_at_enter: OffCpu { preempted_ns: 0, blocked_ns: 0, stopped_ns: 0 },
        states: States {
            running_ns: 0,
            preempted_ns: 0,
            blocked_ns: 0,
            scheduled_ns: 0,
            suspended_ns: 0,
            stopped_ns: 0,
            unseen_ns: 0,
        },
        polls: 0,
        wakes: 0,
        wakes_unseen: 0,
        longest_poll_ns: 0,
        future: 0,
        awaiting: Awaiting::NOWHERE,
        ids_given: 0,
    };

    /// The request id.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        self.id.get(..self.id_len as usize).unwrap_or(&self.id)
    }

    /// When the scope became ready, as far as the poll around it knows.
    #[inline(always)]
    fn ready(&self, outer: &Frame) -> Ready {
        if self.flags & OWN_WAKER != 0 {
            if outer.ready_ns != 0 { Ready::At(outer.ready_ns) } else { Ready::Not }
        } else if outer.task == 0 || outer.start_ns < self.last_ns {
            // Outside any task no wake can be seen. Left in this very poll, it is entered again without one having led to it.
            Ready::Not
        } else if outer.ready_ns != 0 {
            Ready::At(outer.ready_ns)
        } else {
            // The wake was not seen, but the poll's start was: the task was ready then at the latest.
            Ready::At(outer.start_ns)
        }
    }

    /// The scope is entered on the thread of `snapshot`, inside `outer` (its `task` is 0 outside any poll; of a scope with a waker of its own
    /// its `ready_ns` is that of the wake taken from `first_wake_ns`).
    /// Returns whether the event was older than the row.
    #[inline(always)]
    pub fn on_enter(&mut self, snapshot: &Snapshot, tid: u32, outer: &Frame) -> bool {
        let mut backwards = false;
        let mut now_ns = snapshot.now_ns;
        if self.polls == 0 {
            self.first_ns = now_ns;
        } else {
            if now_ns < self.last_ns {
                backwards = true;
                now_ns = self.last_ns;
            }
            // An enter without an exit before it: what lies between cannot be told apart.
            let ready = if self.flags & INSIDE != 0 { Ready::Unseen } else { self.ready(outer) };
            let suspended_before = self.states.suspended_ns;
            self.states.add_between(self.last_ns, now_ns, ready);
            let wakes_seen = outer.task != 0 || self.flags & OWN_WAKER != 0;
            if wakes_seen && outer.ready_ns != 0 {
                self.wakes += 1;
            } else if wakes_seen {
                self.wakes_unseen += 1;
                if let Ready::At(_) = ready {
                    self.states.unseen_ns += self.states.suspended_ns - suspended_before;
                }
            }
        }
        let no_task = if outer.task == 0 && self.flags & OWN_WAKER == 0 { NO_TASK } else { 0 };
        self.flags = self.flags & !(NO_TASK | LEFT_PENDING) | INSIDE | no_task;
        self.task = outer.task;
        self.tid = tid;
        self.off_at_enter = snapshot.off;
        self.last_ns = now_ns;
        self.polls += 1;
        backwards
    }

    /// The scope's poll returns. Returns whether the event was older than the row.
    #[inline(always)]
    pub fn on_exit(&mut self, snapshot: &Snapshot) -> bool {
        let backwards = snapshot.now_ns < self.last_ns;
        let now_ns = if backwards { self.last_ns } else { snapshot.now_ns };
        let elapsed = now_ns - self.last_ns;
        self.states.add_polled(elapsed, snapshot.off.since(&self.off_at_enter));
        if elapsed > self.longest_poll_ns {
            self.longest_poll_ns = elapsed;
        }
        self.flags &= !INSIDE;
        self.last_ns = now_ns;
        backwards
    }

    /// It is about to be left for good: whether the poll needs no record of its own, because it is the only one. Of one with a waker of its own others
    /// write what the row would have to say.
    #[inline(always)]
    #[must_use]
    pub const fn is_only_poll(&self) -> bool {
        self.polls == 1 && self.flags & OWN_WAKER == 0
    }

    /// The row says its only poll. `ready_ns` is when its task became ready for it, 0 where that was not seen.
    #[inline(always)]
    pub fn keep_poll(&mut self, ready_ns: u64) {
        self.flags |= POLL_IN_ROW;
        self.first_wake_ns = ready_ns;
    }

    /// The record of the poll that is told by the row, of the scope of this number.
    #[inline(always)]
    #[must_use]
    pub fn only_poll(&self, scope: u64) -> Option<PollRecord> {
        (self.flags & POLL_IN_ROW != 0).then_some(PollRecord {
            kind: RecordKind::Poll as u32,
            tid: self.tid,
            task: self.task,
            task_id: self.task_id,
            task_type: self.task_type,
            what: POLL_OF_SCOPE,
            request: scope,
            ready_ns: self.first_wake_ns,
            start_ns: self.first_ns,
            end_ns: self.first_ns + self.longest_poll_ns,
            off: OffCpu {
                preempted_ns: self.states.preempted_ns,
                blocked_ns: self.states.blocked_ns,
                stopped_ns: self.states.stopped_ns,
            },
        })
    }

    /// The scope is done or dropped. Nothing of the poll around the end is looked at: a poll that does not enter the scope, but
    /// drops it, leaves it suspended like any other (`timeout`, `select!`, an abort).
    #[inline(always)]
    pub fn on_end(&mut self, snapshot: &Snapshot) -> bool {
        self.flags |= ENDED;
        if self.flags & INSIDE != 0 {
            return self.on_exit(snapshot);
        }
        let backwards = snapshot.now_ns < self.last_ns;
        let now_ns = if backwards { self.last_ns } else { snapshot.now_ns };
        self.states.add_between(self.last_ns, now_ns, Ready::Not);
        self.last_ns = now_ns;
        backwards
    }

    /// The row as it would be at `at_ns` if nothing happened until then: `thread` is the row of its thread while it is inside,
    /// `task` the row of its task while it is not. A row made but not entered yet has no time to divide.
    #[must_use]
    pub fn projected(&self, thread: Option<&ThreadRow>, task: Option<&TaskRow>, at_ns: u64) -> Self {
        let mut row = *self;
        if row.flags & ENDED != 0 || row.polls == 0 {
            return row;
        }
        let now_ns = if at_ns < self.last_ns { self.last_ns } else { at_ns };
        if row.flags & INSIDE != 0 {
            let off = thread.map_or(row.off_at_enter, |thread| thread.off_at(now_ns));
            let elapsed = now_ns - row.last_ns;
            row.states.add_polled(elapsed, off.since(&row.off_at_enter));
            if elapsed > row.longest_poll_ns {
                row.longest_poll_ns = elapsed;
            }
        } else if row.flags & OWN_WAKER != 0 {
            let ready = if row.first_wake_ns != 0 { Ready::At(row.first_wake_ns) } else { Ready::Not };
            row.states.add_between(row.last_ns, now_ns, ready);
        } else {
            let ready = match task {
                Some(task) if task.flags & task::POLLED == 0 => task.ready(task.first_wake_ns),
                // Polled, but not entered: only a wake that came since, and leads to the next poll, makes it ready.
                Some(task) if task.first_wake_ns != 0 => Ready::At(task.first_wake_ns),
                _ => Ready::Not,
            };
            row.states.add_between(row.last_ns, now_ns, ready);
        }
        row.last_ns = now_ns;
        row
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Check that numbers that follow one another have slots of their own, apart from one another.
    #[test]
    fn slots_are_dealt_out_evenly() {
        for first in [1, 1000, u64::MAX - u64::from(SCOPE_SLOTS)] {
            let places = (0..u64::from(SCOPE_SLOTS)).map(|nth| ScopeSlot::place(first.wrapping_add(nth)));
            assert!(places.clone().all(|place| place < SCOPE_SLOTS));
            assert_eq!(places.collect::<BTreeSet<_>>().len(), SCOPE_SLOTS as usize);
            assert!(ScopeSlot::place(first).abs_diff(ScopeSlot::place(first + 1)) > 1);
        }
    }

    /// Check that the poll that a row says is the one that it had.
    #[test]
    fn the_only_poll_is_told_by_the_row() {
        let mut row = ScopeRow::NEW;
        let off = |preempted_ns, blocked_ns| OffCpu { preempted_ns, blocked_ns, stopped_ns: 0 };
        let outer = Frame { task: 0x10, ready_ns: 90, start_ns: 95, ..Frame::default() };
        row.on_enter(&Snapshot { now_ns: 100, off: off(5, 7), torn: false }, 77, &outer);
        assert!(row.is_only_poll());
        row.keep_poll(outer.ready_ns);
        row.on_exit(&Snapshot { now_ns: 150, off: off(15, 27), torn: false });
        row.on_end(&Snapshot { now_ns: 160, off: off(15, 27), torn: false });
        let poll = row.only_poll(3).unwrap();
        assert_eq!((poll.request, poll.task, poll.tid, poll.what), (3, 0x10, 77, POLL_OF_SCOPE));
        assert_eq!((poll.ready_ns, poll.start_ns, poll.end_ns), (90, 100, 150));
        assert_eq!((poll.off.preempted_ns, poll.off.blocked_ns), (10, 20));
    }

    /// Check that a row with records of its polls says none, and that one whose own waker writes into it cannot.
    #[test]
    fn other_polls_have_records() {
        let mut row = ScopeRow { flags: OWN_WAKER, ..ScopeRow::NEW };
        assert!(row.only_poll(3).is_none());
        row.on_enter(&Snapshot { now_ns: 100, ..Snapshot::default() }, 77, &Frame::default());
        assert!(!row.is_only_poll());
        row.flags &= !OWN_WAKER;
        row.on_exit(&Snapshot { now_ns: 110, ..Snapshot::default() });
        row.on_enter(&Snapshot { now_ns: 120, ..Snapshot::default() }, 77, &Frame::default());
        assert!(!row.is_only_poll());
    }
}
