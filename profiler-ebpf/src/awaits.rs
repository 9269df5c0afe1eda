//! Where tasks wait: walks from a future to its leaves at the end of a poll, and the time that is spent there.
//!
//! Uprobe programs can be preempted by those of other threads, so a walk's memory belongs to its thread, not to its CPU. Nothing that is read
//! changes meanwhile: the walk runs on the thread that polled, before the task is released (tokio harness.rs, `poll_future`).

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{bpf_loop, bpf_map_update_elem};
use profiler_common::awaits::end::AWAIT_ENDS;
use profiler_common::awaits::node::target;
use profiler_common::awaits::word::NO_TYPE;
use profiler_common::awaits::{AwaitEnd, AwaitKey, AwaitWalk, AwaitWalks, Awaiting, Basis, Edge, Gap, Node, Step, Tables};
use profiler_common::gate::{AWAITS_ALL, AWAITS_OFF, Gate};
use profiler_common::limits::AWAIT_STEPS;
use profiler_common::loss::Loss;
use profiler_common::record::{AwaitRecord, POLL_OF_SCOPE, POLL_OF_TASK, RecordKind};
use profiler_common::scope::ScopeRow;
use profiler_common::task::TaskRow;
use profiler_common::totals::SharedWord;

use crate::atomics::{Shared, add};
use crate::losses::lose;
use crate::maps::{
    AWAIT_EDGES, AWAIT_ENTRIES, AWAIT_NODES, AWAIT_STACKS, AWAIT_SUMS, AWAIT_TOTALS, AWAIT_WALKS, NEW_AWAIT_SUM, NEW_AWAIT_WALK,
    TASKS, TYPES,
};
use crate::memory::{User, read_user};
use crate::{globals, keys, spans, threads, unwind};

/// The layout table in its maps.
struct Layouts;

impl Tables for Layouts {
    #[inline(always)]
    fn node(&self, place: u32) -> Option<Node> {
        AWAIT_NODES.get(place).copied()
    }

    #[inline(always)]
    fn edge(&self, place: u32) -> Option<Edge> {
        AWAIT_EDGES.get(place).copied()
    }

    #[inline(always)]
    fn entry(&self, vtable: u64) -> Option<u32> {
        entry(vtable)
    }

    #[inline(always)]
    fn task_type(&self, header: u64) -> u32 {
        match vtable_of(header) {
            // SAFETY: the daemon writes this map before the window opens and never after.
            Some(vtable) => unsafe { TYPES.get(vtable) }.map_or(NO_TYPE, |known| known.task_type),
            None => NO_TYPE,
        }
    }
}

/// The node of what stands behind a vtable, or is polled by a function.
#[inline(always)]
pub fn entry(address: u64) -> Option<u32> {
    // SAFETY: the daemon writes this map before the window opens and never after.
    unsafe { AWAIT_ENTRIES.get(address) }.copied()
}

#[inline(always)]
fn vtable_of(header: u64) -> Option<u64> {
    read_user(header.wrapping_add(u64::from(globals::header_vtable_offset())))
}

/// The id of the task at `header`, 0 where it is not known.
#[inline(always)]
fn task_id(header: u64) -> u64 {
    let Some(vtable) = vtable_of(header) else { return 0 };
    // SAFETY: as in `entry`.
    let Some(known) = (unsafe { TYPES.get(vtable) }) else { return 0 };
    if known.id_offset == 0 {
        return 0;
    }
    read_user(header.wrapping_add(u64::from(known.id_offset))).unwrap_or(0)
}

/// The walk of this thread. A reference to it must not live across a loop, whose body looks it up anew.
#[inline(always)]
pub fn own(tid: u32) -> Option<&'static mut AwaitWalk> {
    // SAFETY: a map value lives as long as the program runs, and a thread runs one handler at a time.
    AWAIT_WALKS.get_ptr_mut(tid).map(|walk| unsafe { &mut *walk })
}

/// The walk of this thread, made now if it has none.
#[inline(always)]
fn own_or_new(tid: u32) -> Option<&'static mut AwaitWalk> {
    if let Some(walk) = own(tid) {
        return Some(walk);
    }
    prepare(tid);
    own(tid)
}

/// Makes room for the walks of thread `tid`, if it has none yet.
#[inline(always)]
pub fn prepare(tid: u32) {
    if AWAIT_WALKS.get_ptr_mut(tid).is_none() && AWAIT_WALKS.insert(tid, &NEW_AWAIT_WALK, 0).is_err() {
        lose(Loss::AwaitNoRoom);
    }
}

/// Makes room for whatever walks thread `tid` will need, before its first poll is measured: an allocation can take tens of microseconds.
#[inline(always)]
pub fn prepare_thread(tid: u32, gate: &Gate) {
    if gate.awaits == AWAITS_OFF {
        return;
    }
    prepare(tid);
    if gate.await_layouts == 0 {
        unwind::prepare(tid);
    }
}

/// The walk of this thread, begun with nothing to walk: what is kept comes from elsewhere.
#[inline(always)]
pub fn begin(tid: u32) -> Option<&'static mut AwaitWalk> {
    let walk = own_or_new(tid)?;
    walk.begin(0, target::NOTHING);
    Some(walk)
}

/// What the body of the loop is given. It lies on the stack of the program, from where the verifier follows the pointer into the body
/// (tools/testing/selftests/bpf/progs/strobemeta.h does the same): no step has to look the walk up.
struct Under {
    walk: *mut AwaitWalk,
}

/// One walk in so many is timed, and counts for all of them: reading the clock twice takes as long as some steps do.
const TIMED: u64 = 16;

/// The clock (ns) if the next walk is one that is timed, else 0.
#[inline(always)]
fn begin_timed(walks: &AwaitWalks) -> u64 {
    if walks.walks & (TIMED - 1) == 0 { threads::now_ns() } else { 0 }
}

/// Adds a walk that kept `words` and came to `end`.
#[inline(always)]
fn count(walks: &mut AwaitWalks, started_ns: u64, words: u32, end: u32) {
    walks.walks += 1;
    walks.words += u64::from(words);
    walks.ends[end as usize & (AWAIT_ENDS - 1)] += 1;
    if started_ns != 0 {
        walks.walk_ns += TIMED * (threads::now_ns() - started_ns);
    }
}

/// Adds what a thread that ends has counted to its CPU's sums.
#[inline(always)]
pub fn settle(walks: &AwaitWalks) {
    let Some(totals) = AWAIT_TOTALS.get_ptr_mut(0) else { return };
    // SAFETY: a live map value, changed by atomic adds only. Atomic although the map is per CPU: see `losses`.
    unsafe {
        add(&raw mut (*totals).walks, walks.walks);
        add(&raw mut (*totals).unchanged, walks.unchanged);
        add(&raw mut (*totals).steps, walks.steps);
        add(&raw mut (*totals).words, walks.words);
        add(&raw mut (*totals).walk_ns, walks.walk_ns);
        for end in 0..AWAIT_ENDS {
            add(&raw mut (*totals).ends[end], walks.ends[end]);
        }
    }
}

/// Walks from `root` (a node's place and 1) at `address`. What was met is in the walk of this thread, which is given back.
///
/// A function of its own: it is called at starts of polls, and at the ends of polls of tasks and of scopes, and has a loop.
#[inline(never)]
pub fn go(tid: u32, address: u64, root: u32, walks: &mut AwaitWalks) -> Option<&'static mut AwaitWalk> {
    let started_ns = begin_timed(walks);
    let walk = own_or_new(tid)?;
    walk.key = keys::local();
    if root == 0 {
        walk.begin_cut(AwaitEnd::NoLayout);
    } else {
        walk.begin(address, root - 1);
        let mut context = Under { walk };
        // SAFETY: the body is a function of this object, and the context lives until it has ended.
        unsafe { bpf_loop(AWAIT_STEPS + 1, step as *mut c_void, (&raw mut context).cast(), 0) };
    }
    walks.steps += u64::from(walk.steps);
    count(walks, started_ns, walk.kept.len, walk.kept.end);
    Some(walk)
}

/// Where the future waits that `walk` has walked. Keeps the stack, unless it is the one of id `last`, which is kept.
#[inline(always)]
fn awaiting(walk: &AwaitWalk, last: u64) -> Awaiting {
    if walk.kept.len == 0 {
        return Awaiting::NOWHERE;
    }
    let stack = if walk.id == last { last } else { keep(walk) };
    Awaiting { stack, task: if stack == 0 || walk.awaited == 0 { 0 } else { task_id(walk.awaited) } }
}

/// Whether the words that the walk to the task's last stack went by are unchanged: it waits there still.
///
/// A function of its own, because of the words on its stack: 512 bytes are for a whole chain of calls, and a walk's is another.
#[inline(never)]
fn is_unchanged(basis: &Basis, walks: &mut AwaitWalks) -> bool {
    let started_ns = begin_timed(walks);
    if !basis.holds(&User) {
        return false;
    }
    walks.unchanged += 1;
    count(walks, started_ns, basis.kept, AwaitEnd::Whole as u32);
    true
}

/// Whether the stack of this id is kept.
#[inline(always)]
pub fn is_kept(id: u64) -> bool {
    // SAFETY: the value is not read here.
    unsafe { AWAIT_STACKS.get(id) }.is_some()
}

/// Keeps the walk's stack under its id, if it is a new one. The id, or 0 where there is no room for it.
#[inline(always)]
pub fn keep(walk: &AwaitWalk) -> u64 {
    let id = walk.id;
    if is_kept(id) {
        return id;
    }
    // From the map value itself: it is larger than the stack of a program.
    // SAFETY: key and value have the sizes that the map was made for, and live until the call returns.
    let result = unsafe {
        bpf_map_update_elem(
            (&raw const AWAIT_STACKS).cast_mut().cast::<c_void>(),
            (&raw const id).cast(),
            (&raw const walk.kept).cast(),
            u64::from(BPF_NOEXIST),
        )
    };
    const EXISTS: i64 = -17;
    if result != 0 && result as i64 != EXISTS {
        lose(Loss::AwaitStacksFull);
        return 0;
    }
    id
}

/// One step of the walk of the thread that `context` names. 1 ends the loop.
extern "C" fn step(_index: u64, context: *mut c_void) -> i64 {
    // SAFETY: what `go` handed over, which does not touch the walk while the loop runs.
    let walk = unsafe { &mut *(*context.cast::<Under>()).walk };
    i64::from(walk.step(&Layouts, &User) == Step::Done)
}

/// Whether the awaits of a task that belongs to `request` (0: to none) are walked.
#[inline(always)]
fn is_wanted(gate: &Gate, request: u64) -> bool {
    gate.awaits == AWAITS_ALL || gate.awaits != AWAITS_OFF && request != 0
}

/// Where the task of `row`, whose header lies at `address`, waits; its poll is about to end.
#[inline(always)]
pub fn of_task(gate: &Gate, tid: u32, walks: &mut AwaitWalks, address: u64, row: &mut TaskRow) -> Awaiting {
    if !is_wanted(gate, row.request) && keys::local() == 0 {
        return Awaiting::NOWHERE;
    }
    if gate.await_layouts == 0 {
        return Awaiting { stack: row.last_stack, task: 0 };
    }
    // The key's value must be looked for although nothing else has changed.
    if row.basis.count != 0 && keys::local() == 0 && is_unchanged(&row.basis, walks) {
        return Awaiting { stack: row.last_stack, task: 0 };
    }
    row.basis.count = 0;
    let Some(walk) = go(tid, address, row.await_root, walks) else { return Awaiting::NOWHERE };
    let awaiting = awaiting(walk, row.last_stack);
    // Noted when it is found for the second time: a task that waits elsewhere each time would pay for the looks and gain nothing.
    if awaiting.stack != 0
        && awaiting.stack == row.last_stack
        && let Some(basis) = walk.basis()
    {
        row.basis = *basis;
        row.basis.kept = walk.kept.len;
    }
    awaiting
}

/// Where the scope of `row` waits, which is being left.
#[inline(always)]
pub fn of_scope(gate: &Gate, tid: u32, walks: &mut AwaitWalks, row: &ScopeRow) -> Awaiting {
    if gate.awaits == AWAITS_OFF {
        return Awaiting::NOWHERE;
    }
    if gate.await_layouts == 0 {
        // Where its task has stored its waker.
        // SAFETY: a map value lives as long as the program runs; the task is being polled on this very thread.
        let stack = TASKS.get_ptr_mut(row.task).map_or(0, |task| unsafe { (*task).last_stack });
        return Awaiting { stack, task: 0 };
    }
    go(tid, row.future, row.await_root, walks).map_or(Awaiting::NOWHERE, |walk| awaiting(walk, 0))
}

/// A wait of the task of `row` has ended.
#[inline(always)]
pub fn waited_task(gate: &Gate, row: &TaskRow, awaiting: &Awaiting, gap: &Gap) {
    if awaiting.stack == 0 {
        return;
    }
    if gate.awaits == AWAITS_ALL {
        add_to_type(row.task_type, awaiting.stack, gap);
    }
    if row.request != 0 {
        let record = AwaitRecord {
            kind: RecordKind::Await as u32,
            what: POLL_OF_TASK,
            request: row.request,
            task_id: row.id,
            task_type: row.task_type,
            padding: 0,
            awaiting: *awaiting,
            gap: *gap,
        };
        spans::put(record, BPF_RB_NO_WAKEUP, Loss::RingFullAwait);
    }
}

/// A wait of the scope of `row`, number `sequence`, has ended.
#[inline(always)]
pub fn waited_scope(sequence: u64, row: &ScopeRow, awaiting: &Awaiting, gap: &Gap) {
    if awaiting.stack == 0 {
        return;
    }
    let record = AwaitRecord {
        kind: RecordKind::Await as u32,
        what: POLL_OF_SCOPE,
        request: sequence,
        task_id: row.task_id,
        task_type: row.task_type,
        padding: 0,
        awaiting: *awaiting,
        gap: *gap,
    };
    spans::put(record, BPF_RB_NO_WAKEUP, Loss::RingFullAwait);
}

#[inline(always)]
fn add_to_type(task_type: u32, stack: u64, gap: &Gap) {
    let key = AwaitKey { stack, task_type, padding: 0 };
    let known = AWAIT_SUMS.get_ptr_mut(key).or_else(|| {
        // Another CPU may have made it meanwhile: then this changes nothing.
        let _ = AWAIT_SUMS.insert(key, &NEW_AWAIT_SUM, u64::from(BPF_NOEXIST));
        AWAIT_SUMS.get_ptr_mut(key)
    });
    let Some(sum) = known else {
        lose(Loss::AwaitSumsFull);
        return;
    };
    // SAFETY: a live map value, changed by atomic adds only.
    let sum = unsafe { &mut *sum };
    Shared::add(&mut sum.count, 1);
    Shared::add(&mut sum.suspended_ns, gap.suspended_ns);
    Shared::add(&mut sum.scheduled_ns, gap.scheduled_ns);
    Shared::raise(&mut sum.longest_ns, gap.ns());
}
