//! The innermost scope being polled on a thread.

use std::cell::Cell;
use std::ptr;

use crate::abi;
use crate::record::Record;

thread_local! {
    /// The slot may hold another library's record; this never does.
    static CURRENT: Cell<Pointer> = const { Cell::new(Pointer { record: ptr::null(), seq: 0, wanted: false }) };
}

#[derive(Clone, Copy)]
struct Pointer {
    record: *const Record,
    seq: u64,
    wanted: bool,
}

/// The innermost scope: as it is while it is polled.
#[derive(Clone, Copy)]
pub(crate) struct Active<'a> {
    pub(crate) record: &'a Record,
    /// Its number; 0 where it has none yet.
    pub(crate) seq: u64,
    /// Its probes are reached whoever listens.
    pub(crate) wanted: bool,
}

impl Active<'_> {
    /// What `look` makes of the innermost scope of this thread, if there is one.
    pub(crate) fn now<T>(look: impl FnOnce(Active<'_>) -> T) -> Option<T> {
        let Pointer { record, seq, wanted } = CURRENT.get();
        // SAFETY: a pointer stands there only while a `Current` that borrows the record lives further up this thread's stack.
        let record = unsafe { record.as_ref() }?;
        Some(look(Active { record, seq, wanted }))
    }
}

/// Makes a record the current one of this thread, and what was there current again when dropped. What was in the slot before may
/// be another library's: it is put back, never read.
pub(crate) struct Current<'a> {
    record: &'a Record,
    /// What was in the slot.
    slot: *const Record,
    /// What was in `CURRENT`.
    outer: Pointer,
}

impl<'a> Current<'a> {
    #[inline]
    pub(crate) fn set(active: Active<'a>) -> Self {
        let Active { record, seq, wanted } = active;
        Self { record, slot: abi::replace_slot(record), outer: CURRENT.replace(Pointer { record, seq, wanted }) }
    }

    /// The record that it made current.
    #[inline]
    pub(crate) fn record(&self) -> &'a Record {
        self.record
    }
}

impl Drop for Current<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        abi::replace_slot(self.slot);
    }
}
