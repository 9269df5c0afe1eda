//! Where the rows of requests lie: in an array of a few slots, and where a slot is taken, in a map by hash.
//!
//! A request that is done in its first poll is looked up some five times, put in and taken out. By hash that is seven calls, an allocation and a
//! copy of the row; in the array it is a comparison each, and nothing is allocated. The slot of a request follows from its number, so it is in one of two
//! places, and there is room for as many as the map holds and a few more.
//!
//! A slot belongs to the request whose number stands in it, and to none where that is 0. It is taken by compare-exchange. Its row's sequence number is odd
//! from the moment at which a request leaves it until the next one's row is filled in, and moves on from one to the next: a reader can tell.

use core::ffi::c_void;
use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_map_update_elem;
use profiler_common::loss::Loss;
use profiler_common::scope::{KEYED, ScopeRow, ScopeSlot};

use crate::atomics;
use crate::losses::lose;
use crate::maps::{NEW_SCOPE, SCOPE_SLOTS, SCOPES};
use crate::memory::copy;
use crate::rows::number;

/// The slot of this number, whoever has it.
#[inline(always)]
fn slot(sequence: u64) -> Option<&'static mut ScopeSlot> {
    // SAFETY: a map value lives as long as the program runs; its row belongs to the request that has it.
    SCOPE_SLOTS.get_ptr_mut(ScopeSlot::place(sequence)).map(|slot| unsafe { &mut *slot })
}

/// The slot of this number, if its request has it.
#[inline(always)]
fn own(sequence: u64) -> Option<&'static mut ScopeSlot> {
    // SAFETY: a reference; volatile because others change it.
    slot(sequence).filter(|slot| unsafe { read_volatile(&slot.scope) } == sequence)
}

/// The row of the request of this number.
#[inline(always)]
pub fn find(sequence: u64) -> Option<&'static mut ScopeRow> {
    let slot = slot(sequence)?;
    // SAFETY: references; volatile because others change them.
    let (scope, by_hash_too) = unsafe { (read_volatile(&slot.scope), read_volatile(&slot.by_hash)) };
    if scope == sequence {
        return Some(&mut slot.row);
    }
    // A new one, most likely: then it is in no place, and is not looked for.
    if by_hash_too == 0 && sequence & KEYED == 0 {
        return None;
    }
    by_hash(sequence)
}

/// As [`find`], of a request that is in no slot: one that a key names.
#[inline(always)]
pub fn by_hash(sequence: u64) -> Option<&'static mut ScopeRow> {
    // SAFETY: a map value lives as long as the program runs; a scope is polled and ended by one thread at a time.
    SCOPES.get_ptr_mut(sequence).map(|row| unsafe { &mut *row })
}

/// One less, as what is added.
const LESS: u64 = u64::MAX;

/// Counts one row more or less in the map, of a request that goes on and would have the slot of this number. It is counted before it is put in.
#[inline(always)]
fn count_by_hash(sequence: u64, by: u64) {
    if sequence & KEYED == 0
        && let Some(slot) = slot(sequence)
    {
        // SAFETY: a live word of a map value.
        unsafe { atomics::add(&raw mut slot.by_hash, by) };
    }
}

/// A new row for the request of this number, being written ([`crate::rows::written`]). `None`: there is no room.
#[inline(always)]
pub fn make(sequence: u64) -> Option<&'static mut ScopeRow> {
    // SAFETY: a live word of a map value.
    if let Some(slot) = slot(sequence)
        && unsafe { atomics::compare_exchange(&raw mut slot.scope, 0, sequence) } == 0
    {
        // Even in a slot that nobody has had: a reader passes over a row that has not been entered.
        let moved_on = slot.row.sequence | 1;
        // SAFETY: a row of the map, which is this request's now.
        unsafe { copy(&raw mut slot.row, &raw const NEW_SCOPE) };
        slot.row.sequence = moved_on;
        return Some(&mut slot.row);
    }
    count_by_hash(sequence, 1);
    if SCOPES.insert(sequence, &NEW_SCOPE, 0).is_err() {
        count_by_hash(sequence, LESS);
        return None;
    }
    by_hash(sequence)
}

/// The request of this number has gone. A function of its own, as [`leave_to_daemon`]: both are called from many places.
#[inline(never)]
pub fn remove(sequence: u64) {
    match own(sequence) {
        Some(slot) => leave(slot),
        // Whether or not the daemon has taken it out already: it was counted when it was put in.
        None => {
            let _ = SCOPES.remove(sequence);
            count_by_hash(sequence, LESS);
        }
    }
}

#[inline(always)]
fn leave(slot: &mut ScopeSlot) {
    // SAFETY: words of a map value, of which whoever takes the slot writes the number only then; volatile keeps their order.
    unsafe {
        number(&raw mut slot.row.sequence, slot.row.sequence | 1);
        write_volatile(&raw mut slot.scope, 0);
    }
}

/// The request of `row` has ended, and the daemon has not been told of it: the row waits in the map, out of which the daemon takes it.
#[inline(never)]
pub fn leave_to_daemon(sequence: u64, row: &ScopeRow) {
    let Some(slot) = own(sequence) else {
        count_by_hash(sequence, LESS);
        return;
    };
    // SAFETY: key and value have the sizes that the map was made for, and live until the call returns.
    let result = unsafe {
        bpf_map_update_elem(
            (&raw const SCOPES).cast_mut().cast::<c_void>(),
            (&raw const sequence).cast(),
            (&raw const *row).cast(),
            u64::from(BPF_NOEXIST),
        )
    };
    if result != 0 {
        lose(Loss::ScopeMapFull);
    }
    leave(slot);
}
