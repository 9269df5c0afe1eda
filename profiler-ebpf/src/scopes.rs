//! Scopes: entering, leaving and ending a request.

use profiler_common::awaits::{Awaiting, Gap};
use profiler_common::clock::Snapshot;
use profiler_common::frame::{Frame, FrameKind};
use profiler_common::gate::{AWAITS_OFF, Gate, TELL_END};
use profiler_common::limits::TRACE_ID_BYTES;
use profiler_common::loss::Loss;
use profiler_common::record::{RecordKind, RequestRecord};
use profiler_common::scope::{INSIDE, LEFT_PENDING, OWN_WAKER, POLL_IN_ROW, ScopeRow, TURNED_AWAY};
use profiler_common::task::CARRIER;
use profiler_common::totals::SharedWord as _;

use crate::atomics::Shared;
use crate::losses::{lose, lose_many};
use crate::maps::{RECORDS, TASKS, WANTED};
use crate::memory::copy;
use crate::named::{ID_WORDS, Named};
use crate::registers::Hit;
use crate::rows::{writing, written};
use crate::slots::{self, find};
use crate::{atomics, awaits, children, maps, spans, threads, unfollowed};

/// What [`WANTED`] says of a key: a request id.
pub const WANTED_ID: u32 = 1;
/// A trace id.
pub const WANTED_TRACE: u32 = 2;

/// A scope's poll starts. The third and fourth argument are the wrapped future and its poll function.
#[inline(always)]
pub fn enter(hit: &Hit) {
    let (record, sequence) = (hit.first(), hit.second());
    let (tid, _) = threads::current();
    let Some(gate) = threads::open_gate() else { return };
    let Some(thread) = threads::row_within(gate, hit, tid) else { return };
    if gate.requests_only != 0 {
        // What lies below this frame has been left without its exit having been seen.
        let stale = thread.frames.drop_stale(hit.stack_pointer());
        lose_many(Loss::StaleFrame, stale);
        if stale != 0 {
            thread.ids_seen = 0;
        }
        unfollowed::settle(gate, thread, true);
    }
    if children::is_child(sequence) {
        children::enter(gate, hit, tid, thread);
        return;
    }
    let mut outer = thread.frames.top().copied().unwrap_or_default();
    let row = match find(sequence) {
        Some(row) => Some(row),
        None => begin(gate, record, sequence, &outer).map(|row| {
            describe(gate, hit, row);
            row
        }),
    };
    // Not before the row is made, whose time is ours.
    let Some(snapshot) = threads::snapshot_within(gate, thread) else {
        if row.is_some_and(|row| row.polls == 0) {
            slots::remove(sequence);
        }
        return;
    };
    let request = if row.is_some() { sequence } else { 0 };
    let mut frame = thread.frames.scope(sequence, request);
    if let Some(row) = &row
        && row.flags & OWN_WAKER != 0
    {
        let row = &raw const **row;
        // SAFETY: a live word of a map value, which wakers on other CPUs change.
        outer.ready_ns = unsafe { atomics::take((&raw const (*row).first_wake_ns).cast_mut()) };
        frame.ready_ns = outer.ready_ns;
        if frame.sp == u64::MAX {
            // The outermost: stacks end at the frame that polls it.
            (frame.sp, frame.start_ns) = (hit.fifth() | 1, snapshot.now_ns);
        }
    }
    if !thread.frames.push(frame) {
        lose(Loss::FrameStackFull);
    }
    let Some(row) = row else { return };
    if row.flags & POLL_IN_ROW != 0 {
        // It was said to be done: a future that is polled once more all the same.
        spans::only_poll(sequence, row);
        writing(row, |row| (row.flags, row.first_wake_ns) = (row.flags & !POLL_IN_ROW, 0));
    }
    let open = Gap::open(row.last_ns, &row.states);
    let awaiting = row.awaiting;
    let backwards = writing(row, |row| {
        row.awaiting.clear();
        row.on_enter(&snapshot, tid, &outer)
    });
    if backwards {
        lose(Loss::ClockBackwards);
    }
    awaits::waited_scope(sequence, row, &awaiting, &open.closed(&row.states));
}

/// Notes in a new row where a walk of its awaits begins.
#[inline(always)]
fn describe(gate: &Gate, hit: &Hit, row: &mut ScopeRow) {
    if gate.awaits == AWAITS_OFF || gate.await_layouts == 0 {
        return;
    }
    row.future = hit.third();
    match awaits::entry(hit.fourth()) {
        Some(node) => row.await_root = node + 1,
        None => lose(Loss::AwaitTypeUnread),
    }
}

/// Makes the row of a scope entered for the first time, if its request is wanted.
#[inline(always)]
fn begin(gate: &Gate, record: u64, sequence: u64, outer: &Frame) -> Option<&'static mut ScopeRow> {
    let named = match Named::read(record) {
        Ok(named) => named,
        Err(loss) => {
            lose(loss);
            return None;
        }
    };
    if gate.all_requests == 0 && gate.chosen_there == 0 && !is_wanted(named.id(), named.trace_id()) {
        return None;
    }
    let Some(row) = slots::make(sequence) else {
        lose(Loss::ScopeMapFull);
        if let Some(highest) = turned_away() {
            Shared::raise(highest, sequence);
        }
        return None;
    };
    if gate.all_requests == 0 {
        spans::begin(gate, sequence);
    }
    named.write(row);
    if turned_away().is_some_and(|highest| sequence <= *highest) {
        row.flags |= TURNED_AWAY;
    }
    if gate.requests_only != 0 {
        row.flags |= OWN_WAKER;
    }
    if let Some(task) = TASKS.get_ptr_mut(outer.task) {
        // SAFETY: a map value lives as long as the program runs; the task is being polled on this very thread.
        let task = unsafe { &mut *task };
        task.flags |= CARRIER;
        row.task_type = task.task_type;
        row.task_id = task.id;
    }
    written(row);
    Some(row)
}

#[inline(always)]
fn turned_away() -> Option<&'static mut u64> {
    // SAFETY: a map value lives as long as the program runs; it is written atomically.
    maps::TURNED_AWAY.get_ptr_mut(0).map(|highest| unsafe { &mut *highest })
}

/// Whether the request of this id, padded with zeros, or the trace that it is part of, was asked for.
#[inline(always)]
fn is_wanted(mut id: [u64; ID_WORDS], trace_id: [u64; 2]) -> bool {
    // SAFETY: bytes of words, as many; the value is not kept.
    if unsafe { WANTED.get(&*(&raw const id).cast()) }.is_some_and(|what| *what & WANTED_ID != 0) {
        return true;
    }
    if trace_id == [0; 2] {
        return false;
    }
    id = [0; ID_WORDS];
    id[..TRACE_ID_BYTES / 8].copy_from_slice(&trace_id);
    // SAFETY: as above.
    unsafe { WANTED.get(&*(&raw const id).cast()) }.is_some_and(|what| *what & WANTED_TRACE != 0)
}

/// A wanted scope is woken through its own waker, before its task is. One that has ended makes no record.
#[inline(always)]
pub fn wake(hit: &Hit) {
    let sequence = hit.first();
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    if children::is_child(sequence) {
        children::wake(sequence, now_ns);
    } else if let Some(row) = find(sequence) {
        let first = &raw mut row.first_wake_ns;
        // SAFETY: a live word of a map value, changed atomically by everyone.
        let is_first = unsafe { atomics::compare_exchange(first, 0, now_ns) } == 0;
        // It has ended meanwhile, woken by somebody else: the place may be another request's, which nobody has woken.
        if is_first && find(sequence).is_none() {
            // SAFETY: as above.
            unsafe { atomics::compare_exchange(first, now_ns, 0) };
        }
    }
}

/// A scope's poll ends.
#[inline(always)]
pub fn exit(hit: &Hit) {
    let sequence = hit.second();
    let Some(gate) = threads::open_gate() else { return };
    let (tid, _) = threads::current();
    let Some(thread) = threads::known(tid) else { return };
    let Some(snapshot) = threads::snapshot_within(gate, thread) else { return };
    unfollowed::settle(gate, thread, thread.frames.depth > 1);
    let pending = hit.third() == 0;
    if children::is_child(sequence) {
        children::exit(gate, hit, tid, thread, &snapshot);
        return;
    }
    let Some(closed) = thread.frames.close(FrameKind::Scope, sequence) else {
        lose(Loss::ScopeExitUnmatched);
        return;
    };
    lose_many(Loss::StaleFrame, closed.inside);
    let Some(row) = find(sequence) else { return };
    // Done in its first poll, as most are: what is sent at its end says it.
    let in_row = !pending && row.is_only_poll();
    if !in_row {
        spans::scope(&closed.frame, sequence, row, &snapshot);
    }
    // One that is done has left its awaits.
    let awaiting = if pending { awaits::of_scope(gate, tid, &mut thread.walks, row) } else { Awaiting::NOWHERE };
    let backwards = writing(row, |row| {
        row.awaiting = awaiting;
        row.flags |= if pending { LEFT_PENDING } else { 0 };
        if in_row {
            row.keep_poll(closed.frame.ready_ns);
        }
        row.on_exit(&snapshot)
    });
    if backwards {
        lose(Loss::ClockBackwards);
    }
}

/// A scope is done or dropped.
#[inline(always)]
pub fn end(hit: &Hit) {
    let sequence = hit.second();
    let Some(gate) = threads::open_gate() else { return };
    if children::is_child(sequence) {
        children::end(gate, hit);
        return;
    }
    let Some(row) = find(sequence) else { return };
    let left_ns = row.last_ns;
    let (snapshot, in_one_poll) = match threads::row_within(gate, hit, threads::current().0) {
        // Left and ended in one poll of its task: it did not wait, and what was walked when it was left is of a future that is gone.
        Some(thread) => {
            let top = thread.frames.top();
            let in_one_poll = row.task != 0 && top.is_some_and(|top| top.task == row.task && top.start_ns <= left_ns);
            let Some(snapshot) = threads::snapshot_within(gate, thread) else { return };
            (snapshot, in_one_poll)
        }
        // No room for the thread, which is counted. A request that was left for ever in flight would be worse: between its polls it needs no
        // clocks of a thread, and inside of one it ran.
        None => {
            let now_ns = threads::now_ns();
            if !gate.admits(now_ns) {
                return;
            }
            (Snapshot { now_ns, off: row.off_at_enter, torn: false }, false)
        }
    };
    let waited = row.flags & (INSIDE | LEFT_PENDING) == LEFT_PENDING && !in_one_poll;
    close(gate, sequence, row, &snapshot, waited);
}

/// Ends the scope of `row`, number `sequence`; `waited`: since it was last left.
#[inline(always)]
pub fn close(gate: &Gate, sequence: u64, row: &mut ScopeRow, snapshot: &Snapshot, waited: bool) {
    let open = Gap::open(row.last_ns, &row.states);
    let awaiting = row.awaiting;
    let backwards = writing(row, |row| {
        row.awaiting.clear();
        row.on_end(snapshot)
    });
    if backwards {
        lose(Loss::ClockBackwards);
    }
    if waited {
        awaits::waited_scope(sequence, row, &awaiting, &open.closed(&row.states));
    }
    let Some(mut entry) = RECORDS.reserve::<RequestRecord>(0) else {
        // The row stays in the map, marked as ended. The daemon looks for it there when it has seen that it was counted.
        slots::leave_to_daemon(sequence, row);
        lose(Loss::RingFullRequest);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted, and every field is written.
    unsafe {
        (*record).kind = RecordKind::Request as u32;
        (*record).padding = 0;
        (*record).scope = sequence;
        copy(&raw mut (*record).row, row);
    }
    // A recording of this one request ends with it.
    entry.submit(u64::from(spans::told(gate, TELL_END)));
    // Only this thread ends the scope, so the row is there.
    slots::remove(sequence);
}
