//! A grid of cells, its columns as wide as their widest cell.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Whether a table uses terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Plain text.
    Off,
    /// ANSI escapes (ECMA-48 SGR), for a terminal.
    On,
}

/// How a cell stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Heading,
    /// Of no interest: zero, or unknown.
    Faint,
    /// What a reader looks for first.
    Alarm,
}

impl Look {
    const fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Heading => Some("\x1b[1m"),
            Self::Faint => Some("\x1b[2m"),
            Self::Alarm => Some("\x1b[31m"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    align: Align,
    look: Look,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), align: Align::Left, look: Look::Plain }
    }

    pub(super) fn number(text: impl Into<String>) -> Self {
        Self { text: text.into(), align: Align::Right, look: Look::Plain }
    }

    pub(super) fn looking(mut self, look: Look) -> Self {
        self.look = look;
        self
    }
}

/// Rows of cells. Rows may have different numbers of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Grid {
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, each with `indent` before and no blanks after.
    pub(super) fn render(&self, indent: &str, colours: Colours) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells_of = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let widths: Vec<usize> =
            (0..columns).map(|column| cells_of(column).map(|cell| cell.text.width()).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            let mut blanks = 0;
            for (cell, width) in row.iter().zip(&widths) {
                let padding = width.saturating_sub(cell.text.width());
                let (before, after) = match cell.align {
                    Align::Left => (0, padding),
                    Align::Right => (padding, 0),
                };
                blanks += before;
                if !cell.text.is_empty() {
                    line.push_str(&" ".repeat(blanks));
                    push_cell(&mut line, cell, colours);
                    blanks = 0;
                }
                blanks += after + 2;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn push_cell(line: &mut String, cell: &Cell, colours: Colours) {
    line.push_str(&paint(&cell.text, cell.look, colours));
}

/// A text that stands out.
pub(super) fn paint(text: &str, look: Look, colours: Colours) -> Cow<'_, str> {
    match (colours, look.escape()) {
        (Colours::On, Some(escape)) if !text.is_empty() => Cow::Owned(format!("{escape}{text}\x1b[0m")),
        _ => Cow::Borrowed(text),
    }
}

/// At most `max` columns of a text: its beginning, and `…` for the rest.
pub(in crate::export) fn beginning(text: &str, max: usize) -> String {
    if text.width() <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut width = 1;
    for character in text.chars() {
        width += character.width().unwrap_or(0);
        if width > max {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// At most `max` columns of a text: `…`, and its end. Of a path, the end tells more.
pub(in crate::export) fn end(text: &str, max: usize) -> String {
    if text.width() <= max {
        return text.to_owned();
    }
    let mut width = 1;
    let tail = text.char_indices().rev().take_while(|(_, character)| {
        width += character.width().unwrap_or(0);
        width <= max
    });
    let from = tail.last().map_or(text.len(), |(at, _)| at);
    format!("…{}", text.get(from..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_characters() {
        let mut grid = Grid::default();
        grid.row(vec![Cell::text("name"), Cell::number("ms"), Cell::text("state")]);
        grid.row(vec![Cell::text("注文"), Cell::number("1.000"), Cell::text("")]);
        grid.row(vec![Cell::text("é🦀"), Cell::number("10.000"), Cell::text("blocked")]);
        grid.row(vec![Cell::text(""), Cell::number("7")]);
        assert_eq!(
            grid.render("  ", Colours::Off),
            "  name      ms  state\n  注文   1.000\n  é🦀   10.000  blocked\n             7\n"
        );
    }

    #[test]
    fn colours_change_no_width_and_are_off_if_not_asked_for() {
        let mut grid = Grid::default();
        grid.row(vec![Cell::text("a").looking(Look::Alarm), Cell::number("1").looking(Look::Faint)]);
        grid.row(vec![Cell::text("bb"), Cell::number("22")]);
        assert_eq!(grid.render("", Colours::Off), "a    1\nbb  22\n");
        assert_eq!(grid.render("", Colours::On), "\x1b[31ma\x1b[0m    \x1b[2m1\x1b[0m\nbb  22\n");
    }

    #[test]
    fn long_texts_keep_the_end_that_matters() {
        assert_eq!(beginning("order-42", 8), "order-42");
        assert_eq!(beginning("order-421", 8), "order-4…");
        assert_eq!(beginning("注文注文", 6), "注文…");
        assert_eq!(end("orders::handle", 7), "…handle");
        assert_eq!(end("注文注文", 6), "…注文");
        assert_eq!(end("orders", 6), "orders");
    }
}
