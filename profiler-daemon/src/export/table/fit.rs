//! Cuts a table to a terminal, so that a live one never wraps or scrolls.

use unicode_width::UnicodeWidthChar as _;

/// The first `columns` columns of each line, and at most `rows` lines; the last then says how many are left off.
#[must_use]
pub fn fit(text: &str, columns: usize, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let shown = if lines.len() > rows { rows.saturating_sub(1) } else { lines.len() };
    let mut fitted: String = lines.iter().take(shown).map(|line| cut(line, columns) + "\n").collect();
    if shown < lines.len() && rows > 0 {
        let left_off = format!("... and {} more lines", lines.len() - shown);
        fitted.push_str(&cut(&left_off, columns));
        fitted.push('\n');
    }
    fitted
}

/// A line's first columns. The tables' own escapes (`ESC [ ... m`) take no column and are never cut in two: those after
/// the cut stay, since one of them ends the colour.
fn cut(line: &str, columns: usize) -> String {
    let mut kept = String::new();
    let mut width = 0;
    let mut escape = false;
    for character in line.chars() {
        if character == '\u{1b}' {
            escape = true;
        }
        if escape {
            kept.push(character);
            escape = character != 'm';
            continue;
        }
        width += character.width().unwrap_or(0);
        if width <= columns {
            kept.push(character);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_counted() {
        assert_eq!(fit("abcdef\nab\n", 4, 9), "abcd\nab\n");
        assert_eq!(fit("a\nb\nc\nd\n", 80, 3), "a\nb\n... and 2 more lines\n");
        assert_eq!(fit("a\nb\n", 80, 2), "a\nb\n");
        assert_eq!(fit("a\nb\n", 80, 0), "");
        assert_eq!(fit("注文注文\n", 5, 1), "注文\n");
    }

    #[test]
    fn a_colour_that_is_cut_into_still_ends() {
        assert_eq!(fit("\u{1b}[31mblocked\u{1b}[0m\n", 3, 1), "\u{1b}[31mblo\u{1b}[0m\n");
    }
}
