//! What a request id has in common with those of like requests: what counts, and what was drawn by lot, is `*`.

/// Letters and digits in a row of which at least this many, with a digit among them, were drawn by lot: a hash, a ULID, a trace id.
const LOT: usize = 16;
/// The same of hexadecimal digits alone.
const HEX_LOT: usize = 8;
/// A UUID's parts (hexadecimal digits).
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// The shape of an id: `order-42` is `order-*`.
pub(super) fn shape(id: &[u8]) -> Vec<u8> {
    let mut shape = Vec::with_capacity(id.len());
    let mut rest = id;
    while let [first, after @ ..] = rest {
        if let Some(after) = after_uuid(rest) {
            star(&mut shape);
            rest = after;
        } else if first.is_ascii_alphanumeric() {
            let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let (word, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            push_word(&mut shape, word);
            rest = after;
        } else {
            shape.push(*first);
            rest = after;
        }
    }
    shape
}

fn push_word(shape: &mut Vec<u8>, word: &[u8]) {
    let has_digit = word.iter().any(u8::is_ascii_digit);
    let hex = word.len() >= HEX_LOT && word.iter().all(u8::is_ascii_hexdigit);
    if has_digit && (hex || word.len() >= LOT) {
        star(shape);
        return;
    }
    for byte in word {
        if byte.is_ascii_digit() { star(shape) } else { shape.push(*byte) }
    }
}

/// One star for what follows itself.
fn star(shape: &mut Vec<u8>) {
    if shape.last() != Some(&b'*') {
        shape.push(b'*');
    }
}

/// What follows a UUID at the beginning of `bytes`.
fn after_uuid(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    for (place, length) in UUID.into_iter().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b"-")?;
        }
        let (part, after) = rest.split_at_checked(length)?;
        if !part.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = after;
    }
    (!rest.first().is_some_and(u8::is_ascii_alphanumeric)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn what_counts_or_was_drawn_is_a_star() {
        for (id, expected) in [
            ("order-42", "order-*"),
            ("GET /orders/17/lines/3", "GET /orders/*/lines/*"),
            ("job7b", "job*b"),
            ("user.v2.create", "user.v*.create"),
            ("nightly-report", "nightly-report"),
            ("0af7651916cd43dd8448eb211c80319c", "*"),
            ("gen-00ff12ab", "gen-*"),
            ("deadbeef", "deadbeef"),
            ("01HZXW3V5K8QJ7T2N4M6P9R0SB/pay", "*/pay"),
            ("pay/123e4567-e89b-12d3-a456-426614174000/x", "pay/*/x"),
            ("abcdefab-abcd-abcd-abcd-abcdefabcdef", "*"),
            ("42-43", "*-*"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&shape(id.as_bytes())), expected, "{id}");
        }
        assert_eq!(shape(b"\xff\x00;7"), b"\xff\x00;*");
    }
}
