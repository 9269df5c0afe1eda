//! Children of wanted requests that the annotation tells of, where tasks themselves are not seen. A child has a row like a task's, under the
//! number of its scope; a poll of its scope is its poll.

use aya_ebpf::bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP};
use profiler_common::awaits::Gap;
use profiler_common::clock::Snapshot;
use profiler_common::frame::{FrameKind, FrameStack, PollFrame};
use profiler_common::gate::Gate;
use profiler_common::loss::Loss;
use profiler_common::record::{RecordKind, SpawnedRecord};
use profiler_common::task::{CHILD, CHILD_BLOCKING, CHILD_LOCAL, CHILD_SCOPE, TaskRow};
use profiler_common::thread::ThreadRow;

use crate::losses::{lose, lose_many};
use crate::maps::{NEW_TASK, TASKS};
use crate::memory::read_user;
use crate::registers::Hit;
use crate::rows::{writing, written};
use crate::tasks::{finish, read_header};
use crate::{atomics, awaits, poll, slots, spans, threads, unfollowed};

/// `scope_spawn`'s kinds, see the annotation's ABI.md.
const BLOCKING: u64 = 1;
/// See [`BLOCKING`].
const LOCAL: u64 = 2;

#[inline(always)]
fn find(key: u64) -> Option<&'static mut TaskRow> {
    // SAFETY: a map value lives as long as the program runs; a child is polled and ended by one thread at a time.
    TASKS.get_ptr_mut(key).map(|row| unsafe { &mut *row })
}

/// A wanted scope is about to spawn a child: it is ready from now on, and belongs to that scope's request.
#[inline(always)]
pub fn spawn(hit: &Hit) {
    let (sequence, parent, kind) = (hit.second(), hit.third(), hit.fourth());
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    if let Some(thread) = threads::known(threads::current().0) {
        unfollowed::followed(thread);
    }
    let request = match slots::find(parent) {
        Some(_) => parent,
        None => find(parent).map_or(0, |row| row.request),
    };
    if request == 0 {
        lose(Loss::ChildUnknown);
        return;
    }
    let key = sequence;
    if TASKS.insert(key, &NEW_TASK, u64::from(BPF_NOEXIST)).is_err() {
        lose(Loss::TaskMapFull);
        return;
    }
    let Some(row) = find(key) else { return };
    row.id = key;
    row.task_type = u32::MAX;
    row.spawned(now_ns, request);
    row.flags |= CHILD_SCOPE
        | match kind {
            BLOCKING => CHILD_BLOCKING,
            LOCAL => CHILD_LOCAL,
            _ => 0,
        };
    // Of a child of a child: whose it is.
    row.spawner = if request == parent { 0 } else { parent };
    written(row);
}

/// A child has been spawned: its handle points at its task's header, which says what Tokio calls it. The child may have ended.
#[inline(always)]
pub fn task(hit: &Hit) {
    let (sequence, handle) = (hit.first(), hit.second());
    if threads::open_gate().is_none() {
        return;
    }
    let Some(header) = read_user::<u64>(handle) else {
        lose(Loss::HeaderUnreadable);
        return;
    };
    let Some(header) = read_header(header, Loss::UnknownType) else { return };
    let record =
        SpawnedRecord { kind: RecordKind::Spawned as u32, task_type: header.task_type, child: sequence, task_id: header.id };
    spans::put(record, BPF_RB_NO_WAKEUP, Loss::RingFullChild);
}

/// A child is woken.
#[inline(always)]
pub fn wake(sequence: u64, now_ns: u64) {
    let Some(row) = TASKS.get_ptr_mut(sequence) else { return };
    // SAFETY: live words of a map value, changed atomically by everyone. A child that is awake already is not made ready by another wake.
    unsafe {
        if atomics::compare_exchange(&raw mut (*row).first_wake_ns, 0, now_ns) == 0 {
            atomics::add(&raw mut (*row).wakes, 1);
        }
    }
}

/// Whether `sequence` is a child's number.
#[inline(always)]
pub const fn is_child(sequence: u64) -> bool {
    sequence & CHILD != 0
}

/// A child's scope is entered.
#[inline(always)]
pub fn enter(gate: &Gate, hit: &Hit, tid: u32, thread: &mut ThreadRow) {
    let key = hit.second();
    let Some(row) = find(key) else {
        lose(Loss::ChildUnknown);
        return;
    };
    if row.polls == 0 {
        row.vtable = hit.third();
        row.await_root = awaits::entry(hit.fourth()).map_or(0, |node| node + 1);
    }
    let Some(snapshot) = threads::snapshot_within(gate, thread) else { return };
    let Some(started) = poll::open(gate, row, &snapshot, tid) else { return };
    let frame = PollFrame { generation: row.generation, request: row.request, ready_ns: started.ready_ns, start_ns: row.last_ns };
    if !thread.frames.push(FrameStack::poll(key, hit.fifth() | 1, frame)) {
        lose(Loss::FrameStackFull);
    }
}

/// A child's scope is left.
#[inline(always)]
pub fn exit(gate: &Gate, hit: &Hit, tid: u32, thread: &mut ThreadRow, snapshot: &Snapshot) {
    let key = hit.second();
    let Some(row) = find(key) else { return };
    if hit.third() != 0 {
        // It is done: its end, which comes at once, closes the poll too.
        return;
    }
    let Some(closed) = thread.frames.close(FrameKind::Poll, key) else {
        lose(Loss::EndWithoutStart);
        return;
    };
    lose_many(Loss::StaleFrame, closed.inside);
    let awaiting = awaits::of_task(gate, tid, &mut thread.walks, row.vtable, row);
    writing(row, |row| row.awaits(awaiting));
    poll::end(row, &closed.frame, gate, snapshot, false);
}

/// A child's scope is done or dropped.
#[inline(always)]
pub fn end(gate: &Gate, hit: &Hit) {
    let key = hit.second();
    let Some(row) = find(key) else { return };
    let Some(thread) = threads::row_within(gate, hit, threads::current().0) else { return };
    let Some(snapshot) = threads::snapshot_within(gate, thread) else { return };
    if let Some(closed) = thread.frames.close(FrameKind::Poll, key) {
        lose_many(Loss::StaleFrame, closed.inside);
        spans::poll(gate, &closed.frame, row, &snapshot);
    }
    let wake_ns = row.first_wake_ns;
    let gap = Gap::open(row.last_ns, &row.states);
    let awaiting = row.awaiting;
    if writing(row, |row| row.on_end(&snapshot, wake_ns)) {
        lose(Loss::ClockBackwards);
    }
    awaits::waited_task(gate, row, &awaiting, &gap.closed(&row.states));
    finish(key, row);
    let _ = TASKS.remove(key);
}
