//! Requests that a key of the application names (`tokio::task_local!`): found in a task's memory, entered and left with its polls.
//!
//! A future that carries the key's value holds it in its slot between two polls of its task (tokio task/task_local.rs), and nothing changes
//! a task's memory between two of its polls. So what the end of a poll found is what the next start would find; a start looks only where no
//! end has. A value that is there at an end and was not before came in that poll: its request begins with the poll. One that has gone went in
//! that poll: its request ends with it. Time in such a request is that of whole polls of its task, and of the gaps between them.

use aya_ebpf::bindings::BPF_NOEXIST;
use profiler_common::awaits::key::{self, KeyWords};
use profiler_common::awaits::{AwaitEnd, AwaitWalk, AwaitWalks, Awaiting, Gap, KeyValue, RequestKey};
use profiler_common::clock::{OffCpu, Snapshot};
use profiler_common::frame::{Frame, FrameKind};
use profiler_common::gate::Gate;
use profiler_common::limits::REQUEST_ID_BYTES;
use profiler_common::loss::Loss;
use profiler_common::scope::{INSIDE, KEYED, START_SEEN, ScopeRow};
use profiler_common::task::{CARRIER, SPAWN_SEEN, Started, TaskRow};

use crate::losses::lose;
use crate::maps::{NEW_SCOPE, REQUEST_KEY, SCOPES, WANTED};
use crate::memory::User;
use crate::rows::{writing, written};
use crate::{awaits, scopes, slots, spans, threads};

/// The hash of a value that is no request id. Those of values are odd.
const MALFORMED: u64 = 2;
/// As [`MALFORMED`], of one that could not be read.
const UNREADABLE: u64 = 4;

/// How often a number is tried that another request has got in the same nanosecond.
const NUMBER_TRIES: u64 = 8;

#[inline(always)]
fn wanted() -> Option<&'static RequestKey> {
    REQUEST_KEY.get(0).filter(|key| key.local != 0)
}

/// Address of the key, 0 where requests are not named by one.
#[inline(always)]
pub fn local() -> u64 {
    wanted().map_or(0, |key| key.local)
}

/// Whether the request that the task's memory names is one of its own: not that of the task that spawned it.
#[inline(always)]
fn owns(row: &TaskRow) -> bool {
    row.keyed != 0 && row.keyed != row.request
}

/// The hash of the value that the last walk of this thread has met, 0 for none, `before` where that cannot be told.
#[inline(never)]
fn look(tid: u32, before: u64) -> u64 {
    let Some(key) = wanted() else { return 0 };
    let Some(walk) = awaits::own(tid) else { return 0 };
    if walk.slot == 0 {
        // Cut short by chance or by size, not by what the futures are: what was there may still be.
        let end = walk.kept.end;
        let cut = end == AwaitEnd::TooDeep as u32
            || end == AwaitEnd::TooWide as u32
            || end == AwaitEnd::TooLong as u32
            || end == AwaitEnd::Unreadable as u32;
        return if cut { before } else { 0 };
    }
    match key.read(walk.slot, &User, &mut walk.value) {
        KeyValue::Nothing => 0,
        KeyValue::Malformed => MALFORMED,
        KeyValue::Unreadable => UNREADABLE,
        KeyValue::Bytes(length) => {
            walk.value_len = length;
            key::key_hash(&walk.value, length)
        }
    }
}

/// The number that the request will have whose first poll `frame` may be; 0 where it is that of a known one, or no task's.
#[inline(always)]
pub fn number_of(frame: &Frame) -> u64 {
    if frame.request != 0 || frame.task == 0 || local() == 0 { 0 } else { KEYED | frame.start_ns }
}

/// The poll that spawned the task of `row` has turned out to be the first of a request: it is that request's child.
#[inline(always)]
fn confirm(row: &mut TaskRow) {
    if row.spawner != 0 && row.request == 0 && slots::by_hash(row.spawner).is_some() {
        row.request = row.spawner;
        row.spawner = 0;
    }
}

/// A poll of the task of `row` at `address` has started. The request that its frame carries, 0 for none.
#[inline(always)]
pub fn at_start(gate: &Gate, tid: u32, walks: &mut AwaitWalks, address: u64, row: &mut TaskRow, started: &Started) -> u64 {
    if local() == 0 {
        return row.request;
    }
    confirm(row);
    if row.polls == 1 || started.end_unseen {
        let _ = awaits::go(tid, address, row.await_root, walks);
        let hash = look(tid, row.key_hash);
        if hash != row.key_hash {
            leave(gate, row, &at_poll_start(row));
            let is_older = started.end_unseen || row.flags & SPAWN_SEEN == 0;
            begin(gate, address, row, hash, if is_older { 0 } else { START_SEEN });
            return if owns(row) { row.keyed } else { row.request };
        }
    }
    if !owns(row) {
        return row.request;
    }
    if let Some(scope) = slots::by_hash(row.keyed) {
        enter(tid, address, row, scope, started.ready_ns);
    }
    row.keyed
}

/// A poll of the task of `row` at `address`, which `frame` opened, is about to end pending; its awaits have just been walked.
#[inline(always)]
pub fn at_end(gate: &Gate, tid: u32, address: u64, row: &mut TaskRow, frame: &Frame, snapshot: &Snapshot, awaiting: &Awaiting) {
    if local() == 0 {
        return;
    }
    confirm(row);
    let hash = look(tid, row.key_hash);
    if hash != row.key_hash {
        if owns(row)
            && let Some(scope) = slots::by_hash(row.keyed)
        {
            spans::scope(frame, row.keyed, scope, snapshot);
        }
        leave(gate, row, snapshot);
        begin(gate, address, row, hash, START_SEEN);
    }
    if !owns(row) {
        return;
    }
    let Some(scope) = slots::by_hash(row.keyed) else { return };
    spans::scope(frame, row.keyed, scope, snapshot);
    let backwards = writing(scope, |scope| {
        scope.awaiting = *awaiting;
        scope.on_exit(snapshot)
    });
    if backwards {
        lose(Loss::ClockBackwards);
    }
}

/// The task of `row` is about to complete in the poll that `frame` opened.
#[inline(always)]
pub fn last_poll(frame: &Frame, row: &TaskRow, snapshot: &Snapshot) {
    if owns(row)
        && let Some(scope) = slots::by_hash(row.keyed)
        && scope.flags & INSIDE != 0
    {
        spans::scope(frame, row.keyed, scope, snapshot);
    }
}

/// The task of `row` completes, in a poll or without one.
#[inline(always)]
pub fn at_completion(gate: &Gate, row: &mut TaskRow, snapshot: &Snapshot) {
    confirm(row);
    leave(gate, row, snapshot);
}

/// The task of `row` has gone without its end having been seen.
#[inline(always)]
pub fn abandon(gate: &Gate, row: &mut TaskRow, now_ns: u64) {
    leave(gate, row, &Snapshot { now_ns, off: OffCpu::default(), torn: false });
}

/// The begin of the task's poll, as its row has it.
#[inline(always)]
fn at_poll_start(row: &TaskRow) -> Snapshot {
    Snapshot { now_ns: row.last_ns, off: row.off_at_start, torn: false }
}

/// The task's memory names another request from now on, or none: ends the one that it has named.
#[inline(always)]
fn leave(gate: &Gate, row: &mut TaskRow, snapshot: &Snapshot) {
    if owns(row)
        && let Some(scope) = slots::by_hash(row.keyed)
    {
        let waited = scope.flags & INSIDE == 0;
        scopes::close(gate, row.keyed, scope, snapshot, waited);
    }
    row.keyed = 0;
}

/// Notes the value of this hash, and begins its request with the poll of its task, if it is wanted.
#[inline(never)]
fn begin(gate: &Gate, address: u64, row: &mut TaskRow, hash: u64, flags: u32) {
    row.key_hash = hash;
    if hash == MALFORMED {
        lose(Loss::KeyMalformed);
    } else if hash == UNREADABLE {
        lose(Loss::KeyUnreadable);
    }
    if hash & 1 == 0 {
        return;
    }
    let (tid, _) = threads::current();
    let Some(walk) = awaits::own(tid) else { return };
    if row.request != 0
        && let Some(parent) = slots::find(row.request)
        && key::key_hash(words(parent), parent.id_len) == hash
    {
        // The task that spawned it has handed its value on: it is that request's child already.
        row.keyed = row.request;
        return;
    }
    // SAFETY: the value is not kept.
    if gate.all_requests == 0 && unsafe { WANTED.get(bytes(walk)) }.is_none() {
        return;
    }
    let Some(number) = new_row(row.last_ns) else {
        lose(Loss::ScopeMapFull);
        return;
    };
    if gate.all_requests == 0 {
        spans::begin(gate, number);
    }
    let Some(scope) = slots::by_hash(number) else { return };
    scope.id = *bytes(walk);
    scope.id_len = walk.value_len;
    scope.flags = flags;
    scope.task_type = row.task_type;
    scope.task_id = row.id;
    written(scope);
    row.flags |= CARRIER;
    row.keyed = number;
    enter(tid, address, row, scope, 0);
}

/// A row under a number of its own. `None`: there is no room.
#[inline(always)]
fn new_row(start_ns: u64) -> Option<u64> {
    for more in 0..NUMBER_TRIES {
        let number = KEYED | start_ns.wrapping_add(more);
        if SCOPES.insert(number, &NEW_SCOPE, u64::from(BPF_NOEXIST)).is_ok() {
            return Some(number);
        }
    }
    None
}

/// The request is entered at the begin of the task's poll.
#[inline(always)]
fn enter(tid: u32, address: u64, row: &TaskRow, scope: &mut ScopeRow, ready_ns: u64) {
    let poll =
        Frame { kind: FrameKind::Poll as u32, key: address, task: address, ready_ns, start_ns: row.last_ns, ..Frame::default() };
    let open = Gap::open(scope.last_ns, &scope.states);
    let awaiting = scope.awaiting;
    let snapshot = at_poll_start(row);
    let backwards = writing(scope, |scope| {
        scope.awaiting.clear();
        scope.on_enter(&snapshot, tid, &poll)
    });
    if backwards {
        lose(Loss::ClockBackwards);
    }
    awaits::waited_scope(row.keyed, scope, &awaiting, &open.closed(&scope.states));
}

/// The value as the id that it is.
#[inline(always)]
fn bytes(walk: &AwaitWalk) -> &[u8; REQUEST_ID_BYTES] {
    // SAFETY: words of the same size, of which every byte is one.
    unsafe { &*(&raw const walk.value).cast() }
}

/// The id as words.
#[inline(always)]
fn words(scope: &ScopeRow) -> &KeyWords {
    const { assert!(core::mem::offset_of!(ScopeRow, id) % 8 == 0) };
    // SAFETY: bytes of the same size, aligned as words by the row's layout.
    unsafe { &*(&raw const scope.id).cast() }
}
