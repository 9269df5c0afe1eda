//! Nothing is visible from outside on this platform.

use std::sync::LazyLock;

use crate::record::Record;
use crate::scope::Place;
use crate::table::Table;
use crate::times::Times;

pub(crate) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(Table::default);
    &TABLE
}

pub(crate) fn slot_offset() -> i64 {
    0
}

pub(crate) fn replace_slot(_new: *const Record) -> *const Record {
    std::ptr::null()
}

pub(crate) fn times_offset() -> i64 {
    0
}

pub(crate) fn replace_times(_new: *const Times) -> *const Times {
    std::ptr::null()
}

pub(crate) fn current_times() -> *const Times {
    std::ptr::null()
}

/// No time ever passes: nobody asks for any here.
pub(crate) fn now_ns() -> u64 {
    1
}

pub(crate) fn scope_times(_record: *const Record, _seq: u64, _times: *const Times) {}

pub(crate) fn scope_enter(_wanted: bool, _record: *const Record, _seq: u64, _place: &Place) {}

pub(crate) fn scope_exit(_wanted: bool, _record: *const Record, _seq: u64, _done: bool) {}

pub(crate) fn scope_end(_wanted: bool, _record: *const Record, _seq: u64) {}

pub(crate) fn scope_wake(_seq: u64) {}

#[cfg(feature = "tokio")]
pub(crate) fn scope_spawn(_record: *const Record, _seq: u64, _parent: u64, _kind: u64) {}

#[cfg(feature = "tokio")]
pub(crate) fn scope_task<H>(_seq: u64, _handle: &H) {}
