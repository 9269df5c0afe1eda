//! Tasks that a wanted request spawns without the annotation, where no probe sits on spawns: as many as Tokio's counter of ids moves on while the
//! request is polled, less those that the annotation told of. Another thread that spawns meanwhile moves it too, so that is the most there can be.

use profiler_common::gate::Gate;
use profiler_common::loss::Loss;
use profiler_common::thread::ThreadRow;

use crate::losses::lose_many;
use crate::memory::read_user;
use crate::{atomics, slots};

/// A scope is about to be entered or left on the current thread, whose row is `thread`: what the counter has moved since it was looked at last
/// belongs to the request that was current meanwhile. `inside`: whether the thread is in a scope from now on.
#[inline(always)]
pub fn settle(gate: &Gate, thread: &mut ThreadRow, inside: bool) {
    if gate.task_ids == 0 {
        return;
    }
    let seen = thread.ids_seen;
    let now = read_user::<u64>(gate.task_ids).unwrap_or(0);
    thread.ids_seen = if inside { now } else { 0 };
    // A counter that cannot be read, or runs behind a child whose spawn is not done, says nothing.
    if seen == 0 || now <= seen {
        return;
    }
    let given = now - seen;
    let Some(top) = thread.frames.top() else { return };
    if top.request == 0 {
        return;
    }
    lose_many(Loss::ChildPerhapsUnfollowed, given as u32);
    // A child may outlive its request.
    if let Some(row) = slots::find(top.request) {
        // SAFETY: a live word of a map value, which children on other threads change too.
        unsafe { atomics::add(&raw mut row.ids_given, given) };
    }
}

/// A child is about to be spawned by the annotation: the next id is its own.
#[inline(always)]
pub fn followed(thread: &mut ThreadRow) {
    if thread.ids_seen != 0 {
        thread.ids_seen += 1;
    }
}
