//! The request record that a reader outside the process finds through the thread-local slot.
//!
//! OpenTelemetry's Thread-Local Context Record (OTEP 4947, `oteps/profiles/4947-thread-ctx.md`), immutable once a pointer to it has
//! been published. The request id is its first and only attribute, hence always at the same place; `ABI.md` has the table.

use crate::id::{MAX_REQUEST_ID_LEN, RequestId};

/// Index of `request.id` in the key map that this crate publishes.
pub(crate) const REQUEST_ID_KEY: u8 = 0;
/// An index that no key map of reasonable size has: "not for you".
pub(crate) const UNNAMED_KEY: u8 = 255;

/// A position in a W3C trace, as it stands in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) flags: u8,
}

/// See `ABI.md`. Aligned to 8: the OTEP asks for 2.
#[derive(Clone, Debug)]
#[repr(C, align(8))]
pub(crate) struct Record {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    valid: u8,
    trace_flags: u8,
    attrs_data_size: u16,
    id_key: u8,
    id_len: u8,
    id: [u8; MAX_REQUEST_ID_LEN],
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Record, trace_id) == 0);
    assert!(offset_of!(Record, span_id) == 16);
    assert!(offset_of!(Record, valid) == 24);
    assert!(offset_of!(Record, trace_flags) == 25);
    assert!(offset_of!(Record, attrs_data_size) == 26);
    assert!(offset_of!(Record, id_key) == 28);
    assert!(offset_of!(Record, id_len) == 29);
    assert!(offset_of!(Record, id) == 30);
    assert!(size_of::<Record>() == 96);
};

impl Record {
    /// `process_key` is the key index that this process gives to request ids.
    pub(crate) fn new(id: &RequestId, trace: TraceContext, process_key: u8) -> Self {
        Self {
            trace_id: trace.trace_id,
            span_id: trace.span_id,
            valid: 1,
            trace_flags: trace.flags,
            attrs_data_size: 2 + u16::from(id.len_byte()),
            id_key: if id.as_str().is_some() { process_key } else { UNNAMED_KEY },
            id_len: id.len_byte(),
            id: *id.padded(),
        }
    }

    /// The id it was made from.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::from_record(self.id_len, self.id)
    }

    /// The id's bytes.
    pub(crate) fn id_bytes(&self) -> &[u8] {
        self.id.get(..usize::from(self.id_len)).unwrap_or(&self.id)
    }

    /// The trace id, zeros for none.
    pub(crate) fn trace_id(&self) -> &[u8] {
        &self.trace_id
    }

    /// Whether both name the same request.
    pub(crate) fn same_request(&self, other: &Self) -> bool {
        self.id_len == other.id_len && self.id == other.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a record as a reader of the OTEP does: 28 bytes, then `attrs_data_size` bytes of entries.
    fn read(record: &Record) -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
        // SAFETY: the record is `repr(C)`, and 94 of its bytes are fields without padding between them.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast::<u8>(), 94) };
        let size = usize::from(u16::from_ne_bytes([bytes[26], bytes[27]]));
        let mut rest = &bytes[28..28 + size];
        let mut attributes = Vec::new();
        while let [key, len, tail @ ..] = rest {
            let (value, tail) = tail.split_at(usize::from(*len));
            attributes.push((*key, value.to_vec()));
            rest = tail;
        }
        (bytes[..28].to_vec(), attributes)
    }

    #[test]
    fn reads_as_the_otep_says() {
        let trace = TraceContext { trace_id: [7; 16], span_id: [9; 8], flags: 1 };
        let id = RequestId::try_from("order-42").unwrap();
        let (header, attributes) = read(&Record::new(&id, trace, REQUEST_ID_KEY));
        assert_eq!(header[..16], [7; 16]);
        assert_eq!(header[16..24], [9; 8]);
        assert_eq!(header[24..26], [1, 1]);
        assert_eq!(attributes, [(0, b"order-42".to_vec())]);
    }

    #[test]
    fn the_longest_id_fits() {
        let id = RequestId::try_from("x".repeat(64)).unwrap();
        let record = Record::new(&id, TraceContext::default(), REQUEST_ID_KEY);
        assert_eq!(read(&record).1, [(0, vec![b'x'; 64])]);
        assert_eq!(record.request_id(), id);
    }

    #[test]
    fn an_id_that_is_not_text_is_hidden_from_readers_that_expect_text() {
        let id = RequestId::try_from(&[0xff_u8, 0xfe][..]).unwrap();
        let record = Record::new(&id, TraceContext::default(), REQUEST_ID_KEY);
        assert_eq!(read(&record).1, [(UNNAMED_KEY, vec![0xff, 0xfe])]);
    }
}
