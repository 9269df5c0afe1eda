//! Request ids of other libraries, read from the thread-local of the thread that is sampled or leaves its CPU.
//!
//! They are set inside a future's poll only, so no probe of ours stands where they are: what can be told of such a request is what a thread was
//! found doing in its name. `sched_switch` and the sampling clock run with interrupts off, so one place a CPU is enough for a look.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::bpf_loop;
use profiler_common::awaits::key::{KeyWords, key_hash};
use profiler_common::foreign::{
    CUT, ForeignLook, ForeignRecord, Looked, MALFORMED, SLOT_KEY, SLOT_LABELS, SLOT_NONE, SLOT_SCOPE, SLOTS, STEPS, TRACE_TEXT,
    UNKNOWN_INDEX, UNREADABLE, WHAT_ATTRIBUTE, WHAT_KEY, WHAT_LABEL, WHAT_SCOPE, WHAT_TRACE, foreign_number, trace_text,
};
use profiler_common::gate::Gate;
use profiler_common::limits::REQUEST_ID_BYTES;
use profiler_common::loss::Loss;
use profiler_common::record::RecordKind;

use crate::losses::lose;
use crate::maps::{FOREIGN_LOOK, FOREIGN_SEEN, FOREIGN_SLOTS, FOREIGN_UNKNOWN, RECORDS, REQUEST_KEY, WANTED};
use crate::memory::User;
use crate::scopes::{WANTED_ID, WANTED_TRACE};
use crate::threads;

/// The number of the wanted id that the current thread has in one of its slots, 0 for none. In a poll only.
#[inline(always)]
pub fn current(gate: &Gate, tid: u32, now_ns: u64) -> u64 {
    let count = FOREIGN_SLOTS.get(0).map_or(0, |slots| slots.count);
    if count == 0 {
        return 0;
    }
    find(u64::from(gate.all_requests), u64::from(count), u64::from(tid), now_ns)
}

/// See [`current`]. A function of its own, so that its variables are on no other's stack.
#[inline(never)]
fn find(all: u64, count: u64, tid: u64, now_ns: u64) -> u64 {
    // The kernel keeps it while the thread runs too: it is written by arch_prctl(2) and clone(2), and a C library does that once.
    let thread_pointer = threads::thread_pointer();
    if thread_pointer == 0 {
        return 0;
    }
    for place in 0..SLOTS {
        if place as u64 >= count {
            break;
        }
        if look_at(place as u64, thread_pointer) == 0 {
            continue;
        }
        let number = chosen(all, tid, now_ns);
        if number != 0 {
            return number;
        }
    }
    0
}

#[inline(always)]
fn scratch() -> Option<&'static mut ForeignLook> {
    // SAFETY: a map value lives as long as the program runs, and no two programs that look run on a CPU at a time.
    FOREIGN_LOOK.get_ptr_mut(0).map(|look| unsafe { &mut *look })
}

/// Looks at slot number `place`. 0: there is nothing in it.
#[inline(never)]
fn look_at(place: u64, thread_pointer: u64) -> u64 {
    let Some(slots) = FOREIGN_SLOTS.get(0) else { return 0 };
    let Some(begun) = scratch() else { return 0 };
    let slot = &slots.slots[place as usize & (SLOTS - 1)];
    if slot.kind == SLOT_KEY {
        let Some(key) = REQUEST_KEY.get(0) else { return 0 };
        begun.begin_key(slot, key, thread_pointer, &User);
    } else if begun.begin(slot, thread_pointer, &User) == Looked::Going {
        // One more than there may be entries, for the look to say that there are more.
        // SAFETY: the body is a function of this object, and takes nothing of the context.
        unsafe { bpf_loop(STEPS + 1, step as *mut c_void, core::ptr::null_mut(), 0) };
    }
    // A new reference: the loop's body has written what is behind the old one.
    let Some(look) = scratch() else { return 0 };
    look.finish(&User);
    tell(look.flags);
    u64::from(look.kind != SLOT_NONE)
}

/// One entry. 1 ends the loop.
extern "C" fn step(_index: u64, _context: *mut c_void) -> i64 {
    let (Some(look), Some(slots)) = (scratch(), FOREIGN_SLOTS.get(0)) else { return 1 };
    match look.step(slots, &User) {
        Looked::Going => 0,
        Looked::Done => 1,
    }
}

#[inline(always)]
fn tell(flags: u32) {
    if flags == 0 {
        return;
    }
    if flags & UNREADABLE != 0 {
        lose(Loss::ForeignUnreadable);
    }
    if flags & MALFORMED != 0 {
        lose(Loss::ForeignMalformed);
    }
    if flags & CUT != 0 {
        lose(Loss::ForeignCut);
    }
    if flags & UNKNOWN_INDEX != 0
        && let Some(count) = FOREIGN_UNKNOWN.get_ptr_mut(0)
    {
        // SAFETY: a word of this CPU's own; nothing else runs on it here.
        unsafe { *count += 1 };
    }
}

/// The number of what the look has found: of the attribute or label that names the request, else of the trace id; of the one that was asked
/// for, where some were. 0: nobody asked for it.
#[inline(never)]
fn chosen(all: u64, tid: u64, now_ns: u64) -> u64 {
    let Some(look) = scratch() else { return 0 };
    if look.id_len != 0 && is_wanted(all, &look.id, WANTED_ID) {
        let what = match look.kind {
            SLOT_LABELS => WHAT_LABEL,
            SLOT_SCOPE => WHAT_SCOPE,
            SLOT_KEY => WHAT_KEY,
            _ => WHAT_ATTRIBUTE,
        };
        return told(look, what, tid, now_ns, all);
    }
    if look.trace[0] | look.trace[1] == 0 {
        return 0;
    }
    // Asked for as the bytes that it is, and called as it is written.
    let mut trace = [core::hint::black_box(0_u64); REQUEST_ID_BYTES / 8];
    [trace[0], trace[1]] = look.trace;
    if !is_wanted(all, &trace, WANTED_TRACE) {
        return 0;
    }
    look.id = trace_text(&look.trace);
    look.id_len = TRACE_TEXT;
    told(look, WHAT_TRACE, tid, now_ns, all)
}

#[inline(always)]
fn is_wanted(all: u64, id: &KeyWords, what: u32) -> bool {
    // SAFETY: the value is not kept.
    all != 0 || unsafe { WANTED.get(bytes(id)) }.is_some_and(|asked| *asked & what != 0)
}

/// The id's number; the daemon is told whose it is where it was not lately.
#[inline(always)]
fn told(look: &ForeignLook, what: u32, tid: u64, now_ns: u64, all: u64) -> u64 {
    let number = foreign_number(key_hash(&look.id, look.id_len));
    // SAFETY: the value is not kept.
    if unsafe { FOREIGN_SEEN.get(number) }.is_some() {
        return number;
    }
    let Some(mut entry) = RECORDS.reserve::<ForeignRecord>(0) else {
        lose(Loss::ForeignLost);
        return number;
    };
    let record = entry.as_mut_ptr();
    // By words: a copy of bytes is a loop, of which the verifier of 6.1 walks every turn anew on each of a thousand ways that lead here.
    // SAFETY: the entry is ours until it is submitted, and every field is written. Words of memory are the bytes that they were read from, and
    // the record's id stands at a multiple of eight bytes.
    unsafe {
        (*record).kind = RecordKind::Foreign as u32;
        (*record).tid = tid as u32;
        (*record).time_ns = now_ns;
        (*record).number = number;
        (*record).what = what;
        (*record).id_len = look.id_len;
        copy_words((&raw mut (*record).id).cast(), &look.id);
        copy_words((&raw mut (*record).trace_id).cast(), &look.trace);
        copy_words((&raw mut (*record).span_id).cast(), &[look.span]);
    }
    // Who asked for this one wants it sampled faster from now on.
    entry.submit(u64::from(if all == 0 { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }));
    let _ = FOREIGN_SEEN.insert(number, 1_u32, 0);
    number
}

/// Copies `from` to `to`, word by word: volatile, because LLVM makes a call of `memmove` of anything else.
///
/// # Safety
/// There is room for as many words at `to`, which is a multiple of eight.
#[inline(always)]
unsafe fn copy_words<const N: usize>(to: *mut u64, from: &[u64; N]) {
    for (at, word) in from.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { to.add(at).write_volatile(*word) };
    }
}

#[inline(always)]
fn bytes(id: &KeyWords) -> &[u8; REQUEST_ID_BYTES] {
    // SAFETY: words of the same size, of which every byte is one.
    unsafe { &*(&raw const *id).cast() }
}

/// Puts a foreign id before the requests that the thread is inside.
#[inline(always)]
pub fn innermost<const N: usize>(mut requests: [u64; N], number: u64) -> [u64; N] {
    if number != 0 {
        for place in (1..N).rev() {
            requests[place] = requests[place - 1];
        }
        requests[0] = number;
    }
    requests
}
