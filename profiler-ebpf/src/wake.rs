//! Wakes: one compare-exchange in the task's row.

use profiler_common::loss::Loss;
use profiler_common::site::{self, SiteRole};
use profiler_common::task::wake_is_effective;

use crate::losses::lose;
use crate::maps::TASKS;
use crate::memory::read_user;
use crate::registers::Hit;
use crate::{atomics, spans, threads};

/// A task is woken. One whose header is unknown makes no record: its spawn and polls are not seen either.
#[inline(always)]
pub fn wake(hit: &Hit) {
    let address = hit.first();
    let now_ns = threads::now_ns();
    let Some(gate) = threads::gate(now_ns) else { return };
    let Some(row) = TASKS.get_ptr_mut(address) else { return };
    if site::role(hit.cookie) != SiteRole::Woken as u64 {
        // Read before the wake takes effect: a task that is notified already is not made ready by this wake, and noting it could put a
        // moment before the next poll's start into the gap after it.
        let Some(word) = read_user::<u64>(address) else {
            lose(Loss::HeaderUnreadable);
            return;
        };
        if !wake_is_effective(word) {
            return;
        }
    }
    // SAFETY: live words of a map value; both are changed atomically by everyone.
    let before = unsafe {
        atomics::add(&raw mut (*row).wakes, 1);
        atomics::compare_exchange(&raw mut (*row).first_wake_ns, 0, now_ns)
    };
    if before == 0 {
        // SAFETY: a map value lives as long as the program runs; what is read of it is written once.
        spans::wake(gate, address, unsafe { &*row }, now_ns);
    }
}

/// A task defers its own wake until its worker has polled others: `yield_now`, or a spent coop budget.
#[inline(always)]
pub fn defer(hit: &Hit) {
    if threads::open_gate().is_none() {
        return;
    }
    // `Waker` is a data pointer and a vtable pointer in an order of rustc's choice; only the first is a task's header.
    let Some(words) = read_user::<[u64; 2]>(hit.first()) else {
        lose(Loss::HeaderUnreadable);
        return;
    };
    let Some(row) = TASKS.get_ptr_mut(words[0]).or_else(|| TASKS.get_ptr_mut(words[1])) else { return };
    // SAFETY: a map value lives as long as the program runs; the task runs on this very thread.
    unsafe { (*row).on_defer() };
}
