//! What a request is called, in the annotation's record.

use profiler_common::limits::{REQUEST_ID_BYTES, TRACE_ID_BYTES};
use profiler_common::loss::Loss;
use profiler_common::scope::ScopeRow;

use crate::memory::read_user;

/// Where the request id stands in the record: the first attribute of an OTEP 4947 record, behind 28 bytes of head
/// (16 trace id, 8 span id, 1 valid, 1 flags, 2 size): key index, length, bytes. The trace id comes first; zeros for none.
const ID_LENGTH_OFFSET: usize = 29;
/// See [`ID_LENGTH_OFFSET`].
const ID_OFFSET: usize = 30;

/// Words of the record, which has one size: all 64 bytes of the id are there whatever its length, with zeros at the end.
const RECORD_WORDS: usize = 12;
/// Words of an id.
pub const ID_WORDS: usize = REQUEST_ID_BYTES / 8;
/// Words of a trace id.
const TRACE_WORDS: usize = TRACE_ID_BYTES / 8;
/// The word in which the id begins, and the bits before it there.
const ID_WORD: (usize, usize) = (ID_OFFSET / 8, ID_OFFSET % 8 * 8);
const _: () = assert!(ID_OFFSET + REQUEST_ID_BYTES <= 8 * RECORD_WORDS);
const _: () = assert!(ID_WORD.1 != 0 && ID_WORD.0 + ID_WORDS < RECORD_WORDS);
const _: () = assert!(core::mem::offset_of!(ScopeRow, id).is_multiple_of(8));
const _: () = assert!(core::mem::offset_of!(ScopeRow, trace_id).is_multiple_of(8));

/// A record as it was read.
pub struct Named {
    words: [u64; RECORD_WORDS],
    length: u8,
}

impl Named {
    /// The record at `record`, all of it at once, as words. Why not: it cannot be read, or its id has no length that one may have.
    #[inline(always)]
    pub fn read(record: u64) -> Result<Self, Loss> {
        let Some(words) = read_user::<[u64; RECORD_WORDS]>(record) else { return Err(Loss::RecordUnreadable) };
        let length = (words[ID_LENGTH_OFFSET / 8] >> (ID_LENGTH_OFFSET % 8 * 8)) as u8;
        if length == 0 || usize::from(length) > REQUEST_ID_BYTES {
            return Err(Loss::RecordMalformed);
        }
        Ok(Self { words, length })
    }

    /// The id, padded with zeros. It is not aligned in the record.
    #[inline(always)]
    pub fn id(&self) -> [u64; ID_WORDS] {
        let (first, bits) = ID_WORD;
        core::array::from_fn(|place| self.words[first + place] >> bits | self.words[first + place + 1] << (64 - bits))
    }

    /// The trace that it is part of; zeros for none.
    #[inline(always)]
    pub fn trace_id(&self) -> [u64; TRACE_WORDS] {
        [self.words[0], self.words[1]]
    }

    /// Names the request of `row`.
    #[inline(always)]
    pub fn write(&self, row: &mut ScopeRow) {
        row.id_len = u32::from(self.length);
        // SAFETY: places in the row, as long, whose words are aligned as the row is; bytes of words.
        unsafe {
            (&raw mut row.id).cast::<[u64; ID_WORDS]>().write(self.id());
            (&raw mut row.trace_id).cast::<[u64; TRACE_WORDS]>().write(self.trace_id());
        }
    }
}
