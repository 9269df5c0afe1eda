//! docs/matrix.md: written from a run, and read again to hold the next one against it.

use super::cells::Cell;
use super::judge::FEATURES;
use super::kept::Came;
use crate::chore::grid::{grid, unknown};
use std::collections::BTreeMap;

/// What stands before the table.
const HEAD: &str = "\
# Where it works

Written by `cargo xtask matrix`: each row is a program that was built so, run, and profiled, and what the profiler said of it was held against
what the program had counted of itself. A row that comes out otherwise than here fails `cargo xtask matrix --diagonal`, which every change runs.

| column | `yes` means |
| --- | --- |
| polls | the tasks and polls of six kinds of future are the program's own counts, each kind for itself (`in sum`: kinds that share their code are one row; `but for lost, counted`: without \
symbols nothing shows a task's end, so that another at its address takes its row, and the report counts it as lost) |
| names | each kind goes by its future's name (`false`: by another's, with whose drop glue the compiler has merged its own) |
| wakes | every wake of a timer was seen, and no other |
| spawns | each task's wall time begins with its spawn; `local spawns`: on a `LocalSet` |
| requests | a request that the annotation names has the program's polls and a wall time within the program's own; its states add up to it |
| awaits | its longest wait stands in the function that waits, with the line (`by wakers`: in the code that stored the waker) |
| stacks | the stack of its working function is whole and has the names of all its functions (`without inlined`: those that were not inlined; `unnamed`: whole, with addresses) |

Symbols: `full` is `debug = \"full\"`, `lines` is `debug = \"line-tables-only\"`, `apart` is a stripped program with its full debug information in
a file of its own, `stripped` has none. `v0` is rustc's v0 mangling, `static` a static PIE with glibc (`crt-static`), `cdylib` a shared
object that a C program without Tokio loads by dlopen(3), all with full debug information.
Profiles: cargo's `debug` and `release`, release with `thin` link-time optimisation, with `fat` and `panic = \"abort\"`, and for `size` (`opt-level = \"z\"`).

Of `debug` programs that are stripped no end of a task is seen: `polls` differs from run to run there, by which addresses are used again.

";

/// Rows by the three columns that name a cell.
pub(crate) type Rows = BTreeMap<Vec<String>, Vec<String>>;

/// The cells of one row behind its name.
pub(crate) fn row(came: &Came) -> Vec<String> {
    match came {
        Came::Ran(verdicts) => FEATURES.iter().map(|name| verdicts.get(*name).cloned().unwrap_or_else(unknown)).collect(),
        Came::Refused(_) => FEATURES.iter().map(|_| "refused".to_owned()).collect(),
    }
}

/// The table of what ran, in the order of the cells.
pub(crate) fn table(came: &[(Cell, Came)]) -> String {
    let head: Vec<&str> = ["Tokio", "profile", "symbols"].into_iter().chain(FEATURES).collect();
    let rows: Vec<Vec<String>> = came.iter().map(|(cell, came)| cell.name().into_iter().chain(row(came)).collect()).collect();
    let refusals: Vec<String> = came
        .iter()
        .filter_map(|(cell, came)| match came {
            Came::Refused(why) => Some(format!("* {cell}: {why}")),
            Came::Ran(_) => None,
        })
        .collect();
    let refusals = if refusals.is_empty() { String::new() } else { format!("\n{}\n", refusals.join("\n")) };
    format!("{}{refusals}", grid(&head, &rows))
}

/// The whole document.
pub(crate) fn document(came: &[(Cell, Came)], setting: &str) -> String {
    format!("{HEAD}Run: {setting}\n\n{}", table(came))
}

/// The rows of a document.
pub(crate) fn read(document: &str) -> Rows {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.strip_prefix("| ")?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    let rows = document.lines().filter_map(cells).filter(|row| row.len() == 3 + FEATURES.len());
    let named = rows.filter_map(|row| Some((row.get(..3)?.to_vec(), row.get(3..)?.to_vec())));
    named
        .filter(|(name, _)| name.first().is_some_and(|first| first.starts_with(|letter: char| letter.is_ascii_digit())))
        .collect()
}

/// What differs from the document, a line each. A cell that it does not hold has nothing to differ from.
pub(crate) fn differences(came: &[(Cell, Came)], known: &Rows) -> Vec<String> {
    let mut lines = Vec::new();
    for (cell, came) in came {
        let Some(expected) = known.get(cell.name().as_slice()) else {
            lines.push(format!("{cell}: docs/matrix.md has no such row"));
            continue;
        };
        for ((feature, expected), found) in FEATURES.iter().zip(expected).zip(row(came)) {
            if *expected != found {
                lines.push(format!("{cell}: {feature}: {found}, and docs/matrix.md has {expected}"));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::cells;
    use super::*;

    fn came(awaits: &str) -> Vec<(Cell, Came)> {
        let verdicts =
            FEATURES.iter().map(|name| ((*name).to_owned(), if *name == "awaits" { awaits } else { "yes" }.to_owned())).collect();
        let mut cells = cells::all().into_iter();
        vec![(cells.next().unwrap(), Came::Ran(verdicts)), (cells.next().unwrap(), Came::Refused("no Tokio".to_owned()))]
    }

    /// Check that a document holds its rows and reasons, and is read as it was written.
    #[test]
    fn a_document_goes_through_its_text() {
        let document = document(&came("by wakers"), "Linux.");
        assert!(document.contains("* 1.8.5 debug lines: no Tokio\n"), "{document}");
        let rows = read(&document);
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(differences(&came("by wakers"), &rows), Vec::<String>::new());
        assert_eq!(differences(&came("no"), &rows), ["1.8.5 debug full: awaits: no, and docs/matrix.md has by wakers"]);
    }

    /// Check that a cell which was never written down is told.
    #[test]
    fn unknown_cells_are_told() {
        let lines = differences(&came("yes"), &Rows::new());
        assert_eq!(lines.first().map(String::as_str), Some("1.8.5 debug full: docs/matrix.md has no such row"));
    }
}
