//! Bytes as hexadecimal digits and back: of keys, nonces and signatures.

/// Two digits a byte, in lower case.
pub(crate) fn text(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Exactly `N` bytes, by digits of either case.
pub(crate) fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

/// Whether there are `count` digits in lower case.
pub(crate) fn is_lower(digits: &[u8], count: usize) -> bool {
    digits.len() == count && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(text(&[0x00, 0xa9, 0xff]), "00a9ff");
        assert_eq!(bytes::<3>(b"00a9FF"), Some([0x00, 0xa9, 0xff]));
        for wrong in ["00a9f", "00a9f", "00a9ff0", "00a9ff00", "00a9fg", "00 9ff", "", "+0a9ff"] {
            assert_eq!(bytes::<3>(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn lower_case_only() {
        assert!(is_lower(b"09af", 4));
        assert!(!is_lower(b"09aF", 4) && !is_lower(b"09a", 4) && !is_lower(b"09ag", 4));
    }
}
