//! Text that came from the target or goes to it, in one form for every output and the command line: request ids, symbol names, task types.
//!
//! None of it is trusted. A request id may hold terminal escapes, a symbol name may hold anything an ELF file can. What is shown has no
//! control characters, no invisible reordering marks and is valid UTF-8; every byte that was replaced stays legible, and what was
//! copied from an output names the same bytes when it is typed.

use std::fmt::Write as _;

use thiserror::Error;

/// Bytes in lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes as one line of printable text.
///
/// Printable characters stay. A backslash becomes `\\`; of anything else (control and format characters, what is not UTF-8) each byte becomes
/// `\xff`, two lower-case digits. So two different inputs never read the same, and [`bytes`] is the way back.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    shown(bytes, |character| if character == '\\' { Some(r"\\") } else { None })
}

/// A sentence on one line: as [`printable`], but for its backslashes, which stay. Parts that came from a target were made printable when
/// they were put in; where two inputs must never read alike, [`printable`] is the one to use.
#[must_use]
pub fn visible(sentence: &str) -> String {
    shown(sentence.as_bytes(), |_| None)
}

fn shown(bytes: &[u8], instead: impl Fn(char) -> Option<&'static str>) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match instead(character) {
                Some(text) => shown.push_str(text),
                None if is_hidden(character) => spell(&mut shown, character.encode_utf8(&mut [0; 4]).as_bytes()),
                None => shown.push(character),
            }
        }
        spell(&mut shown, chunk.invalid());
    }
    shown
}

fn spell(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(shown, r"\x{byte:02x}");
    }
}

/// A backslash that stands for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(r"a backslash is written `\\`, any byte `\xff` with two hexadecimal digits")]
pub struct EscapeError;

/// The bytes that a text stands for: `\\` is a backslash, `\xff` a byte, everything else itself. The way back from [`printable`], and what
/// the command line takes. A backslash before anything else is refused: whoever writes `\n` may mean either.
pub fn bytes(text: &[u8]) -> Result<Vec<u8>, EscapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        (bytes, rest) = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => (with(bytes, b'\\'), behind),
            (b'\\', [b'x', high, low, behind @ ..]) => (with(bytes, digit(*high)? << 4 | digit(*low)?), behind),
            (b'\\', _) => return Err(EscapeError),
            _ => (with(bytes, first), behind),
        };
    }
    Ok(bytes)
}

fn with(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

fn digit(letter: u8) -> Result<u8, EscapeError> {
    let value = char::from(letter).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or(EscapeError)
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
        assert_eq!(printable(b"\x1b[31mred\n\\ \xff\0"), r"\x1b[31mred\x0a\\ \xff\x00");
        assert_eq!(printable("a\u{202e}b\u{2028}".as_bytes()), r"a\xe2\x80\xaeb\xe2\x80\xa8");
    }

    #[test]
    fn a_sentence_keeps_its_backslashes() {
        assert_eq!(visible("no request a\\x0a\x1b[2J\n"), r"no request a\x0a\x1b[2J\x0a");
        assert_eq!(visible("x\u{202e}y\u{9b} commande-é 注文"), r"x\xe2\x80\xaey\xc2\x9b commande-é 注文");
    }

    #[test]
    fn what_is_typed_is_taken_by_its_bytes() {
        assert_eq!(bytes(br"a\xff\x0A\\x00;"), Ok(b"a\xff\n\\x00;".to_vec()));
        assert_eq!(bytes("größe \u{202e}".as_bytes()), Ok("größe \u{202e}".into()));
        for bad in [&br"a\n"[..], br"\", br"\x", br"\x0", br"\xg0", br"\X00", br"\\\u{1b}", b"\\x\xff0"] {
            assert_eq!(bytes(bad), Err(EscapeError), "{}", printable(bad));
        }
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

        #[test]
        fn any_bytes_come_back(given in prop::collection::vec(any::<u8>(), 0..65), text in "\\PC{0,16}[\\\\x0-9a-f]{0,16}\\pC{0,4}") {
            prop_assert_eq!(bytes(printable(&given).as_bytes()), Ok(given));
            prop_assert_eq!(bytes(printable(text.as_bytes()).as_bytes()), Ok(text.into_bytes()));
        }
    }
}
