//! Where leaves store their wakers: the next best thing to layouts, in programs without debug information of types.
//!
//! A leaf future that has to wait clones the waker it was polled with and keeps it, somewhere below the awaits that lead to it. The stack at
//! that moment is what the task waits for, until the next such moment. A leaf that holds the waker already does not clone it again, and
//! then an older stack stands.

use profiler_common::awaits::end::AwaitEnd;
use profiler_common::awaits::word::{WordKind, address_word};
use profiler_common::gate::{AWAITS_ALL, AWAITS_OFF};
use profiler_common::limits::{AWAIT_WORDS, STACK_FRAMES};

use crate::maps::TASKS;
use crate::registers::Hit;
use crate::{awaits, threads, unwind};

/// A waker is cloned.
#[inline(always)]
pub fn stored(hit: &Hit) {
    let header = hit.first();
    let Some(gate) = threads::gate(threads::now_ns()) else { return };
    if gate.awaits == AWAITS_OFF || gate.await_layouts != 0 {
        return;
    }
    let (tid, _) = threads::current();
    let Some(thread) = threads::known(tid) else { return };
    let Some(top) = thread.frames.top() else { return };
    // The waker of the task that is polled here, and of no other.
    if top.task != header || gate.awaits != AWAITS_ALL && top.request == 0 {
        return;
    }
    let Some(walk) = unwind::walk_of_thread(tid, hit.cursor(), top.sp, &gate) else { return };
    let Some(kept) = awaits::begin(tid) else { return };
    let frames = walk.record.frames as usize;
    for place in 0..AWAIT_WORDS {
        if place >= frames {
            break;
        }
        let address = walk.record.stack[place & (STACK_FRAMES - 1)];
        if !kept.keep(address_word(WordKind::Address, 0, address)) {
            break;
        }
    }
    if frames > AWAIT_WORDS {
        kept.fail(AwaitEnd::TooDeep);
    }
    let id = awaits::keep(kept);
    if let Some(task) = TASKS.get_ptr_mut(header) {
        // SAFETY: a map value lives as long as the program runs; the task is being polled on this very thread.
        unsafe { (*task).waker_stack = id };
    }
}
