//! One look at what a thread-local pointer points at: an OpenTelemetry record, or a set of labels.
//!
//! ```text
//! OTEP 4947, packed                                custom-labels v1
//!  +0  trace id, 16 bytes                           set:   +0 labels (pointer)   +8 count
//!  +16 span id, 8 bytes                             label: +0 key length  +8 key  +16 value length  +24 value, 32 bytes
//!  +24 u8 valid: 1   +25 u8 flags                          key null: no label
//!  +26 u16 size of what follows
//!  +28 entries: u8 key index, u8 length, bytes
//! of a key that comes twice the last counts        ... the first counts
//! ```

use super::slot::{ForeignSlot, ForeignSlots, SLOT_KEY, SLOT_LABELS, SLOT_OTEL, SLOT_SCOPE};
use crate::awaits::key::{KeyPlace, KeyWords, RequestKey};
use crate::limits::REQUEST_ID_BYTES;
use crate::unwind::Memory;

/// Attributes, or labels, of one record that are looked at. The OTEP's recommended size has room for many short ones; no writer has these.
pub const STEPS: u32 = 64;

/// [`ForeignLook::flags`]: something could not be read.
pub const UNREADABLE: u32 = 1;
/// [`ForeignLook::flags`]: the value that names the request has no bytes, or more than an id may have.
pub const MALFORMED: u32 = 2;
/// [`ForeignLook::flags`]: there was more than is looked at.
pub const CUT: u32 = 4;
/// [`ForeignLook::flags`]: an attribute's index is not in the known map of keys.
pub const UNKNOWN_INDEX: u32 = 8;

/// The index that our annotation gives an id which the map of keys cannot name (`profiler-annotate/ABI.md`).
const SCOPE_INDEX: u64 = 255;

const LABEL_BYTES: u64 = 32;
#[expect(clippy::cast_possible_truncation, reason = "64")]
const MAX_BYTES: u32 = REQUEST_ID_BYTES as u32;

/// What has come of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// There are entries to be looked at.
    Going,
    /// That is all.
    Done,
}

/// A look under way, and then what it found. It lies in a map of the kernel side, whose stack is too small for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ForeignLook {
    /// The kind of the slot, [`super::SLOT_NONE`] where there was nothing in it.
    pub kind: u32,
    /// [`UNREADABLE`], [`MALFORMED`], [`CUT`], [`UNKNOWN_INDEX`].
    pub flags: u32,
    /// Where the next entry lies.
    pub at: u64,
    /// Of attributes how many bytes are left, of labels how many labels.
    pub left: u64,
    /// Where the value lies that names the request, 0 for nowhere yet.
    pub value_at: u64,
    /// Its length (bytes).
    pub value_len: u64,
    /// The trace id as words of memory, zeros for none.
    pub trace: [u64; 2],
    /// The span id.
    pub span: u64,
    /// The value itself, zeros after its length.
    pub id: KeyWords,
    /// Its length, 0 where there is none.
    pub id_len: u32,
    /// Entries looked at.
    pub steps: u32,
}

impl ForeignLook {
    /// A look at nothing.
    pub const NEW: Self = Self {
        kind: 0,
        flags: 0,
        at: 0,
        left: 0,
        value_at: 0,
        value_len: 0,
        trace: [0; 2],
        span: 0,
        id: [0; REQUEST_ID_BYTES / 8],
        id_len: 0,
        steps: 0,
    };

    /// Looks at `slot` of the thread with this thread pointer.
    #[inline(always)]
    pub fn begin(&mut self, slot: &ForeignSlot, thread_pointer: u64, memory: &impl Memory) -> Looked {
        self.reset();
        let Some(pointer) = slot.pointer(thread_pointer, memory) else { return self.unreadable() };
        if pointer == 0 {
            return Looked::Done;
        }
        let begun = if slot.kind == SLOT_OTEL || slot.kind == SLOT_SCOPE {
            let begun = self.record(pointer, memory);
            if self.kind == SLOT_OTEL {
                self.kind = slot.kind;
            }
            begun
        } else if slot.kind == SLOT_LABELS {
            self.set(pointer, memory)
        } else {
            Some(Looked::Done)
        };
        begun.unwrap_or_else(|| self.unreadable())
    }

    /// Looks at the value of `key` in `slot` of the thread with this thread pointer; [`Self::finish`] reads it.
    #[inline(always)]
    pub fn begin_key(&mut self, slot: &ForeignSlot, key: &RequestKey, thread_pointer: u64, memory: &impl Memory) {
        self.reset();
        match key.place(thread_pointer.wrapping_add(slot.offset), memory) {
            KeyPlace::Nothing => {}
            KeyPlace::At(at, length) => (self.kind, self.value_at, self.value_len) = (SLOT_KEY, at, length),
            KeyPlace::Unreadable => self.flags |= UNREADABLE,
        }
    }

    #[inline(always)]
    fn reset(&mut self) {
        (self.kind, self.flags, self.steps) = (0, 0, 0);
        // Not a plain 0: LLVM would call `memset`, which is a loop of bytes on BPF.
        let zero = core::hint::black_box(0_u64);
        (self.at, self.left, self.value_at, self.value_len) = (zero, zero, zero, zero);
        (self.trace, self.span, self.id_len) = ([zero; 2], zero, 0);
    }

    #[inline(always)]
    fn record(&mut self, at: u64, memory: &impl Memory) -> Option<Looked> {
        // The word that ends where the head does: one behind it could lie on a page that is not there.
        let tail = memory.word(at.wrapping_add(20))? >> 32;
        if tail & 0xff != 1 {
            return Some(Looked::Done);
        }
        let (first, second) = (memory.word(at)?, memory.word(at.wrapping_add(8))?);
        self.span = memory.word(at.wrapping_add(16))?;
        self.trace = [first, second];
        self.kind = SLOT_OTEL;
        self.at = at.wrapping_add(28);
        self.left = tail >> 16;
        Some(Looked::Going)
    }

    #[inline(always)]
    fn set(&mut self, at: u64, memory: &impl Memory) -> Option<Looked> {
        let (labels, count) = (memory.word(at)?, memory.word(at.wrapping_add(8))?);
        self.kind = SLOT_LABELS;
        if labels == 0 {
            return Some(Looked::Done);
        }
        (self.at, self.left) = (labels, count);
        Some(Looked::Going)
    }

    /// Looks at one entry.
    #[inline(always)]
    pub fn step(&mut self, wanted: &ForeignSlots, memory: &impl Memory) -> Looked {
        if self.steps >= STEPS {
            self.flags |= CUT;
            return Looked::Done;
        }
        self.steps += 1;
        let stepped = if self.kind == SLOT_LABELS { self.label(wanted, memory) } else { self.attribute(wanted, memory) };
        stepped.unwrap_or_else(|| self.unreadable())
    }

    #[inline(always)]
    fn attribute(&mut self, wanted: &ForeignSlots, memory: &impl Memory) -> Option<Looked> {
        if self.left < 2 {
            return Some(Looked::Done);
        }
        let (index, length) = (memory.tag(self.at, 1)?, memory.tag(self.at.wrapping_add(1), 1)?);
        if self.left - 2 < length {
            return Some(Looked::Done);
        }
        if index == u64::from(wanted.key_index) || self.kind == SLOT_SCOPE && index == SCOPE_INDEX {
            (self.value_at, self.value_len) = (self.at.wrapping_add(2), length);
        } else if index >= u64::from(wanted.keys_known) {
            self.flags |= UNKNOWN_INDEX;
        }
        self.at = self.at.wrapping_add(2 + length);
        self.left -= 2 + length;
        Some(Looked::Going)
    }

    #[inline(always)]
    fn label(&mut self, wanted: &ForeignSlots, memory: &impl Memory) -> Option<Looked> {
        if self.left == 0 {
            return Some(Looked::Done);
        }
        let at = self.at;
        self.at = at.wrapping_add(LABEL_BYTES);
        self.left -= 1;
        let (length, key) = (memory.word(at)?, memory.word(at.wrapping_add(8))?);
        if key == 0 || length != u64::from(wanted.label_len) || wanted.label_len == 0 {
            return Some(Looked::Going);
        }
        // The place of the value serves for the key first.
        self.clear();
        if !memory.bytes(key, wanted.label_len, &mut self.id) {
            return None;
        }
        for (word, other) in self.id.iter().zip(&wanted.label) {
            if *word != *other {
                return Some(Looked::Going);
            }
        }
        self.value_len = memory.word(at.wrapping_add(16))?;
        self.value_at = memory.word(at.wrapping_add(24))?;
        Some(Looked::Done)
    }

    /// Reads the value that the steps have found.
    #[inline(always)]
    pub fn finish(&mut self, memory: &impl Memory) {
        if self.value_at == 0 {
            return;
        }
        let Ok(length @ 1..=MAX_BYTES) = u32::try_from(self.value_len) else {
            self.flags |= MALFORMED;
            return;
        };
        self.clear();
        if memory.bytes(self.value_at, length, &mut self.id) {
            self.id_len = length;
        } else {
            self.flags |= UNREADABLE;
        }
    }

    /// The whole look, where there is no verifier to please.
    pub fn whole(&mut self, slot: &ForeignSlot, wanted: &ForeignSlots, thread_pointer: u64, memory: &impl Memory) {
        let mut looked = self.begin(slot, thread_pointer, memory);
        while looked == Looked::Going {
            looked = self.step(wanted, memory);
        }
        self.finish(memory);
    }

    #[inline(always)]
    fn clear(&mut self) {
        // Not a plain 0: LLVM would call `memset`, which is a loop of bytes on BPF.
        self.id = [core::hint::black_box(0_u64); REQUEST_ID_BYTES / 8];
    }

    #[inline(always)]
    const fn unreadable(&mut self) -> Looked {
        self.flags |= UNREADABLE;
        Looked::Done
    }
}

#[cfg(test)]
mod tests;
