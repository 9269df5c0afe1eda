//! Tables of numbers, for documents and terminals.

use std::fmt::Write as _;

/// What is not known.
pub(crate) fn unknown() -> String {
    "-".to_owned()
}

/// A Markdown table with its columns aligned, so that it reads as well in a terminal.
pub(crate) fn grid(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = String::new();
    for row in [&head, &rule].into_iter().chain(rows) {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    }
    text
}

/// A share with two decimals: `99.95 %`. `-` of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    match (part * 10_000).checked_div(whole) {
        Some(share) => format!("{}.{:02} %", share / 100, share % 100),
        None => unknown(),
    }
}

/// A quotient with one decimal. `-` of nothing.
pub(crate) fn decimal(number: u64, by: u64) -> String {
    match (number * 10).checked_div(by) {
        Some(tenths) => format!("{}.{}", tenths / 10, tenths % 10),
        None => unknown(),
    }
}

/// `1.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes >= 1_000_000 { format!("{} MB", decimal(bytes, 1_000_000)) } else { format!("{} kB", decimal(bytes, 1_000)) }
}
