//! The annotation's own slot, read like another library's where no probe tells which request a thread is in.
//!
//! The table says where each thread keeps the pointer to the record of the scope that it polls, once there was one
//! (`profiler-annotate/ABI.md`). A symbol may say it before.

use profiler_common::foreign::{ACCESS_STATIC, ForeignSlot, ForeignSlots, NO_INDEX, SLOT_OTEL, SLOT_SCOPE};

use crate::target::memory::{Spans as _, TargetMemory};

/// Offsets in the table (bytes).
const SLOT: u64 = 16;
/// Length of what is read from there: the slot's offset, the state, and behind it the index of ids.
const HEAD: usize = 13;

/// What the table says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    /// From the thread pointer, wrapping. `None`: no scope has been entered yet.
    offset: Option<u64>,
    /// The index that ids have among the attributes of a record.
    index: u8,
}

impl Head {
    fn of(bytes: &[u8; HEAD]) -> Self {
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3, index] = *bytes;
        let begun = u32::from_ne_bytes([s0, s1, s2, s3]) != 0;
        let offset = u64::from_ne_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        Self { offset: (begun && offset != 0).then_some(offset), index }
    }
}

/// Makes the slot of the program whose table is at `table` one of ours.
pub(super) fn add(slots: &mut ForeignSlots, table: u64, memory: &TargetMemory) {
    let mut bytes = [0; HEAD];
    if memory.read(table.wrapping_add(SLOT), &mut bytes) {
        put(slots, Head::of(&bytes));
    }
}

fn put(slots: &mut ForeignSlots, head: Head) {
    let ours = |slot: &ForeignSlot| slot.kind == SLOT_OTEL && slot.access == ACCESS_STATIC;
    let count = usize::try_from(slots.count).unwrap_or(0).min(slots.slots.len());
    let known = slots.slots.iter_mut().take(count).find(|slot| ours(slot) && head.offset.is_none_or(|at| at == slot.offset));
    match (known, head.offset) {
        (Some(slot), _) => slot.kind = SLOT_SCOPE,
        (None, Some(offset)) => {
            let slot = ForeignSlot { kind: SLOT_SCOPE, access: ACCESS_STATIC, offset, ..ForeignSlot::NONE };
            // It is read first; of too many the last goes.
            slots.slots.rotate_right(1);
            if let Some(first) = slots.slots.first_mut() {
                *first = slot;
            }
            slots.count = u32::try_from((count + 1).min(slots.slots.len())).unwrap_or(1);
        }
        (None, None) => return,
    }
    // Records whose index is 255 are known as ours in any case. A process context that could not be published names none.
    if slots.key_index == NO_INDEX && head.index == 0 {
        slots.key_index = 0;
        slots.keys_known = slots.keys_known.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = (-48_i64).cast_unsigned();

    fn with(slots: &[ForeignSlot]) -> ForeignSlots {
        let mut all = ForeignSlots { count: u32::try_from(slots.len()).unwrap(), ..ForeignSlots::NONE };
        all.slots[..slots.len()].copy_from_slice(slots);
        all
    }

    fn head(offset: u64, state: u32, index: u8) -> Head {
        let bytes = [&offset.to_ne_bytes()[..], &state.to_ne_bytes(), &[index]].concat();
        Head::of(&bytes.try_into().unwrap())
    }

    #[test]
    fn the_table_says_where_the_slot_is_once_there_was_a_scope() {
        assert_eq!(head(AT, 0, 0), Head { offset: None, index: 0 });
        let mut slots = ForeignSlots::NONE;
        put(&mut slots, head(AT, 0, 0));
        assert_eq!(slots, ForeignSlots::NONE);
        put(&mut slots, head(AT, 1, 0));
        assert_eq!((slots.count, slots.slots[0].kind, slots.slots[0].offset), (1, SLOT_SCOPE, AT));
        assert_eq!((slots.key_index, slots.keys_known), (0, 1));
    }

    #[test]
    fn a_symbol_of_the_same_slot_is_the_same_slot() {
        let symbol = ForeignSlot { kind: SLOT_OTEL, access: ACCESS_STATIC, offset: AT, ..ForeignSlot::NONE };
        for state in [0, 1] {
            let mut slots = with(&[symbol]);
            put(&mut slots, head(AT, state, 255));
            assert_eq!((slots.count, slots.slots[0].kind, slots.key_index), (1, SLOT_SCOPE, NO_INDEX));
        }
        let mut slots = with(&[ForeignSlot { offset: 8, ..symbol }]);
        put(&mut slots, head(AT, 1, 0));
        assert_eq!((slots.count, slots.slots[0].offset, slots.slots[1].kind), (2, AT, SLOT_OTEL));
    }
}
