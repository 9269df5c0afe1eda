//! A key of the application that names requests: where its value lies in the future that carries it, and how it is read.
//!
//! Source: tokio `task/task_local.rs`: `TaskLocalFuture<T, F>` has `local`, the address of the key, and `slot`, an `Option<T>`. Inside its
//! poll the slot's value is swapped with the thread-local's; between two polls it lies in the slot.

use super::stack::{ID_START, id_with};
use crate::limits::REQUEST_ID_BYTES;
use crate::unwind::Memory;

/// [`RequestKey::kind`]: bytes behind a pointer: a string.
pub const KEY_TEXT: u32 = 1;
/// [`RequestKey::kind`]: bytes in the slot itself: an integer, or the 16 bytes of a UUID.
pub const KEY_INLINE: u32 = 2;

#[expect(clippy::cast_possible_truncation, reason = "64")]
const MAX_BYTES: u32 = REQUEST_ID_BYTES as u32;

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// A text, as it is.
    Text,
    /// An integer without a sign, little endian.
    Unsigned,
    /// An integer with a sign, little endian.
    Signed,
    /// The 16 bytes of a UUID, in the order in which they are written.
    Uuid,
}

/// The key that requests are named by, and how its value is read. All offsets are bytes from the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestKey {
    /// The key's address in the target, 0: requests are not named by a key.
    pub local: u64,
    /// The tag that tells `Some` from `None`: the value compared with.
    pub tag: u64,
    /// Where the tag lies.
    pub tag_offset: u32,
    /// Its width (bytes), 0 where there is none: it is `Some` always.
    pub tag_width: u32,
    /// 1: it is `Some` where the tag is `tag`; 0: where it is not.
    pub some_is_tag: u32,
    /// [`KEY_TEXT`] or [`KEY_INLINE`].
    pub kind: u32,
    /// Where the pointer, or the value, lies.
    pub offset: u32,
    /// Of a text where its length (8 bytes) lies.
    pub length: u32,
    /// Of a text what is added to the pointer: the counts of an `Arc` stand before the bytes.
    pub skip: u32,
    /// Of a value in the slot its width (bytes, at most 16).
    pub width: u32,
}

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// No value.
    Nothing,
    /// A value of this many bytes (1 to 64), which were read.
    Bytes(u32),
    /// A text of no bytes, or of more than a request id may have.
    Malformed,
    /// It cannot be read.
    Unreadable,
}

/// Where a slot's value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// There is none.
    Nothing,
    /// At this address, so many bytes, which may be none or too many.
    At(u64, u64),
    /// The slot cannot be read.
    Unreadable,
}

/// A place for a value: whole words, so that it can be hashed and cleared by words.
pub type KeyWords = [u64; REQUEST_ID_BYTES / 8];

impl RequestKey {
    /// Requests are not named by a key.
    pub const NONE: Self =
        Self { local: 0, tag: 0, tag_offset: 0, tag_width: 0, some_is_tag: 0, kind: 0, offset: 0, length: 0, skip: 0, width: 0 };

    /// Reads what stands in the slot at `slot` into the front of `into`, and leaves zeros behind it.
    #[inline(always)]
    pub fn read(&self, slot: u64, memory: &impl Memory, into: &mut KeyWords) -> KeyValue {
        // Not a plain 0: LLVM would call `memset`, which is a loop of bytes on BPF.
        *into = [core::hint::black_box(0_u64); REQUEST_ID_BYTES / 8];
        match self.place(slot, memory) {
            KeyPlace::Nothing => KeyValue::Nothing,
            KeyPlace::Unreadable => KeyValue::Unreadable,
            KeyPlace::At(from, length) => match u32::try_from(length) {
                Ok(length @ 1..=MAX_BYTES) if memory.bytes(from, length, into) => KeyValue::Bytes(length),
                Ok(1..=MAX_BYTES) => KeyValue::Unreadable,
                _ => KeyValue::Malformed,
            },
        }
    }

    /// Where the value lies that stands in the slot at `slot`.
    #[inline(always)]
    pub fn place(&self, slot: u64, memory: &impl Memory) -> KeyPlace {
        if self.tag_width != 0 {
            let width = self.tag_width.to_le_bytes()[0];
            let Some(tag) = memory.tag(slot.wrapping_add(u64::from(self.tag_offset)), width) else {
                return KeyPlace::Unreadable;
            };
            if (tag == self.tag) != (self.some_is_tag != 0) {
                return KeyPlace::Nothing;
            }
        }
        let at = slot.wrapping_add(u64::from(self.offset));
        if self.kind != KEY_TEXT {
            return KeyPlace::At(at, u64::from(self.width));
        }
        let length = memory.word(slot.wrapping_add(u64::from(self.length)));
        match (memory.word(at), length) {
            (Some(pointer), Some(length)) => KeyPlace::At(pointer.wrapping_add(u64::from(self.skip)), length),
            _ => KeyPlace::Unreadable,
        }
    }
}

/// A number for a value: two of a program's values share one with a probability far below that of a memory error. Never 0.
#[inline(always)]
#[must_use]
pub fn key_hash(words: &KeyWords, length: u32) -> u64 {
    let mut hash = id_with(ID_START, u64::from(length));
    for word in words {
        hash = id_with(hash, *word);
    }
    hash | 1
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// Bytes at address 0x1000.
    struct Bytes(Vec<u8>);

    impl Memory for Bytes {
        fn word(&self, address: u64) -> Option<u64> {
            let at = usize::try_from(address.checked_sub(0x1000)?).ok()?;
            Some(u64::from_le_bytes(self.0.get(at..at + 8)?.try_into().ok()?))
        }
    }

    fn front(words: &KeyWords, length: usize) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).take(length).collect()
    }

    /// A slot with a string of `text`, whose bytes lie 3 bytes behind a word's begin; the tag is the capacity.
    fn string(text: &str, capacity: u64) -> Bytes {
        let mut bytes = Vec::new();
        bytes.extend(capacity.to_le_bytes());
        bytes.extend(0x1023_u64.to_le_bytes());
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.resize(0x23, 0xff);
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0xff);
        Bytes(bytes)
    }

    const STRING: RequestKey =
        RequestKey { local: 0x77, tag: 1 << 63, tag_width: 8, kind: KEY_TEXT, offset: 8, length: 16, ..RequestKey::NONE };

    /// Check that a text of every length that an id may have comes back, wherever it lies, with zeros behind it.
    #[test]
    fn texts_are_read_whole() {
        for length in 1..=REQUEST_ID_BYTES {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let mut words = [u64::MAX; 8];
            let read = STRING.read(0x1000, &string(&text, 100), &mut words);
            assert_eq!(read, KeyValue::Bytes(u32::try_from(length).unwrap()));
            let mut expected = text.into_bytes();
            expected.resize(REQUEST_ID_BYTES, 0);
            assert_eq!(front(&words, REQUEST_ID_BYTES), expected);
        }
    }

    /// Check what is no value: `None`, no bytes, too many, memory that is gone.
    #[test]
    fn what_is_no_value_is_told() {
        let mut words = [0; 8];
        assert_eq!(STRING.read(0x1000, &string("a", 1 << 63), &mut words), KeyValue::Nothing);
        assert_eq!(STRING.read(0x1000, &string("", 0), &mut words), KeyValue::Malformed);
        assert_eq!(STRING.read(0x1000, &string(&"x".repeat(65), 65), &mut words), KeyValue::Malformed);
        assert_eq!(STRING.read(0x9000, &string("a", 1), &mut words), KeyValue::Unreadable);
    }

    /// Check that a number with a tag of its own is read, and that its hash depends on its value.
    #[test]
    fn numbers_are_read() {
        let key = RequestKey { tag: 1, tag_width: 8, some_is_tag: 1, kind: KEY_INLINE, offset: 8, width: 8, ..RequestKey::NONE };
        let slot = |tag: u64, value: u64| Bytes([tag.to_le_bytes(), value.to_le_bytes()].concat());
        let mut words = [0; 8];
        assert_eq!(key.read(0x1000, &slot(1, 42), &mut words), KeyValue::Bytes(8));
        assert_eq!(words[0], 42);
        let other = [43, 0, 0, 0, 0, 0, 0, 0];
        assert_ne!(key_hash(&words, 8), key_hash(&other, 8));
        assert_eq!(key.read(0x1000, &slot(0, 42), &mut words), KeyValue::Nothing);
    }
}
