//! Changing rows that user space may be reading, and that another CPU may be changing.

use core::arch::asm;
use core::ptr::read_volatile;

use profiler_common::scope::ScopeRow;
use profiler_common::task::TaskRow;

use crate::atomics;

/// A row with a sequence number, odd while it is being written.
pub trait Sequenced {
    /// The number.
    fn sequence(&mut self) -> *mut u32;
}

impl Sequenced for TaskRow {
    #[inline(always)]
    fn sequence(&mut self) -> *mut u32 {
        &raw mut self.sequence
    }
}

impl Sequenced for ScopeRow {
    #[inline(always)]
    fn sequence(&mut self) -> *mut u32 {
        &raw mut self.sequence
    }
}

/// Writes a row's sequence number. An instruction of its own of which the compiler knows only that it writes memory: it moves plain stores across a volatile one, and
/// so the row's last words behind the number that says that they are written.
///
/// # Safety
/// `sequence` is a live word of a map value.
#[inline(always)]
pub unsafe fn number(sequence: *mut u32, number: u32) {
    // SAFETY: the caller's.
    unsafe {
        asm!("*(u32 *)({at} + 0) = {number}", at = in(reg) sequence, number = in(reg) u64::from(number), options(nostack, preserves_flags));
    }
}

/// Runs `change` between two moves of the row's sequence number, so that a reader can tell that it read a whole row.
#[inline(always)]
pub fn writing<R: Sequenced, T>(row: &mut R, change: impl FnOnce(&mut R) -> T) -> T {
    let sequence = row.sequence();
    // SAFETY: a word of the row.
    let odd = unsafe { read_volatile(sequence) }.wrapping_add(1);
    // SAFETY: as above.
    unsafe { number(sequence, odd) };
    let result = change(row);
    // SAFETY: as above.
    unsafe { number(sequence, odd.wrapping_add(1)) };
    result
}

/// Ends the writing of a row that was put into its map as one being written.
#[inline(always)]
pub fn written<R: Sequenced>(row: &mut R) {
    let sequence = row.sequence();
    // SAFETY: a word of the row.
    let odd = unsafe { read_volatile(sequence) };
    // SAFETY: as above.
    unsafe { number(sequence, odd.wrapping_add(1)) };
}

/// As [`writing`], where another thread may be writing too: only ends that are seen after the release (`poll::returned`) and the next
/// start can meet. The sequence number is moved from even to odd by exchange, so that one of them gives way.
#[inline(always)]
pub fn claimed<R: Sequenced, T>(row: &mut R, tries: usize, change: impl FnOnce(&mut R) -> T) -> Option<T> {
    let sequence = row.sequence();
    for _ in 0..tries {
        // SAFETY: a word of the row; volatile because the other changes it.
        let seen = unsafe { read_volatile(sequence) };
        // SAFETY: a live word of a map value.
        if seen & 1 == 0 && unsafe { atomics::exchanged(sequence, seen, seen.wrapping_add(1)) } {
            let result = change(row);
            // SAFETY: as above; the number is ours while it is odd.
            unsafe { number(sequence, seen.wrapping_add(2)) };
            return Some(result);
        }
    }
    None
}
