//! Where leaves store their wakers: the next best thing to layouts, in programs without debug information of types.
//!
//! A leaf future that has to wait clones the waker it was polled with and keeps it, somewhere below the awaits that lead to it. The stack at
//! that moment is what the task waits for, until the next such moment. A leaf that holds the waker already does not clone it again, and
//! then an older stack stands. A stack is walked once; from then on it is told by its return addresses.

use profiler_common::awaits::WakerKey;
use profiler_common::awaits::end::AwaitEnd;
use profiler_common::awaits::word::{WordKind, address_word};
use profiler_common::gate::{AWAITS_ALL, AWAITS_OFF, Gate};
use profiler_common::limits::{AWAIT_WORDS, STACK_FRAMES};
use profiler_common::unwind::{Cursor, Memory as _};

use crate::maps::{TASKS, WAKER_SHAPES};
use crate::registers::Hit;
use crate::unwind::Ahead;
use crate::{awaits, threads, unwind};

/// A waker is cloned.
#[inline(always)]
pub fn stored(hit: &Hit) {
    let header = hit.first();
    let Some(gate) = threads::open_gate() else { return };
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
    let cursor = hit.cursor();
    let depth = top.sp.wrapping_sub(cursor.sp);
    // All return addresses lie up to the poll's own. What is near is read at once: each reading is a call.
    let stack = unwind::ahead(tid, cursor.sp, depth / 8 + 1);
    let caller = stack.word(hit.entry_stack_pointer()).unwrap_or(0);
    let key = WakerKey { caller, depth };
    let Some(task) = TASKS.get_ptr_mut(header) else { return };
    // SAFETY: a map value lives as long as the program runs; the task is being polled on this very thread.
    let last = unsafe { (*task).last_stack };
    let id = match known(&key, &cursor, &stack, last) {
        Some(id) => id,
        None => walked(tid, key, cursor, top.sp, gate),
    };
    // SAFETY: as above.
    unsafe { (*task).last_stack = id };
}

/// The id of the stack, if one of its shape was walked before and it is known, as `last` is: 0 or the id of a stack that is kept.
#[inline(always)]
fn known(key: &WakerKey, cursor: &Cursor, stack: &Ahead<'_>, last: u64) -> Option<u64> {
    // SAFETY: a map value lives as long as the program runs. Another thread may be writing another shape of this key: then what is read is of
    // neither, and no stack that is kept.
    let shape = unsafe { WAKER_SHAPES.get(key) }?;
    let id = shape.id(cursor.pc, cursor.sp, stack)?;
    if id == last || awaits::is_kept(id) { Some(id) } else { None }
}

/// The id of the stack, by a walk; 0 where there is no room for it.
#[inline(always)]
fn walked(tid: u32, key: WakerKey, cursor: Cursor, poll_sp: u64, gate: &Gate) -> u64 {
    let Some(walk) = unwind::walk_of_thread(tid, cursor, poll_sp, gate) else { return 0 };
    let Some(kept) = awaits::begin(tid) else { return 0 };
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
    if walk.shape.is_of_use() {
        // Without room for it the next one is walked as well.
        let _ = WAKER_SHAPES.insert(key, &walk.shape, 0);
    }
    awaits::keep(kept)
}
