//! Sentences made harmless for a terminal.

/// A sentence with every character that steers a terminal or turns the reading direction written as an escape.
///
/// Backslashes stay: parts that came from a target were escaped when they were put in. Where raw bytes are shown and two must
/// never read alike, the model's `printable` is the one to use.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // The bidirectional controls (Unicode UAX #9) and zero-width characters can make one id look like another.
        let hidden = matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if character.is_control() || hidden {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(visible("x\u{202e}y\u{9b}"), "x\\u{202e}y\\u{9b}");
        assert_eq!(visible("\x1b]0;owned\x07").find('\x1b'), None);
    }

    #[test]
    fn words_and_what_is_escaped_already_stay() {
        assert_eq!(visible("commande-é 注文 \\u{1b}"), "commande-é 注文 \\u{1b}");
    }
}
