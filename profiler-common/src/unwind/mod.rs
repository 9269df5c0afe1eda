//! Walking a stack by tables: what a row says, how a step is taken, and how a walk ends.
//!
//! `.eh_frame` of the target's executable and libraries becomes rows (a pc, and the [`Rule`] that holds from it on) in the daemon. The
//! kernel side finds the row of a pc by bisection ([`search`]) and takes a step ([`Cursor::step`]) to the caller. Both are plain
//! functions over plain data: a test, a replay of captured stacks and a fuzzer run what the kernel runs.
//!
//! What is the architecture's own stands in [`x86_64`]; another one is a file beside it.

pub mod end;
pub mod region;
pub mod rule;
pub mod search;
mod x86_64;

pub use end::{End, Walks};
pub use region::{Chunk, Region, RegionKind, RegionTable};
pub use rule::{CfaKind, RbpKind, Rule};
pub use x86_64::Cursor;

/// Words that are read at once.
pub type Block = [u64; 8];

/// The target's memory, as whoever walks can read it.
pub trait Memory {
    /// The word (8 bytes) at `address`. `None`: it cannot be read.
    fn word(&self, address: u64) -> Option<u64>;

    /// The words from `address` on. `None`: one of them cannot be read.
    #[inline(always)]
    fn block(&self, address: u64) -> Option<Block> {
        let mut block = Block::default();
        for (place, word) in (0_u64..).zip(&mut block) {
            *word = self.word(address.wrapping_add(place * 8))?;
        }
        Some(block)
    }

    /// The number of `width` bytes (1, 2, 4 or 8, little endian) at `address`, which it is aligned to. `None`: it cannot be read.
    #[inline(always)]
    fn tag(&self, address: u64, width: u8) -> Option<u64> {
        // The aligned word around it lies in one page, so it can be read whenever the number can.
        let word = self.word(address & !7)? >> ((address & 7) * 8);
        match width {
            1 => Some(word & 0xff),
            2 => Some(word & 0xffff),
            4 => Some(word & 0xffff_ffff),
            8 => Some(word),
            _ => None,
        }
    }

    /// Reads `length` bytes (1 to 64) at `address` into the front of `into`, which is all zeros. False: they cannot be read.
    #[inline(always)]
    fn bytes(&self, address: u64, length: u32, into: &mut crate::awaits::key::KeyWords) -> bool {
        for (place, word) in (0_u32..).zip(into) {
            let begin = place * 8;
            for byte in begin..length.min(begin + 8) {
                let Some(value) = self.tag(address.wrapping_add(u64::from(byte)), 1) else { return false };
                *word |= value << ((byte - begin) * 8);
            }
        }
        true
    }
}
