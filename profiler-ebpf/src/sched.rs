//! What the scheduler does to the target's threads.

use core::ffi::c_void;

use profiler_common::limits::TIMED_DEPTH;
use profiler_common::loss::Loss;
use profiler_common::record::RecordKind;
use profiler_common::thread::OffReason;

use crate::losses::lose;
use crate::maps::{AWAIT_WALKS, WAKER_WALKS};
use crate::memory::read_task;
use crate::stack::{self, Event};
use crate::{awaits, globals, places, sampled, threads, times};

/// `TASK_DEAD` (include/linux/sched.h, 6.1 to 6.18): the thread leaves its CPU for the last time, behind `sched_process_exit`.
const DEAD: u64 = 0x80;

/// The thread id of `task` if it belongs to the target.
#[inline(always)]
fn of_target(task: *const c_void) -> Option<u32> {
    if read_task(task, globals::task_tgid_offset()) == globals::target_tgid() {
        Some(read_task(task, globals::task_pid_offset()))
    } else {
        None
    }
}

/// A CPU goes from the current thread, `prev`, to `next`. Most switches of a machine are of neither a thread of the target's nor to one: they
/// take two loads and two comparisons, and no call.
#[inline(always)]
pub fn switch(preempt: bool, prev: *const c_void, next: *const c_void, prev_state: u64) {
    // The thread that leaves is still current here (kernel/sched/core.c: the tracepoint stands before `context_switch`).
    let (left, arriving) = (of_target(prev), of_target(next));
    if left.is_none() && arriving.is_none() {
        return;
    }
    let (ends, tid) = (left.is_some() && prev_state & DEAD != 0, left.unwrap_or(0));
    if ends {
        // It has a row again where it was preempted on its way here, and nobody would take that one out.
        places::forget(tid);
    }
    let leaving = left.is_some() && !ends;
    let now_ns = threads::now_ns();
    let Some(gate) = threads::gate(now_ns) else { return };
    let timed = if leaving { times::inside(gate) } else { [0; TIMED_DEPTH] };
    // Without a probe in the target no event but this one makes a row, and none for a request that keeps its own times.
    let is_made = gate.sample_only != 0 || timed[0] != 0;
    if leaving && let Some(row) = if is_made { threads::leaving(tid) } else { threads::known(tid) } {
        // The kernel brings it up to date when it picks the next thread, before this tracepoint (kernel/sched/fair.c, `update_curr`).
        let cpu_ns = threads::cpu_time();
        if row.is_off() {
            lose(Loss::SwitchInUnseen);
            let off = row.on_unseen_switch_in(now_ns, cpu_ns.saturating_sub(row.cpu_ns));
            times::back(row, tid, off);
        }
        row.timed = timed;
        let reason = OffReason::of_switch(preempt, prev_state);
        row.on_switch_out(now_ns, reason);
        row.cpu_ns = cpu_ns;
        let (task_id, request) = sampled::inside(gate, Some(row), tid, now_ns);
        row.outside = u64::from(gate.sample_only) & u64::from(gate.sample_all) & u64::from(task_id | request == 0);
        let event = Event { kind: RecordKind::Off, tid, now_ns, reason: reason as u32, task_id, request };
        row.recorded_ns = if stack::record(&event, Some(row), gate) { now_ns } else { 0 };
    }
    if let Some(tid) = arriving
        && let Some(row) = threads::known(tid)
    {
        let off = row.on_switch_in(now_ns);
        times::back(row, tid, off);
    }
}

/// `task` becomes runnable.
#[inline(always)]
pub fn wakeup(task: *const c_void) {
    let Some(tid) = of_target(task) else { return };
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    if let Some(row) = threads::known(tid) {
        row.on_wakeup(now_ns);
    }
}

/// The current thread ends: its id may be another's soon.
#[inline(always)]
pub fn exit() {
    let (tid, tgid) = threads::current();
    if tgid == globals::target_tgid() {
        // A thread that never polled has no rows.
        if let Some(row) = threads::known(tid) {
            awaits::settle(&row.walks);
        }
        places::forget(tid);
        let _ = AWAIT_WALKS.remove(tid);
        let _ = WAKER_WALKS.remove(tid);
    }
}
