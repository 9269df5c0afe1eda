//! Text that came from the target, made fit to be shown: request ids, symbol names, task types.
//!
//! None of it is trusted. A request id may hold terminal escapes, a symbol name may hold anything an ELF file can. What
//! is shown has no control characters, no invisible reordering marks and is valid UTF-8; what was replaced stays legible.

use std::fmt::Write as _;

/// Bytes as one line of printable text.
///
/// Printable characters stay. A backslash becomes `\\`, a control or format character `\n`, `\t`, `\u{1b}`, a byte that
/// is not UTF-8 `\xff`: two different inputs never read the same.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_printable(&mut shown, character);
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

fn push_printable(shown: &mut String, character: char) {
    match character {
        '\\' => shown.push_str("\\\\"),
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        _ if is_hidden(character) => {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        }
        _ => shown.push(character),
    }
}

/// Whether a character shows nothing, moves the cursor or reorders its neighbours.
///
/// Beside the control characters: soft hyphen, the zero-width and directional marks of the General Punctuation block
/// (Unicode TR36, "Bidirectional Text Spoofing"), line and paragraph separators, variation selectors, the byte order
/// mark, the interlinear marks, the tags, and the non-characters that XML 1.0 refuses.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_stays() {
        assert_eq!(printable("order-42 größe 注文 🦀".as_bytes()), "order-42 größe 注文 🦀");
    }

    #[test]
    fn what_could_harm_is_spelled_out() {
        assert_eq!(printable(b"\x1b[31mred\n\\ \xff\0"), "\\u{1b}[31mred\\n\\\\ \\xff\\u{0}");
        assert_eq!(printable("a\u{202e}b\u{2028}".as_bytes()), "a\\u{202e}b\\u{2028}");
    }

    proptest! {
        #[test]
        fn never_hidden_and_never_ambiguous(
            one in prop::collection::vec(any::<u8>(), 0..24),
            other in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            let shown = printable(&one);
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert_eq!(shown == printable(&other), one == other);
        }
    }
}
