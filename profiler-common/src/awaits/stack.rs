//! Await stacks as the kernel side keeps them: each once, under an id that is the hash of its words.

use crate::limits::AWAIT_WORDS;

/// One await stack; its key in the map `AWAIT_STACKS` is its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AwaitStack {
    /// Words in use.
    pub len: u32,
    /// How the walk ended: [`super::AwaitEnd`] as a number.
    pub end: u32,
    /// See [`super::word`].
    pub words: [u64; AWAIT_WORDS],
}

impl AwaitStack {
    /// No words.
    pub const EMPTY: Self = Self { len: 0, end: 0, words: [0; AWAIT_WORDS] };

    /// The words in use.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        self.words.get(..self.len as usize).unwrap_or(&self.words)
    }
}

/// Key of the map `AWAIT_SUMS`: tasks of one type that waited in one await stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct AwaitKey {
    /// The await stack's id.
    pub stack: u64,
    /// Place of the task type in the daemon's list.
    pub task_type: u32,
    /// Keeps the key a multiple of 8 bytes; always 0.
    pub padding: u32,
}

/// Value of the map `AWAIT_SUMS`: the time between two polls that the tasks spent there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AwaitSum {
    /// How often.
    pub count: u64,
    /// The suspended part (ns).
    pub suspended_ns: u64,
    /// The scheduled part (ns).
    pub scheduled_ns: u64,
    /// The longest single wait, both parts (ns).
    pub longest_ns: u64,
}

impl AwaitSum {
    /// No wait.
    pub const NONE: Self = Self { count: 0, suspended_ns: 0, scheduled_ns: 0, longest_ns: 0 };
}

/// The id of the stack of no words.
pub const ID_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The id of a stack one word longer. Words of 64 bits are mixed as SplitMix64's output function does it; two of a program's few thousand
/// stacks share an id with a probability far below that of a memory error.
#[inline(always)]
#[must_use]
pub const fn id_with(id: u64, word: u64) -> u64 {
    let mut mixed = (id ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
