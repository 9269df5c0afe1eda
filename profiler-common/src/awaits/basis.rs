//! What a walk went by: as long as the words say the same, the next walk would find the same, and need not be taken.

use crate::unwind::{Block, Memory};

/// Words that can be noted. A walk that goes by more of them is taken anew each time: reading them all would take as long.
pub const BASIS_WORDS: usize = 4;

const MASK: usize = BASIS_WORDS - 1;
const _: () = assert!(BASIS_WORDS.is_power_of_two());

/// A mark for more than can be noted.
const TOO_MANY: u32 = 5;
const _: () = assert!(TOO_MANY as usize == BASIS_WORDS + 1);

/// Where the width stands beside an address. No address of a process is as long.
const WIDTH_SHIFT: u32 = 56;
const ADDRESS: u64 = (1 << WIDTH_SHIFT) - 1;

/// Keeps the place of a word in the block.
const BLOCK_MASK: u64 = 7;
const _: () = assert!(size_of::<Block>() as u64 == 8 * (BLOCK_MASK + 1));

/// The words that a walk went by, and what stood there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Basis {
    /// How many; 0: nothing is known.
    pub count: u32,
    /// Words of the stack that was found.
    pub kept: u32,
    /// Their addresses, with the width (bytes) in the uppermost byte where it is a tag, else 0 there.
    pub places: [u64; BASIS_WORDS],
    /// What stood there.
    pub values: [u64; BASIS_WORDS],
}

impl Basis {
    /// Nothing is known.
    pub const NONE: Self = Self { count: 0, kept: 0, places: [0; BASIS_WORDS], values: [0; BASIS_WORDS] };

    /// Notes that a tag of `width` bytes was read as `value` at `address`; of width 0 a word.
    #[inline(always)]
    pub(super) fn note(&mut self, address: u64, width: u8, value: u64) {
        let count = self.count as usize;
        let place = address | u64::from(width) << WIDTH_SHIFT;
        if count >= BASIS_WORDS || address >> WIDTH_SHIFT != 0 {
            self.spoil();
            return;
        }
        // A tag is often read twice: rustc keeps an enum's in a spare value of the tag inside of it.
        if count > 0 && self.places[(count - 1) & MASK] == place {
            return;
        }
        self.places[count & MASK] = place;
        self.values[count & MASK] = value;
        self.count += 1;
    }

    /// Nothing can be said of this walk: it went by more than words that are noted.
    #[inline(always)]
    pub(super) fn spoil(&mut self) {
        self.count = TOO_MANY;
    }

    /// Whether it says all that the walk went by.
    #[inline(always)]
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.count != 0 && self.count < TOO_MANY
    }

    /// Whether the same words stand there still.
    ///
    /// Most are states of futures that lie inside one another, so what lies behind the first is read along with it.
    #[inline(always)]
    #[must_use]
    pub fn holds(&self, memory: &impl Memory) -> bool {
        if !self.is_whole() {
            return false;
        }
        let base = self.places[0] & ADDRESS & !7;
        let block = memory.block(base);
        for nth in 0..BASIS_WORDS {
            if nth >= self.count as usize {
                break;
            }
            let place = self.places[nth];
            let (address, width) = (place & ADDRESS, place >> WIDTH_SHIFT);
            // As `Memory::tag` reads it: out of the aligned word around it.
            let from = if width == 0 { address } else { address & !7 };
            let into = from.wrapping_sub(base);
            // Hidden from LLVM, which would take the address as it is: the verifier must see that it is a whole word's.
            let nth_word = (core::hint::black_box(into / 8) & BLOCK_MASK) as usize;
            let word = match &block {
                Some(block) if into < size_of::<Block>() as u64 && into.is_multiple_of(8) => Some(block[nth_word]),
                _ => memory.word(from),
            };
            let Some(word) = word else { return false };
            let spare = if width == 0 { 0 } else { ((8 - width) * 8) & 63 };
            if (word >> (((address - from) * 8) & 63)) << spare >> spare != self.values[nth] {
                return false;
            }
        }
        true
    }
}
