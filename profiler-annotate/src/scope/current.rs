//! The innermost scope being polled on a thread.

use std::cell::Cell;
use std::ptr;

use super::State;
use crate::abi;
use crate::record::Record;

thread_local! {
    /// The slot may hold another library's record; this never does. One word: a wider one is read before its parts have been written
    /// through, which takes a processor longer than all the rest of a poll.
    static CURRENT: Cell<*const State> = const { Cell::new(ptr::null()) };
}

/// The innermost scope: as it is while it is polled.
#[derive(Clone, Copy)]
pub(crate) struct Active<'a> {
    pub(crate) record: &'a Record,
    /// Its number; 0 where it has none yet.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "children are spawned through tokio"))]
    pub(crate) seq: u64,
    /// Its probes are reached whoever listens.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "children are spawned through tokio"))]
    pub(crate) wanted: bool,
}

impl Active<'_> {
    /// What `look` makes of the innermost scope of this thread, if there is one.
    pub(crate) fn now<T>(look: impl FnOnce(Active<'_>) -> T) -> Option<T> {
        // SAFETY: a pointer stands there only while a `Current` that borrows the state lives further up this thread's stack.
        let state = unsafe { CURRENT.get().as_ref() }?;
        Some(look(state.active()))
    }
}

/// Makes a scope the current one of this thread, and what was there current again when dropped. What was in the slot before may
/// be another library's: it is put back, never read.
pub(crate) struct Current<'a> {
    state: &'a State,
    /// What was in the slot.
    slot: *const Record,
    /// What was in `CURRENT`.
    outer: *const State,
}

impl<'a> Current<'a> {
    #[inline]
    pub(crate) fn set(state: &'a State) -> Self {
        Self { state, slot: abi::replace_slot(state.record()), outer: CURRENT.replace(state) }
    }

    /// The record that it made current.
    #[inline]
    pub(crate) fn record(&self) -> &'a Record {
        self.state.record()
    }
}

impl Drop for Current<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        abi::replace_slot(self.slot);
    }
}
