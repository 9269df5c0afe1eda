//! What is kept of a walk: one word (8 bytes) for each thing met, in pre-order.
//!
//! ```text
//! bits 0..24   node (frames and tasks), or bits 0..48 an address
//! bits 24..48  detail: a coroutine's state, a task's type, the number of an end
//! bits 48..56  kind
//! bits 56..64  depth: how many frames it lies in
//! ```

/// What a word is. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum WordKind {
    /// A frame: node, and the state where it is a coroutine.
    Frame = 1,
    /// Another task is awaited: node, and the place of that task's type in the daemon's list, [`NO_TYPE`] where it is not known.
    Task = 2,
    /// A `dyn` future whose vtable (the address) the table does not know. The branch goes no further.
    UnknownDyn = 3,
    /// The branch ends early here; the detail is the number of an [`super::AwaitEnd`].
    Cut = 4,
    /// A frame of a stack that was walked when a leaf stored its waker: an address of code. Innermost first, without depth.
    Address = 5,
}

/// "No task type" in a word's detail.
pub const NO_TYPE: u32 = 0xff_ffff;

/// A word of a frame, a task or a cut.
#[inline(always)]
#[must_use]
pub const fn word(kind: WordKind, depth: u32, node: u32, detail: u32) -> u64 {
    (node as u64 & 0xff_ffff) | (detail as u64 & 0xff_ffff) << 24 | (kind as u64) << 48 | (depth as u64 & 0xff) << 56
}

/// A word with an address.
#[inline(always)]
#[must_use]
pub const fn address_word(kind: WordKind, depth: u32, address: u64) -> u64 {
    (address & 0xffff_ffff_ffff) | (kind as u64) << 48 | (depth as u64 & 0xff) << 56
}

/// A word's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// `None`: a number that no kind has.
    pub kind: Option<WordKind>,
    /// How many frames it lies in.
    pub depth: u32,
    /// Bits 0..24.
    pub node: u32,
    /// Bits 24..48.
    pub detail: u32,
    /// Bits 0..48.
    pub address: u64,
}

/// Takes a word apart.
#[must_use]
pub const fn parts(word: u64) -> Parts {
    let kind = match (word >> 48) & 0xff {
        1 => Some(WordKind::Frame),
        2 => Some(WordKind::Task),
        3 => Some(WordKind::UnknownDyn),
        4 => Some(WordKind::Cut),
        5 => Some(WordKind::Address),
        _ => None,
    };
    Parts {
        kind,
        depth: (word >> 56) as u32,
        node: (word & 0xff_ffff) as u32,
        detail: (word >> 24 & 0xff_ffff) as u32,
        address: word & 0xffff_ffff_ffff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every part of a word comes back.
    #[test]
    fn words_keep_every_part() {
        let frame = parts(word(WordKind::Frame, 31, 0xab_cdef, 0x12_3456));
        assert_eq!((frame.kind, frame.depth, frame.node, frame.detail), (Some(WordKind::Frame), 31, 0xab_cdef, 0x12_3456));
        let unknown = parts(address_word(WordKind::UnknownDyn, 3, 0x7fff_1234_5678));
        assert_eq!((unknown.kind, unknown.depth, unknown.address), (Some(WordKind::UnknownDyn), 3, 0x7fff_1234_5678));
    }
}
