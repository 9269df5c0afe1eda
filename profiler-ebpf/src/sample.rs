//! The sampling clock: one stack of a thread that is inside a poll.

use profiler_common::record::RecordKind;

use crate::stack::{self, Event};
use crate::{globals, sampled, threads};

/// Takes a sample if the interrupted thread is the target's and inside a poll or scope that is wanted; in the mode without
/// probes, wherever it is.
#[inline(always)]
pub fn take() {
    let (tid, tgid) = threads::current();
    if tgid != globals::target_tgid() {
        return;
    }
    let now_ns = threads::now_ns();
    let Some(gate) = threads::gate(now_ns) else { return };
    let thread = threads::known(tid);
    let (task_id, request) = sampled::inside(gate, thread.as_deref(), tid, now_ns);
    stack::record(&Event { kind: RecordKind::Sample, tid, now_ns, reason: 0, task_id, request }, thread.as_deref(), gate);
}
