//! The memory of one task for one walk: its first bytes, which were read together with those of others, and blocks that are read as the
//! walk comes to them.

use std::cell::{Cell, RefCell};

use profiler_common::unwind::Memory;

use crate::target::memory::Spans;

/// Bytes of a block. It never lies in two pages.
const BLOCK: usize = 256;
/// Blocks of one walk: a boxed future takes one or two. More than that is no future that anybody wrote, and the walk ends there.
const MAX_BLOCKS: u32 = 1024;

/// What one walk may read.
pub(super) struct TaskMemory<'m, M> {
    memory: &'m M,
    /// Where `ahead` was read.
    start: u64,
    ahead: &'m [u8],
    blocks: RefCell<Vec<Block>>,
    left: Cell<u32>,
}

struct Block {
    start: u64,
    /// `None`: it cannot be read.
    bytes: Option<[u8; BLOCK]>,
}

impl<'m, M: Spans> TaskMemory<'m, M> {
    /// `ahead` are the bytes at `start`.
    pub(super) const fn new(memory: &'m M, start: u64, ahead: &'m [u8]) -> Self {
        Self { memory, start, ahead, blocks: RefCell::new(Vec::new()), left: Cell::new(MAX_BLOCKS) }
    }

    fn ahead(&self, address: u64) -> Option<u64> {
        let into = usize::try_from(address.checked_sub(self.start)?).ok()?;
        super::shapes::word_at(self.ahead, into)
    }

    /// The byte at `address` and those behind it in its block, eight at most.
    fn in_block(&self, address: u64, into: &mut [u8]) -> Option<()> {
        let start = address & !(BLOCK as u64 - 1);
        let at = usize::try_from(address - start).ok()?;
        let mut blocks = self.blocks.borrow_mut();
        let known = blocks.iter().find(|block| block.start == start).map(|block| block.bytes);
        let bytes = if let Some(bytes) = known {
            bytes
        } else {
            self.left.set(self.left.get().checked_sub(1)?);
            let mut bytes = [0; BLOCK];
            let bytes = self.memory.read(start, &mut bytes).then_some(bytes);
            blocks.push(Block { start, bytes });
            bytes
        };
        into.copy_from_slice(bytes?.get(at..at.checked_add(into.len())?)?);
        Some(())
    }
}

impl<M: Spans> Memory for TaskMemory<'_, M> {
    fn word(&self, address: u64) -> Option<u64> {
        if let Some(word) = self.ahead(address) {
            return Some(word);
        }
        let mut word = [0; 8];
        let in_first = BLOCK - usize::try_from(address % BLOCK as u64).ok()?;
        let (first, second) = word.split_at_mut(in_first.min(8));
        self.in_block(address, first)?;
        if !second.is_empty() {
            self.in_block(address.checked_add(first.len() as u64)?, second)?;
        }
        Some(u64::from_le_bytes(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::snapshot::fake::Fake;

    /// Check that words come from what was read ahead, from blocks, and across two of them, and that a block is read once.
    #[test]
    fn words_from_everywhere() {
        let mut fake = Fake::default();
        fake.bytes(0x1000, &(0..=255).cycle().take(1024).collect::<Vec<u8>>());
        let ahead = [7; 16];
        let memory = TaskMemory::new(&fake, 0x9000, &ahead);
        assert_eq!(memory.word(0x9008), Some(u64::from_le_bytes([7; 8])));
        assert_eq!(memory.word(0x9009), None, "no word beyond what is there");
        assert_eq!(memory.word(0x1008), Some(u64::from_le_bytes([8, 9, 10, 11, 12, 13, 14, 15])));
        assert_eq!(memory.word(0x10fc), Some(u64::from_le_bytes([252, 253, 254, 255, 0, 1, 2, 3])));
        assert_eq!(memory.word(0x1010), Some(u64::from_le_bytes([16, 17, 18, 19, 20, 21, 22, 23])));
        assert_eq!(memory.word(u64::MAX), None);
        assert_eq!(memory.tag(0x1014, 4), Some(0x1716_1514));
        // 0x9000, 0x1000 and 0x1100, and the last block of all.
        assert_eq!(fake.reads(), 4);
    }

    /// Check that one walk's reads have an end.
    #[test]
    fn reads_are_bounded() {
        let mut fake = Fake::default();
        fake.bytes(0, &vec![1; BLOCK * (MAX_BLOCKS as usize + 10)]);
        let memory = TaskMemory::new(&fake, 0, &[]);
        let read = (0..u64::from(MAX_BLOCKS) + 10).filter(|block| memory.word(block * BLOCK as u64).is_some()).count();
        assert_eq!(read, MAX_BLOCKS as usize);
    }
}
