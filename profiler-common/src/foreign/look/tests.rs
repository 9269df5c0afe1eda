//! Tests of the look: records and sets built byte by byte, and any bytes.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::foreign::{ACCESS_STATIC, NO_INDEX, SLOT_NONE};

const BASE: u64 = 0x1000;

/// Bytes from [`BASE`] on; the slot is the first word.
struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(BASE)?).ok()?;
        Some(u64::from_le_bytes(self.0.get(at..at.checked_add(8)?)?.try_into().ok()?))
    }
}

fn slot(kind: u32) -> ForeignSlot {
    ForeignSlot { kind, access: ACCESS_STATIC, ..ForeignSlot::NONE }
}

/// The attribute of index 1 of three is wanted, or the label `request.id`.
fn wanted() -> ForeignSlots {
    let mut label = [0; 8];
    label[0] = u64::from_le_bytes(*b"request.");
    label[1] = u64::from_le_bytes(*b"id\0\0\0\0\0\0");
    ForeignSlots { count: 1, key_index: 1, keys_known: 3, label_len: 10, label, ..ForeignSlots::NONE }
}

fn look(kind: u32, memory: &Bytes) -> ForeignLook {
    let mut look = ForeignLook { id: [7; 8], ..ForeignLook::NEW };
    look.whole(&slot(kind), &wanted(), BASE, memory);
    look
}

fn id(look: &ForeignLook) -> Vec<u8> {
    look.id.iter().flat_map(|word| word.to_le_bytes()).take(look.id_len as usize).collect()
}

/// A record of the OTEP, byte by byte, padded so that aligned words around it can be read.
fn record(valid: u8, attributes: &[u8]) -> Bytes {
    let mut bytes = (BASE + 8).to_le_bytes().to_vec();
    bytes.extend(0x10..0x20_u8);
    bytes.extend(0xa0..0xa8_u8);
    bytes.extend([valid, 1]);
    bytes.extend(u16::try_from(attributes.len()).unwrap().to_le_bytes());
    bytes.extend(attributes);
    bytes.resize(bytes.len().next_multiple_of(8), 0xee);
    Bytes(bytes)
}

/// Check the head, and that of a key that comes twice the last value counts.
#[test]
fn a_record_of_the_otep() {
    let seen = look(SLOT_OTEL, &record(1, b"\x00\x02xy\x01\x05first\x02\x00\x01\x06second"));
    assert_eq!((seen.kind, seen.flags, id(&seen)), (SLOT_OTEL, 0, b"second".to_vec()));
    assert_eq!(seen.trace.map(u64::to_le_bytes).concat(), (0x10..0x20).collect::<Vec<u8>>());
    assert_eq!(seen.span.to_le_bytes().to_vec(), (0xa0..0xa8).collect::<Vec<u8>>());
}

/// Check that a record that is not valid says nothing, whatever the byte.
#[test]
fn an_invalid_record_is_none() {
    for valid in [0, 2, 255] {
        let seen = look(SLOT_OTEL, &record(valid, b"\x01\x01x"));
        assert_eq!((seen.kind, seen.id_len, seen.trace), (SLOT_NONE, 0, [0; 2]), "{valid}");
    }
}

/// Check that an entry that the rest cannot hold ends the record, and that an unknown index is told and passed over.
#[test]
fn what_does_not_fit_ends_it() {
    let seen = look(SLOT_OTEL, &record(1, b"\x01\x02ok\x01\x09short"));
    assert_eq!((id(&seen), seen.flags), (b"ok".to_vec(), 0));
    let seen = look(SLOT_OTEL, &record(1, b"\x09\x01q\x01\x02ok\x01"));
    assert_eq!((id(&seen), seen.flags), (b"ok".to_vec(), UNKNOWN_INDEX));
}

/// Check a value of no bytes and one of more than an id has, and more attributes than are looked at.
#[test]
fn what_is_no_id_is_told() {
    assert_eq!(look(SLOT_OTEL, &record(1, b"\x01\x00")).flags, MALFORMED);
    let long = [&[1, 65][..], &[b'x'; 65]].concat();
    assert_eq!((look(SLOT_OTEL, &record(1, &long)).flags, look(SLOT_OTEL, &record(1, &long)).id_len), (MALFORMED, 0));
    let many = [0, 0].repeat(STEPS as usize + 1);
    assert_eq!(look(SLOT_OTEL, &record(1, &many)).flags, CUT);
    // 64 bytes are an id.
    let longest = [&[1, 64][..], &[b'x'; 64]].concat();
    assert_eq!(id(&look(SLOT_OTEL, &record(1, &longest))), [b'x'; 64]);
}

/// Check that a record right before a page that is not there is read whole.
#[test]
fn a_record_at_the_end_of_memory() {
    let mut bytes = record(1, b"").0;
    bytes.truncate(8 + 28);
    let seen = look(SLOT_OTEL, &Bytes(bytes));
    assert_eq!((seen.kind, seen.flags), (SLOT_OTEL, 0));
}

/// A key and a value, `None` for a null pointer.
type Label<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// A set with these labels.
fn set(labels: &[Label<'_>]) -> Bytes {
    let table = BASE + 32;
    let mut at = table + 32 * labels.len() as u64;
    let mut bytes = [(BASE + 8), table, labels.len() as u64, 99].map(u64::to_le_bytes).concat();
    let mut texts: Vec<u8> = Vec::new();
    for text in labels.iter().flat_map(|(key, value)| [key, value]) {
        let length = text.map_or(0, <[u8]>::len) as u64;
        bytes.extend(length.to_le_bytes());
        bytes.extend(if text.is_some() { at } else { 0 }.to_le_bytes());
        texts.extend(text.unwrap_or_default());
        at += length;
    }
    bytes.extend(texts);
    bytes.resize(bytes.len() + 16, 0);
    Bytes(bytes)
}

/// Check that the first of a key counts, that null keys and other keys are passed over, and that a null value is none.
#[test]
fn a_set_of_labels() {
    let key = Some(&b"request.id"[..]);
    let seen = look(
        SLOT_LABELS,
        &set(&[(None, Some(b"no")), (Some(b"request.ix"), Some(b"no")), (key, Some(b"a;\xff")), (key, Some(b"later"))]),
    );
    assert_eq!((seen.kind, seen.flags, id(&seen)), (SLOT_LABELS, 0, b"a;\xff".to_vec()));
    let seen = look(SLOT_LABELS, &set(&[(key, None)]));
    assert_eq!((seen.id_len, seen.flags), (0, 0));
    let seen = look(SLOT_LABELS, &set(&[]));
    assert_eq!((seen.kind, seen.id_len), (SLOT_LABELS, 0));
    let many = vec![(None, None); STEPS as usize + 1];
    assert_eq!(look(SLOT_LABELS, &set(&many)).flags, CUT);
}

/// Check that no pointer is nothing, and one to nowhere is told.
#[test]
fn null_and_bad_pointers() {
    for kind in [SLOT_OTEL, SLOT_LABELS] {
        let seen = look(kind, &Bytes(vec![0; 8]));
        assert_eq!((seen.kind, seen.flags), (SLOT_NONE, 0));
        let seen = look(kind, &Bytes(u64::MAX.to_le_bytes().to_vec()));
        assert_eq!((seen.kind, seen.flags), (SLOT_NONE, UNREADABLE));
    }
}

/// Check that without a known key map only the trace counts.
#[test]
fn no_key_is_no_index() {
    let mut look = ForeignLook::NEW;
    let wanted = ForeignSlots { key_index: NO_INDEX, keys_known: 0, ..wanted() };
    look.whole(&slot(SLOT_OTEL), &wanted, BASE, &record(1, b"\x01\x01x"));
    assert_eq!((look.id_len, look.flags), (0, UNKNOWN_INDEX));
}

proptest! {
    /// Any bytes, with a pointer into them, end without a panic and give no id longer than one is.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 64..900), kind in 1_u32..3, into in 8_u64..64) {
        let mut bytes = bytes;
        bytes[..8].copy_from_slice(&(BASE + into).to_le_bytes());
        if kind == SLOT_OTEL && bytes.len() > 100 {
            bytes[usize::try_from(into).unwrap() + 24] = 1;
        }
        let seen = look(kind, &Bytes(bytes));
        prop_assert!(seen.id_len <= 64 && seen.steps <= STEPS);
    }
}
