//! Requests that keep their own times: which of them a thread is in when it leaves its CPU, how long it was away, and the whole at the end.
//!
//! While a scope that keeps its times is polled, a word of its thread's own memory points to them, and they to those of the scope around
//! it. So a switch inside of a poll costs two readings more, a switch outside of any costs one, and a poll costs no trap.

use aya_ebpf::bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP};
use profiler_common::clock::OffCpu;
use profiler_common::gate::Gate;
use profiler_common::limits::TIMED_DEPTH;
use profiler_common::loss::Loss;
use profiler_common::record::{RecordKind, RequestRecord};
use profiler_common::thread::ThreadRow;
use profiler_common::times::{KeptTimes, MAGIC, Taken};

use crate::losses::lose;
use crate::maps::{NEW_SCOPE, NO_TIME_OFF, RECORDS, TIMED};
use crate::memory::{copy, read_user};
use crate::named::Named;
use crate::registers::Hit;
use crate::{sampled, spans, threads};

/// The scopes that are being polled on the current thread and keep their times, the innermost first.
#[inline(always)]
pub fn inside(gate: &Gate) -> [u64; TIMED_DEPTH] {
    let mut scopes = [0; TIMED_DEPTH];
    if gate.times_offset == 0 {
        return scopes;
    }
    let pointer = threads::thread_pointer();
    if pointer == 0 {
        return scopes;
    }
    let Some(mut at) = read_user::<u64>(pointer.wrapping_add(gate.times_offset)) else {
        lose(Loss::TimesUnreadable);
        return scopes;
    };
    for scope in &mut scopes {
        if at == 0 {
            return scopes;
        }
        // Magic, number, the one around.
        let Some([magic, sequence, around]) = read_user::<[u64; 3]>(at) else {
            lose(Loss::TimesUnreadable);
            return scopes;
        };
        if magic != MAGIC {
            return scopes;
        }
        *scope = sequence;
        at = around;
    }
    if at != 0 {
        lose(Loss::TimesNested);
    }
    scopes
}

/// Thread `tid` has a CPU again after `off`.
#[inline(always)]
pub fn back(row: &mut ThreadRow, tid: u32, off: OffCpu) {
    spans::back(row, tid, off);
    sampled::back(row, &off);
    for nth in 0..TIMED_DEPTH {
        let scope = row.timed[nth];
        if scope == 0 {
            return;
        }
        row.timed[nth] = 0;
        add(scope, off);
    }
}

#[inline(always)]
fn add(scope: u64, off: OffCpu) {
    if TIMED.get_ptr_mut(scope).is_none() && TIMED.insert(scope, &NO_TIME_OFF, u64::from(BPF_NOEXIST)).is_err() {
        lose(Loss::TimesMapFull);
        return;
    }
    let Some(sum) = TIMED.get_ptr_mut(scope) else { return };
    // SAFETY: a map value lives as long as the program runs; a scope is polled by one thread at a time, and this is that thread's return.
    let sum = unsafe { &mut *sum };
    sum.preempted_ns += off.preempted_ns;
    sum.blocked_ns += off.blocked_ns;
    sum.stopped_ns += off.stopped_ns;
}

/// A scope that has kept its times is over.
#[inline(always)]
pub fn deliver(hit: &Hit) {
    let (record, scope) = (hit.first(), hit.second());
    let now_ns = threads::now_ns();
    let Some(gate) = threads::gate(now_ns) else { return };
    let (tid, _) = threads::current();
    if let Some(thread) = threads::known(tid)
        && thread.is_off()
    {
        // This very thread runs us, so it has a CPU, whatever the row says. Since when, is not to be known here.
        lose(Loss::SwitchInUnseen);
        let off = thread.on_unseen_switch_in(now_ns, 0);
        back(thread, tid, off);
    }
    let mut off = OffCpu { preempted_ns: 0, blocked_ns: 0, stopped_ns: 0 };
    if let Some(sum) = TIMED.get_ptr_mut(scope) {
        // SAFETY: as in `add`, and the scope is over.
        off = unsafe { *sum };
        let _ = TIMED.remove(scope);
    }
    let Some(times) = read_user::<KeptTimes>(hit.third()) else {
        lose(Loss::TimesUnreadable);
        return;
    };
    // Kept for whoever was here before, and not polled since: nothing of it lies in the window.
    if times.first_ns < gate.open_ns {
        return;
    }
    send(record, scope, tid, &times, off);
}

/// Writes a request into the ring buffer.
#[inline(always)]
fn send(record: u64, scope: u64, tid: u32, times: &KeptTimes, off: OffCpu) {
    let Some(mut entry) = RECORDS.reserve::<RequestRecord>(0) else {
        lose(Loss::RingFullTimes);
        return;
    };
    let place = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted, and every field is written before anything is read.
    let row = unsafe {
        (*place).kind = RecordKind::Request as u32;
        (*place).padding = 0;
        (*place).scope = scope;
        copy(&raw mut (*place).row, &raw const NEW_SCOPE);
        &mut (*place).row
    };
    let taken = times.fill(scope, off, row);
    let named = Named::read(record).map(|named| named.write(row)).is_ok();
    if taken == Taken::Malformed || !named {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        lose(if named { Loss::TimesMalformed } else { Loss::RecordUnreadable });
        return;
    }
    if taken == Taken::Clamped {
        lose(Loss::TimesClamped);
    }
    row.tid = tid;
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}
