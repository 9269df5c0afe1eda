//! What sites find on their first hits. A site that finds no task of its own is wrong: its hits leave nothing behind but a count here, by which the
//! daemon takes it out.
//!
//! Functions of their own, because of their words on the stack: none is on the way of a task that was polled before.

use aya_ebpf::bindings::BPF_NOEXIST;
use profiler_common::hits::{FIRST_HITS, SiteHits};

use crate::atomics;
use crate::globals;
use crate::maps::{SITE_HITS, TYPES};
use crate::memory::read_user;

/// A task that is new belongs to the site at `at`.
#[inline(never)]
pub fn accepted(at: u64) {
    let Some(row) = row(at) else { return };
    // SAFETY: a live map value, changed by atomic adds only.
    unsafe {
        if core::ptr::read_volatile(&raw const (*row).accepted) < FIRST_HITS {
            atomics::add(&raw mut (*row).accepted, 1);
        }
    }
}

/// What reached the site at `at` does not belong there.
#[inline(never)]
pub fn refused(at: u64) {
    let Some(row) = row(at) else { return };
    // SAFETY: as above.
    unsafe { atomics::add(&raw mut (*row).refused, 1) };
}

/// An end at `at` of what has no row: of a task that was never seen to be polled, or of none at all.
#[inline(never)]
pub fn unknown(address: u64, at: u64) {
    let vtable = read_user::<u64>(address.wrapping_add(u64::from(globals::header_vtable_offset())));
    // SAFETY: the daemon writes this map before the window opens and never after.
    if vtable.is_none_or(|vtable| unsafe { TYPES.get(vtable) }.is_none()) {
        refused(at);
    }
}

/// The row of the site at `at`, made where it has none. `None`: there is no room, and it is not judged.
#[inline(always)]
fn row(at: u64) -> Option<*mut SiteHits> {
    if let Some(row) = SITE_HITS.get_ptr_mut(at) {
        return Some(row);
    }
    // Another CPU may have made it meanwhile: then that one stays.
    let _ = SITE_HITS.insert(at, SiteHits { accepted: 0, refused: 0 }, u64::from(BPF_NOEXIST));
    SITE_HITS.get_ptr_mut(at)
}
