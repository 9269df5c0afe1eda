//! Any memory as another library's context: a look ends in its bounds, and what it gives is what lies there.
//!
//! The bytes are, in this order: the kind of the slot (1), the access (1), the wanted attribute's index (1), the known keys (1), the length of
//! the label's key (1); the rest is the memory from 0x1000 on, in which the thread pointer is 0x1000.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_common::foreign::{ForeignLook, ForeignSlot, ForeignSlots, STEPS};
use profiler_common::unwind::Memory;

const BASE: u64 = 0x1000;

struct Bytes<'a>(&'a [u8]);

impl Memory for Bytes<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(BASE)?).ok()?;
        Some(u64::from_le_bytes(self.0.get(at..at.checked_add(8)?)?.try_into().ok()?))
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind, access, key_index, keys_known, label_len], memory)) = data.split_first_chunk() else { return };
    let slot = ForeignSlot {
        kind: u32::from(kind % 4),
        access: u32::from(access % 3),
        offset: u64::from(access / 3),
        module: 1,
        vector: 8,
        entry_bytes: if access & 1 == 0 { 16 } else { 8 },
        padding: 0,
    };
    let wanted = ForeignSlots {
        count: 1,
        key_index: u32::from(key_index),
        keys_known: u32::from(keys_known),
        label_len: u32::from(label_len % 65),
        ..ForeignSlots::NONE
    };
    let memory = Bytes(memory);
    let mut look = ForeignLook { id: [u64::MAX; 8], ..ForeignLook::NEW };
    look.whole(&slot, &wanted, BASE, &memory);
    assert!(look.steps <= STEPS && look.id_len <= 64);
    if look.id_len != 0 {
        let bytes: Vec<u8> = look.id.iter().flat_map(|word| word.to_le_bytes()).collect();
        let at = usize::try_from(look.value_at - BASE).unwrap();
        let (id, rest) = bytes.split_at(look.id_len as usize);
        assert_eq!(id, &memory.0[at..at + id.len()]);
        assert!(rest.iter().all(|byte| *byte == 0));
    }
});
