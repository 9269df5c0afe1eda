//! Where a thread-local pointer lies, from the thread pointer on.

use crate::awaits::key::KeyWords;
use crate::unwind::Memory;

/// [`ForeignSlot::kind`]: none.
pub const SLOT_NONE: u32 = 0;
/// [`ForeignSlot::kind`]: `otel_thread_ctx_v1`.
pub const SLOT_OTEL: u32 = 1;
/// [`ForeignSlot::kind`]: `custom_labels_current_set`.
pub const SLOT_LABELS: u32 = 2;
/// [`ForeignSlot::kind`]: `otel_thread_ctx_v1` of a program that has our annotation, read where no probe tells its records from others'.
pub const SLOT_SCOPE: u32 = 3;

/// [`ForeignSlot::kind`]: the value of the key that names requests, as `tokio::task_local!` has it inside a poll: no pointer, but the
/// `Option<T>` itself.
pub const SLOT_KEY: u32 = 4;

/// [`ForeignSlot::access`]: at a fixed distance from the thread pointer: an executable's own, or a library's that got static TLS.
pub const ACCESS_STATIC: u32 = 1;
/// [`ForeignSlot::access`]: in the block that the thread's vector of modules (DTV) names.
pub const ACCESS_DTV: u32 = 2;

/// Slots of one target. A program has one of each kind; more where libraries bring their own.
pub const SLOTS: usize = 4;

/// One thread-local pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ForeignSlot {
    /// What it points at: [`SLOT_OTEL`], [`SLOT_LABELS`], [`SLOT_SCOPE`] or [`SLOT_KEY`].
    pub kind: u32,
    /// [`ACCESS_STATIC`] or [`ACCESS_DTV`].
    pub access: u32,
    /// Where it lies (bytes): from the thread pointer, modulo 2^64, or in its module's block.
    pub offset: u64,
    /// In a DTV: the module's number, from 1 on.
    pub module: u64,
    /// In a DTV: where the thread keeps the vector's address (bytes from the thread pointer, modulo 2^64).
    pub vector: u64,
    /// In a DTV: size of an entry (bytes): 16 of glibc, whose length stands one entry before the vector; 8 of musl, whose entry 0 it is.
    pub entry_bytes: u32,
    /// Keeps the rest aligned; always 0.
    pub padding: u32,
}

impl ForeignSlot {
    /// No slot.
    pub const NONE: Self = Self { kind: SLOT_NONE, access: 0, offset: 0, module: 0, vector: 0, entry_bytes: 0, padding: 0 };

    /// What the thread with this thread pointer has in the slot, 0 for nothing. `None`: it cannot be read.
    #[inline(always)]
    #[must_use]
    pub fn pointer(&self, thread_pointer: u64, memory: &impl Memory) -> Option<u64> {
        if self.access == ACCESS_STATIC {
            return memory.word(thread_pointer.wrapping_add(self.offset));
        }
        let vector = memory.word(thread_pointer.wrapping_add(self.vector))?;
        let entry = u64::from(self.entry_bytes);
        // A thread that has not touched the module since it was loaded may have a vector without a place for it.
        let length_at = if entry == 16 { vector.wrapping_sub(entry) } else { vector };
        if memory.word(length_at)? < self.module {
            return Some(0);
        }
        let block = memory.word(vector.wrapping_add(self.module.wrapping_mul(entry)))?;
        // glibc's `TLS_DTV_UNALLOCATED` (elf/dl-tls.c) is all ones.
        if block == 0 || block == u64::MAX {
            return Some(0);
        }
        memory.word(block.wrapping_add(self.offset))
    }
}

/// [`ForeignSlots::key_index`]: the process context names no such key.
pub const NO_INDEX: u32 = u32::MAX;

/// Every slot of a target, and which attribute or label names a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ForeignSlots {
    /// How many there are.
    pub count: u32,
    /// The attribute's index in the process context's map of keys, or [`NO_INDEX`].
    pub key_index: u32,
    /// How many keys that map has: an index beyond it shows that it has grown.
    pub keys_known: u32,
    /// Length of the label's key (bytes, 1 to 64).
    pub label_len: u32,
    /// The label's key, zeros after its length.
    pub label: KeyWords,
    /// The slots, in the order in which they are read; the first that names anything counts.
    pub slots: [ForeignSlot; SLOTS],
}

impl ForeignSlots {
    /// No slot at all.
    pub const NONE: Self =
        Self { count: 0, key_index: NO_INDEX, keys_known: 0, label_len: 0, label: [0; 8], slots: [ForeignSlot::NONE; SLOTS] };
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Words(HashMap<u64, u64>);

    impl Memory for Words {
        fn word(&self, address: u64) -> Option<u64> {
            self.0.get(&address).copied()
        }
    }

    fn words(all: &[(u64, u64)]) -> Words {
        Words(all.iter().copied().collect())
    }

    const TP: u64 = 0x7f00_0000_1000;

    /// Check a place below the thread pointer, as x86-64 has them.
    #[test]
    fn a_fixed_place() {
        let slot = ForeignSlot { kind: SLOT_OTEL, access: ACCESS_STATIC, offset: (-24_i64).cast_unsigned(), ..ForeignSlot::NONE };
        assert_eq!(slot.pointer(TP, &words(&[(TP - 24, 0x77)])), Some(0x77));
        assert_eq!(slot.pointer(TP, &words(&[])), None);
    }

    /// Check both vectors: a module that is there, one whose block is not made yet, and one that the vector is too short for.
    #[test]
    fn a_place_in_the_vector() {
        for (entry, length_at) in [(16_u32, 0x5000 - 16), (8, 0x5000)] {
            let slot = ForeignSlot {
                kind: SLOT_OTEL,
                access: ACCESS_DTV,
                offset: 0x40,
                module: 3,
                vector: 8,
                entry_bytes: entry,
                padding: 0,
            };
            let at = 0x5000 + 3 * u64::from(entry);
            let base = [(TP + 8, 0x5000), (length_at, 3)];
            assert_eq!(slot.pointer(TP, &words(&[&base[..], &[(at, 0x9000), (0x9040, 0x77)]].concat())), Some(0x77));
            assert_eq!(slot.pointer(TP, &words(&[&base[..], &[(at, 0)]].concat())), Some(0));
            assert_eq!(slot.pointer(TP, &words(&[&base[..], &[(at, u64::MAX)]].concat())), Some(0));
            assert_eq!(slot.pointer(TP, &words(&[(TP + 8, 0x5000), (length_at, 2)])), Some(0));
            assert_eq!(slot.pointer(TP, &words(&base)), None);
        }
    }
}
