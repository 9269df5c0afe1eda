//! The mode without probes: which task and request the current thread is in is read from the thread itself, when it is sampled and when it
//! leaves its CPU.
//!
//! Tokio keeps the id of the task that a thread polls in a thread-local (`CONTEXT`, tokio `runtime/context.rs`), set right around the poll of
//! the task's future (`runtime/task/core.rs`, `TaskIdGuard`). The request's name stands in the slot of the annotation, or of another library.

use profiler_common::clock::OffCpu;
use profiler_common::gate::Gate;
use profiler_common::loss::Loss;
use profiler_common::thread::ThreadRow;

use crate::losses::lose;
use crate::maps::{OUTSIDE, WORKER_TASKS};
use crate::memory::read_user;
use crate::{foreign, keys, threads};

/// What the current thread, whose row is `thread`, is in by its own word: a task's id, in the mode without probes alone, and a request's number.
/// 0 for none that is known.
///
/// One call for both ways to measure: two of them, one behind the other, were more ways than the verifier of 6.1 walks in a million instructions.
#[inline(always)]
pub fn inside(gate: &Gate, thread: Option<&ThreadRow>, tid: u32, now_ns: u64) -> (u64, u64) {
    // Inside one of our requests its own record is in the slot, and outside of polls nobody asks.
    // A key's value says more than the poll's request: which of several in one poll it is.
    let by_key = keys::local() != 0;
    let top = thread.and_then(|thread| thread.frames.top());
    let is_asked = gate.sample_only != 0 || top.is_some_and(|top| by_key || top.request == 0);
    let request = if is_asked { foreign::current(gate, tid, now_ns) } else { 0 };
    let task_id = if gate.sample_only == 0 { 0 } else { task_id(gate.task_id_offset, gate.task_tag_offset) };
    (task_id, request)
}

/// The id of the task that the current thread polls.
#[inline(never)]
fn task_id(offset: u64, tag_offset: u64) -> u64 {
    if offset == 0 {
        return 0;
    }
    let pointer = threads::thread_pointer();
    if pointer == 0 {
        return 0;
    }
    if tag_offset != 0 {
        match read_user::<u64>(pointer.wrapping_add(tag_offset)) {
            Some(1) => {}
            Some(_) => return 0,
            None => return unreadable(),
        }
    }
    let Some(id) = read_user::<u64>(pointer.wrapping_add(offset)) else { return unreadable() };
    // A worker of a multi-thread runtime is a task of the blocking pool, and what it does between its tasks is no task's.
    // SAFETY: the value is not kept.
    if unsafe { WORKER_TASKS.get(id) }.is_some() { 0 } else { id }
}

#[inline(always)]
fn unreadable() -> u64 {
    lose(Loss::TaskIdUnreadable);
    0
}

/// The thread of `row` has a CPU again after `off`.
#[inline(always)]
pub fn back(row: &mut ThreadRow, off: &OffCpu) {
    if row.outside == 0 {
        return;
    }
    row.outside = 0;
    if let Some(sum) = OUTSIDE.get_ptr_mut(0) {
        // SAFETY: a map value of this CPU, and `sched_switch` is not interrupted by another of its kind.
        unsafe { (*sum).add(off) };
    }
}
