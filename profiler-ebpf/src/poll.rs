//! Poll starts and ends.

use profiler_common::awaits::Gap;
use profiler_common::clock::Snapshot;
use profiler_common::frame::{Frame, FrameKind, FrameStack, PollFrame};
use profiler_common::gate::Gate;
use profiler_common::limits::FRAME_DEPTH;
use profiler_common::loss::Loss;
use profiler_common::site::{self, NO_TYPE};
use profiler_common::task::{self, Started, TaskRow, state_word};
use profiler_common::thread::ThreadRow;

use crate::atomics;
use crate::losses::{lose, lose_many};
use crate::maps::TASKS;
use crate::memory::read_user;
use crate::registers::Hit;
use crate::rows::{claimed, writing};
use crate::tasks::{finish, polled_before, read_header, task_row};
use crate::{awaits, hits, keys, spans, threads};

/// A task's poll starts.
#[inline(always)]
pub fn start(hit: &Hit) {
    let address = hit.first();
    let sp = hit.entry_stack_pointer();
    let (tid, _) = threads::current();
    let Some(gate) = threads::open_gate() else { return };
    let Some(thread) = threads::row_within(gate, hit, tid) else { return };
    let Some(snapshot) = threads::snapshot_within(gate, thread) else { return };
    let stale = thread.frames.drop_stale(sp.wrapping_sub(1));
    lose_many(Loss::StaleFrame, stale);
    if let Some(top) = thread.frames.top()
        && top.sp == sp
    {
        if top.kind == FrameKind::Poll as u32 && top.key == address && site::repeats(hit.cookie) {
            return;
        }
        lose_many(Loss::StaleFrame, thread.frames.drop_stale(sp));
    }
    let of_site = site::task_type(hit.cookie);
    let row = match polled_before(address) {
        Some(row) if of_site == NO_TYPE || of_site == row.task_type => row,
        _ => {
            let Some(header) = read_header(address, Loss::VtableMismatch) else {
                hits::refused(hit.site());
                return;
            };
            if of_site != NO_TYPE && of_site != header.task_type {
                // The site was found by one vtable, and a task that is new to it has another: it is no poll of that type.
                lose(Loss::VtableMismatch);
                hits::refused(hit.site());
                return;
            }
            hits::accepted(hit.site());
            let Some(row) = task_row(&header, snapshot.now_ns) else { return };
            row
        }
    };
    let Some(started) = open(gate, row, &snapshot, tid) else { return };
    let request = keys::at_start(gate, tid, &mut thread.walks, address, row, &started);
    let frame = PollFrame { generation: row.generation, request, ready_ns: started.ready_ns, start_ns: row.last_ns };
    if !thread.frames.push(FrameStack::poll(address, sp, frame)) {
        lose(Loss::FrameStackFull);
    }
}

/// Takes the wake, starts the poll in the task's row, and ends the wait before it.
#[inline(always)]
pub fn open(gate: &Gate, row: &mut TaskRow, snapshot: &Snapshot, tid: u32) -> Option<Started> {
    let gap = Gap::open(row.last_ns, &row.states);
    let awaiting = row.awaiting;
    let started = claimed(row, CLAIM_TRIES, |row| {
        row.awaiting.clear();
        // SAFETY: a live word of a map value.
        let wake_ns = unsafe { atomics::take(&raw mut row.first_wake_ns) };
        row.on_poll_start(snapshot, tid, wake_ns)
    });
    let Some(started) = started else {
        lose(Loss::LateEnd);
        return None;
    };
    if started.end_unseen {
        lose(Loss::PollEndUnseen);
    }
    if started.backwards {
        lose(Loss::ClockBackwards);
    }
    awaits::waited_task(gate, row, &awaiting, &gap.closed(&row.states));
    Some(started)
}

/// How often a poll's start tries while the late end of the poll before is being written: that takes some 100 ns.
const CLAIM_TRIES: usize = 16;

/// The row and the clocks of the current thread `tid`, if it has one and the window is open.
#[inline(always)]
fn here(tid: u32) -> Option<(&'static Gate, &'static mut ThreadRow, Snapshot)> {
    let gate = threads::open_gate()?;
    let thread = threads::known(tid)?;
    let snapshot = threads::snapshot_within(gate, thread)?;
    Some((gate, thread, snapshot))
}

/// A poll is about to end pending, before the exchange that releases its task.
#[inline(always)]
pub fn idle(hit: &Hit) {
    let address = hit.first();
    let (tid, _) = threads::current();
    let Some((gate, thread, snapshot)) = here(tid) else { return };
    lose_many(Loss::StaleFrame, thread.frames.drop_stale(hit.stack_pointer()));
    let Some(word) = read_user::<u64>(address) else {
        lose(Loss::HeaderUnreadable);
        hits::refused(hit.site());
        return;
    };
    if word & state_word::CANCELLED != 0 {
        // The exchange will fail and the same poll goes on to cancel and complete the task (tokio harness.rs, `poll_inner`).
        return;
    }
    let notified = word & state_word::NOTIFIED != 0;
    let Some(row) = TASKS.get_ptr_mut(address) else {
        lose(Loss::EndWithoutStart);
        hits::unknown(address, hit.site());
        return;
    };
    // SAFETY: a map value lives as long as the program runs; only the thread that polls the task gets here.
    let row = unsafe { &mut *row };
    match thread.frames.close(FrameKind::Poll, address) {
        Some(closed) => {
            lose_many(Loss::StaleFrame, closed.inside);
            // Of a poll whose end is written: a row that another poll has taken over says nothing of this one.
            if row.generation == closed.frame.generation {
                let awaiting = awaits::of_task(gate, tid, &mut thread.walks, address, row);
                writing(row, |row| row.awaits(awaiting));
                keys::at_end(gate, tid, address, row, &closed.frame, &snapshot, &awaiting);
            }
            end(row, &closed.frame, gate, &snapshot, notified);
        }
        None if site::repeats(hit.cookie) && row.polls != 0 => writing(row, |row| row.on_idle_again(notified)),
        None => lose(Loss::EndWithoutStart),
    }
}

/// Ends the poll that `frame` opened.
#[inline(always)]
pub fn end(row: &mut TaskRow, frame: &Frame, gate: &Gate, snapshot: &Snapshot, notified: bool) {
    if row.generation != frame.generation {
        lose(Loss::LateEnd);
        return;
    }
    spans::poll(gate, frame, row, snapshot);
    if writing(row, |row| row.on_poll_end(snapshot, notified)) {
        lose(Loss::ClockBackwards);
    }
}

/// A task is about to complete: inside its last poll, or by `shutdown` without one.
#[inline(always)]
pub fn complete(hit: &Hit) {
    let address = hit.first();
    let Some(gate) = threads::open_gate() else { return };
    let Some(thread) = threads::row_within(gate, hit, threads::current().0) else { return };
    let Some(snapshot) = threads::snapshot_within(gate, thread) else { return };
    lose_many(Loss::StaleFrame, thread.frames.drop_stale(hit.stack_pointer()));
    let closed = thread.frames.close(FrameKind::Poll, address);
    let Some(row) = TASKS.get_ptr_mut(address) else {
        // It is in no sum: counted here, once a task, so that what is shown and what is counted make up what there was.
        lose(Loss::TaskUnseen);
        hits::unknown(address, hit.site());
        return;
    };
    // SAFETY: as in `idle`.
    let row = unsafe { &mut *row };
    if let Some(closed) = closed {
        lose_many(Loss::StaleFrame, closed.inside);
        if row.flags & task::POLLED != 0 && row.generation == closed.frame.generation {
            spans::poll(gate, &closed.frame, row, &snapshot);
            keys::last_poll(&closed.frame, row, &snapshot);
        }
    }
    keys::at_completion(gate, row, &snapshot);
    let wake_ns = row.first_wake_ns;
    let gap = Gap::open(row.last_ns, &row.states);
    // Of a task that completes in a poll there is none.
    let awaiting = row.awaiting;
    if writing(row, |row| row.on_end(&snapshot, wake_ns)) {
        lose(Loss::ClockBackwards);
    }
    awaits::waited_task(gate, row, &awaiting, &gap.closed(&row.states));
    finish(address, row);
    if TASKS.remove(address).is_err() {
        lose(Loss::EndWithoutStart);
    }
}

/// A poll function returns. Frames that lie at or below the stack pointer are over; the outermost poll among them is the one that returns.
/// None is left where the completion of its task has closed it already.
#[inline(always)]
pub fn returned(hit: &Hit) {
    let Some((gate, thread, snapshot)) = here(threads::current().0) else { return };
    let sp = hit.stack_pointer();
    let mut poll = None;
    for _ in 0..FRAME_DEPTH {
        let Some(top) = thread.frames.top().copied() else { break };
        if top.sp > sp {
            break;
        }
        thread.frames.depth -= 1;
        if top.kind == FrameKind::Poll as u32 && poll.replace(top).is_some() {
            lose(Loss::StaleFrame);
        }
    }
    let Some(frame) = poll else { return };
    let Some(row) = TASKS.get_ptr_mut(frame.key) else { return };
    // SAFETY: as in `idle`; another thread may poll the task already, which the claim and the generation tell.
    let row = unsafe { &mut *row };
    let ended = claimed(row, 1, |row| {
        (row.generation == frame.generation).then(|| {
            spans::poll(gate, &frame, row, &snapshot);
            row.on_poll_end(&snapshot, false)
        })
    });
    match ended.flatten() {
        Some(true) => lose(Loss::ClockBackwards),
        Some(false) => {}
        None => lose(Loss::LateEnd),
    }
}
