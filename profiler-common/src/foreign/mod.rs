//! Request ids that other libraries leave in thread-locals: OpenTelemetry's thread context and custom-labels.
//!
//! Source: OTEP 4947 (`oteps/profiles/4947-thread-ctx.md`), custom-labels `custom-labels-v1.md`. Both are a thread-local pointer that is set
//! inside a future's poll only. Whoever reads stands on the thread itself, interrupted, as both ask for: no record changes meanwhile.
//!
//! Where the pointer lies ([`ForeignSlot`]) is found by the daemon; the reading ([`ForeignLook`]) is a plain function over the
//! target's memory, run by the kernel side, the tests and the fuzzer alike.

mod look;
mod slot;
mod trace;

pub use look::{CUT, ForeignLook, Looked, MALFORMED, STEPS, UNKNOWN_INDEX, UNREADABLE};
pub use slot::{
    ACCESS_DTV, ACCESS_STATIC, ForeignSlot, ForeignSlots, NO_INDEX, SLOT_KEY, SLOT_LABELS, SLOT_NONE, SLOT_OTEL, SLOT_SCOPE,
    SLOTS,
};
pub use trace::{TRACE_TEXT, hex_words, trace_text};

use crate::limits::REQUEST_ID_BYTES;

/// What the numbers of foreign ids begin with: those that a key names begin with [`crate::scope::KEYED`], the annotation counts from 1 on.
pub const FOREIGN: u64 = 1 << 62;

/// Whether a request's number is that of a foreign id.
#[inline(always)]
#[must_use]
pub const fn is_foreign(number: u64) -> bool {
    number >> 62 == 1
}

/// The number of the id with this hash ([`crate::awaits::key::key_hash`]).
#[inline(always)]
#[must_use]
pub const fn foreign_number(hash: u64) -> u64 {
    FOREIGN | hash & (FOREIGN - 1)
}

/// [`ForeignRecord::what`]: a trace id, written in hex.
pub const WHAT_TRACE: u32 = 1;
/// [`ForeignRecord::what`]: an attribute of an OpenTelemetry context.
pub const WHAT_ATTRIBUTE: u32 = 2;
/// [`ForeignRecord::what`]: a label of custom-labels.
pub const WHAT_LABEL: u32 = 3;
/// [`ForeignRecord::what`]: the id of a scope of our annotation, in a mode in which no probe tells of it.
pub const WHAT_SCOPE: u32 = 4;

/// [`ForeignRecord::what`]: a value of the key that names requests: its bytes, as they lie in memory.
pub const WHAT_KEY: u32 = 5;

/// A foreign id was seen that was not lately: which number stands for it in the records that follow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ForeignRecord {
    /// [`crate::record::RecordKind::Foreign`].
    pub kind: u32,
    /// The thread.
    pub tid: u32,
    /// When (ns).
    pub time_ns: u64,
    /// The number.
    pub number: u64,
    /// What it is: [`WHAT_TRACE`], [`WHAT_ATTRIBUTE`], [`WHAT_LABEL`], [`WHAT_SCOPE`] or [`WHAT_KEY`].
    pub what: u32,
    /// Length of the id (bytes, 1 to 64).
    pub id_len: u32,
    /// The id, zeros after `id_len`.
    pub id: [u8; REQUEST_ID_BYTES],
    /// The trace id beside it, zeros where there is none.
    pub trace_id: [u8; 16],
    /// The span id beside it, zeros where there is none.
    pub span_id: [u8; 8],
}
