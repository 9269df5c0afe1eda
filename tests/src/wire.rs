//! The wire format of Protocol Buffers (protobuf.dev, "Encoding"), without a schema: enough to tell that a file is well formed and to
//! count what is in it. Readers of other makers look closer (`tests/formats`).

use crate::{Failure, Result};

/// A field's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'b> {
    /// Wire type 0, 1 or 5.
    Number(u64),
    /// Wire type 2: a string, a message, or packed numbers.
    Bytes(&'b [u8]),
}

/// Every field of a message, in the file's order: its number and its value.
pub fn fields(mut message: &[u8]) -> Result<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)?),
            1 => Value::Number(fixed(&mut message, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).map_err(|_| broken("a length"))?;
                Value::Bytes(take(&mut message, length)?)
            }
            5 => Value::Number(fixed(&mut message, 4)?),
            other => return Err(broken(&format!("wire type {other}"))),
        };
        fields.push((tag >> 3, value));
    }
    Ok(fields)
}

/// The values of one field that are messages or strings.
pub fn messages<'b>(message: &'b [u8], field: u64) -> Result<Vec<&'b [u8]>> {
    let of = |(number, value): (u64, Value<'b>)| match value {
        Value::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    };
    Ok(fields(message)?.into_iter().filter_map(of).collect())
}

/// The last value of one field that is a number.
pub fn number(message: &[u8], field: u64) -> Result<Option<u64>> {
    let of = |(number, value): (u64, Value<'_>)| match value {
        Value::Number(value) if number == field => Some(value),
        _ => None,
    };
    Ok(fields(message)?.into_iter().filter_map(of).next_back())
}

fn varint(from: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(from, 1)?.first().copied().unwrap_or(0);
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(broken("a varint of more than ten bytes"))
}

fn fixed(from: &mut &[u8], length: usize) -> Result<u64> {
    Ok(take(from, length)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn take<'b>(from: &mut &'b [u8], length: usize) -> Result<&'b [u8]> {
    let (taken, rest) = from.split_at_checked(length).ok_or_else(|| broken("an end in the middle of a field"))?;
    *from = rest;
    Ok(taken)
}

fn broken(what: &str) -> Failure {
    Failure::Wrong(vec![format!("not protobuf: {what}")])
}

#[cfg(test)]
mod tests {
    use super::{Value, fields, messages, number};

    /// Check the encoding's own examples (150 in field 1, "testing" in field 2), fixed numbers, and broken messages.
    #[test]
    fn examples() {
        let message = b"\x08\x96\x01\x12\x07testing\x1d\x01\x02\x00\x00";
        let expected = [(1, Value::Number(150)), (2, Value::Bytes(b"testing")), (3, Value::Number(0x201))];
        assert_eq!(fields(message).unwrap(), expected);
        assert_eq!(messages(message, 2).unwrap(), [b"testing"]);
        assert_eq!((number(message, 1).unwrap(), number(message, 2).unwrap()), (Some(150), None));
        for broken in [&b"\x08"[..], b"\x12\x07test", b"\x0b", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(fields(broken).is_err(), "{broken:?}");
        }
    }
}
