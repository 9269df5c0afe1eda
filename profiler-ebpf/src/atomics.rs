//! Atomic words of map values. `-Ctarget-cpu=v3` makes these single BPF instructions (kernel 5.12 on).

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd, atomic_xchg};

use profiler_common::totals::SharedWord;

const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;

/// Adds `by` to the word at `at`.
///
/// # Safety
/// `at` points to a live, aligned word of a map value.
#[inline(always)]
pub unsafe fn add(at: *mut u64, by: u64) {
    // SAFETY: the caller's.
    unsafe { atomic_xadd::<u64, u64, ORDER>(at, by) };
}

/// Writes `new` where `old` stands, and says what stood there.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn compare_exchange(at: *mut u64, old: u64, new: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe { atomic_cxchg::<u64, ORDER, ORDER>(at, old, new).0 }
}

/// As [`compare_exchange`], for half a word; whether `old` stood there.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn exchanged(at: *mut u32, old: u32, new: u32) -> bool {
    // SAFETY: the caller's.
    unsafe { atomic_cxchg::<u32, ORDER, ORDER>(at, old, new).0 == old }
}

/// Takes the word at `at` and leaves 0.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn take(at: *mut u64) -> u64 {
    // SAFETY: the caller's.
    unsafe { atomic_xchg::<u64, ORDER>(at, 0) }
}

/// Words that other CPUs change too.
pub struct Shared;

impl SharedWord for Shared {
    #[inline(always)]
    fn add(word: &mut u64, by: u64) {
        // SAFETY: a reference into a map value.
        unsafe { add(word, by) };
    }

    #[inline(always)]
    fn raise(word: &mut u64, to: u64) {
        // Four tries: each failure means that another CPU raised it in between.
        for _ in 0..4 {
            let seen = *word;
            // SAFETY: a reference into a map value.
            if seen >= to || unsafe { compare_exchange(word, seen, to) } == seen {
                return;
            }
        }
    }
}
