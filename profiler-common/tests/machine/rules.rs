//! The machine as the handlers call it, one method a function of `profiler-common`, so that a mutant can put one wrong.

use profiler_common::clock::{ClockSource, Snapshot, snapshot};
use profiler_common::frame::{Closed, Frame, FrameKind, FrameStack};
use profiler_common::scope::ScopeRow;
use profiler_common::task::{Started, TaskRow, wake_is_effective};
use profiler_common::thread::{OffReason, ThreadRow};

/// Every default calls the real function.
pub(crate) trait Machine {
    /// [`OffReason::of_switch`].
    fn reason(preempt: bool, prev_state: u64) -> OffReason {
        OffReason::of_switch(preempt, prev_state)
    }
    /// [`ThreadRow::on_switch_out`].
    fn switch_out(row: &mut ThreadRow, now_ns: u64, reason: OffReason) {
        row.on_switch_out(now_ns, reason);
    }
    /// [`ThreadRow::on_switch_in`].
    fn switch_in(row: &mut ThreadRow, now_ns: u64) {
        row.on_switch_in(now_ns);
    }
    /// [`snapshot`].
    fn snapshot(source: &mut impl ClockSource) -> Snapshot {
        snapshot(source)
    }
    /// [`FrameStack::drop_stale`].
    fn drop_stale(frames: &mut FrameStack, sp: u64) -> u32 {
        frames.drop_stale(sp)
    }
    /// [`FrameStack::close`].
    fn close(frames: &mut FrameStack, kind: FrameKind, key: u64) -> Option<Closed> {
        frames.close(kind, key)
    }
    /// [`wake_is_effective`].
    fn effective(word: u64) -> bool {
        wake_is_effective(word)
    }
    /// [`TaskRow::on_poll_start`].
    fn poll_start(row: &mut TaskRow, snapshot: &Snapshot, tid: u32, wake_ns: u64) -> Started {
        row.on_poll_start(snapshot, tid, wake_ns)
    }
    /// [`TaskRow::on_poll_end`].
    fn poll_end(row: &mut TaskRow, snapshot: &Snapshot, notified: bool) -> bool {
        row.on_poll_end(snapshot, notified)
    }
    /// [`TaskRow::on_defer`].
    fn defer(row: &mut TaskRow) {
        row.on_defer();
    }
    /// [`TaskRow::on_end`].
    fn task_end(row: &mut TaskRow, snapshot: &Snapshot, wake_ns: u64) -> bool {
        row.on_end(snapshot, wake_ns)
    }
    /// [`ScopeRow::on_enter`].
    fn enter(row: &mut ScopeRow, snapshot: &Snapshot, tid: u32, outer: &Frame) -> bool {
        row.on_enter(snapshot, tid, outer)
    }
    /// [`ScopeRow::on_exit`].
    fn exit(row: &mut ScopeRow, snapshot: &Snapshot) -> bool {
        row.on_exit(snapshot)
    }
    /// [`ScopeRow::on_end`].
    fn scope_end(row: &mut ScopeRow, snapshot: &Snapshot, _outer: &Frame) -> bool {
        row.on_end(snapshot)
    }
}

/// The machine as it is.
pub(crate) struct Real;

impl Machine for Real {}
