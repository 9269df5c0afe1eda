//! Counting what goes wrong.

use profiler_common::loss::Loss;

use crate::{atomics, maps::LOSSES};

/// Counts one.
#[inline(always)]
pub fn lose(loss: Loss) {
    lose_many(loss, 1);
}

/// Counts `many`.
#[inline(always)]
pub fn lose_many(loss: Loss, many: u32) {
    if many == 0 {
        return;
    }
    if let Some(counter) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: a live word of a map value. Atomic although the map is per CPU: a handler can be preempted by another's.
        unsafe { atomics::add(counter, u64::from(many)) };
    }
}
