//! Where the rows of threads lie: in an array, each at one of a few places that its thread's id tells.

use core::ptr::{read_volatile, write_volatile};

use profiler_common::loss::Loss;
use profiler_common::thread::{MAKING, NEARBY, ThreadPlaces, ThreadRow};

use crate::atomics;
use crate::losses::lose;
use crate::maps::{NEW_THREAD, THREAD_PLACES, THREADS};
use crate::memory::copy;

/// No place.
const NOWHERE: u32 = u32::MAX;

#[inline(always)]
fn places() -> Option<&'static mut ThreadPlaces> {
    // SAFETY: a map value lives as long as the program runs; its words are read and written one by one.
    THREAD_PLACES.get_ptr_mut(0).map(|places| unsafe { &mut *places })
}

#[inline(always)]
fn row(place: u32) -> Option<&'static mut ThreadRow> {
    // SAFETY: a map value lives as long as the program runs; who writes which word is said at `ThreadRow`.
    THREADS.get_ptr_mut(place).map(|row| unsafe { &mut *row })
}

#[inline(always)]
fn has(places: &ThreadPlaces, place: usize, tid: u32) -> bool {
    // SAFETY: a reference; volatile because other threads write it.
    unsafe { read_volatile(&places.tids[place]) == tid }
}

/// The row of thread `tid`, if it has one.
#[inline(always)]
pub fn find(tid: u32) -> Option<&'static mut ThreadRow> {
    row(place_of(places()?, tid))
}

/// Nearly every thread has its first place.
#[inline(always)]
fn place_of(places: &ThreadPlaces, tid: u32) -> u32 {
    let first = ThreadPlaces::place(tid, 0);
    if has(places, first, tid) { first as u32 } else { farther(places, tid) }
}

/// A function of its own, because it is called from everywhere; and so that the object's type information describes the places.
#[inline(never)]
fn farther(places: &ThreadPlaces, tid: u32) -> u32 {
    for nth in 1..NEARBY {
        let place = ThreadPlaces::place(tid, nth);
        if has(places, place, tid) {
            return place as u32;
        }
    }
    NOWHERE
}

/// Makes a row for thread `tid`, which has none, and which is the current one: nobody else makes it. False: there is no room, which is counted.
#[inline(never)]
pub fn make(tid: u32) -> bool {
    let Some(places) = places() else { return false };
    for nth in 0..NEARBY {
        let place = ThreadPlaces::place(tid, nth);
        // SAFETY: a live half word of a map value.
        if unsafe { atomics::exchanged(&raw mut places.tids[place], 0, tid | MAKING) } {
            let Some(row) = row(place as u32) else { return false };
            // SAFETY: a row of the map, which nobody finds yet; what was written to it is there before it can be found.
            unsafe {
                copy(row, &raw const NEW_THREAD);
                write_volatile(&raw mut places.tids[place], tid);
            }
            return true;
        }
    }
    lose(Loss::ThreadMapFull);
    false
}

/// Thread `tid` ends. A function of its own, for it is rare and called in two places.
#[inline(never)]
pub fn forget(tid: u32) {
    let Some(places) = places() else { return };
    let place = place_of(places, tid) as usize;
    if place < places.tids.len() {
        // SAFETY: a half word of a map value, which is this thread's.
        unsafe { write_volatile(&raw mut places.tids[place], 0) };
    }
}
