//! The benchmark's report as tables, and docs/await-costs.md around them.

use super::super::grid::{decimal, grid, size, unknown};
use super::report::{Layouts, Report, Shape, Spread, Stored};

/// What stands before the tables.
const HEAD: &str = "\
# Await stacks, what they cost

Written by `cargo xtask bench await`. Absolute times are those of the machine it ran on; what lies in one table was measured in one run
and can be compared.

The fixture (`tests/chain-fixture`, release with full debug information) has one task, which wakes itself at the end of each poll and waits
at awaits of a known shape: its own future, what the row says, and at the end of each branch a future that waits for ever.
A benchmark that finds other frames than these fails.
";

/// What stands before the table of walks.
const WALKS: &str = "\
## The walk

Once for each poll that returned pending, of a task whose awaits are wanted. `kernel` is the time of a walk by the kernel side's own counters, with both
readings of its clock and the sums: the median over slices of the mean in each, and the quartiles. `steps` are types gone through, `words`
are what was kept: one for each frame, and one where a branch was cut. `user space` is the same walk by the same code over a copy of the
task's memory: CPU time, in batches of 1000. An await stack has 32 frames inside one another at most, so the last chain is cut, which is counted.
";

/// What stands before the table of polls.
const POLLS: &str = "\
## A poll

CPU time of the polling thread for a poll of the task, the runtime's work between two polls among it: without the profiler; with it attached to
every task (`run`) but no walk; and with a walk, which besides its own time looks up and keeps the await stack, and adds each wait to the
sum of its type and stack. `difference` is what slices with the walk took more than those without beside them. `error` is the same between two kinds
of slices that do not differ: what the rig itself gets wrong. Medians, with the quartiles in brackets.
";

/// What stands before the table of stored wakers.
const STORED: &str = "\
## Stored wakers

Where a program has no layouts, the stack is told in which a waker is stored. Here the leaf stores its waker at each poll, which is the most that one
can do: Tokio's own store it once a wait. The same fixture with line tables only. A poll without the profiler; with it and `--no-await-wakers`; with
the probe where a waker is stored, which returns at once; and with the stack told. `difference` is what slices of the last took more than those of
the one before beside them: the price beyond the probe itself. Medians, with the quartiles in brackets.
";

/// What stands before the table of layouts.
const LAYOUTS: &str = "\
## The layouts

Made once for each program at the attach, from the file's bytes in memory. `CPU` is the time of all threads together, the median of three
runs; `units` is the part of it in which every unit is gone through, on all CPUs; `time` is what the clock said, which on a busy machine says more of
the machine. `memory` is the peak beyond the file itself and what the process had before, of the first run. `entries` are task types,
boxed futures and scopes that lead to a layout. The aim is 200 MB of debug information in under 5 s and under 500 MB.
";

/// What stands after the tables.
const TAIL: &str = "\
## To measure a program of your own

`PROFILER_PROGRAM=FILE cargo xtask bench await` adds its layouts to the last table; several files have colons between them. `--large` adds a
generated program (`tests/src/large.rs`): thousands of nested async functions with timeouts, boxes, branches and spawned tasks,
built without optimisation.
";

/// The whole document; `setting` says on what it was measured.
pub(super) fn document(report: &Report, setting: &str) -> String {
    let rounds = format!("Slices of {} polls, {} of each kind for each row, by turns.", report.slice_polls, report.rounds);
    let further = further(&report.shapes).unwrap_or_default();
    format!(
        "{HEAD}\nMeasured on {setting} {rounds}\n\n{WALKS}\n{}\n{further}\n{POLLS}\n{}\n{STORED}\n{}\n{LAYOUTS}\n{}\n{TAIL}",
        walks(&report.shapes),
        polls(&report.shapes),
        stored(&report.stored),
        layouts(&report.layouts)
    )
}

/// The tables alone.
pub(super) fn tables(report: &Report) -> String {
    let (walks, polls) = (walks(&report.shapes), polls(&report.shapes));
    format!("{walks}\n{polls}\n{}\n{}", stored(&report.stored), layouts(&report.layouts))
}

fn walks(shapes: &[Shape]) -> String {
    let head = ["awaits", "words", "steps", "kernel ns/walk", "ns/word", "ns/step", "steps/word", "user space ns/walk", "ends"];
    let rows = shapes.iter().map(|shape| {
        vec![
            shape.what.clone(),
            decimal(shape.words, shape.walks),
            decimal(shape.steps, shape.walks),
            spread(shape.kernel),
            share(shape.kernel.median, shape.words, shape.walks),
            share(shape.kernel.median, shape.steps, shape.walks),
            decimal(shape.steps, shape.words),
            spread(shape.user),
            shape.cut.clone().unwrap_or_else(|| "whole".to_owned()),
        ]
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

fn polls(shapes: &[Shape]) -> String {
    let head = ["awaits", "without the profiler", "no walk", "walk", "difference", "error", "so the walk costs"];
    let rows = shapes.iter().map(|shape| {
        vec![
            shape.what.clone(),
            spread(shape.bare),
            spread(shape.off),
            spread(shape.on),
            spread(shape.difference),
            spread(shape.error),
            verdict(shape),
        ]
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

fn stored(rows: &[Stored]) -> String {
    let head = ["stored", "without the profiler", "no probe", "probe", "stack told", "difference"];
    let rows = rows.iter().map(|row| {
        let spreads = [row.bare, row.attached, row.probed, row.told, row.difference];
        std::iter::once(row.what.clone()).chain(spreads.map(spread)).collect()
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

/// What the difference says: nothing, where two slices that do not differ may be as far apart.
fn verdict(shape: &Shape) -> String {
    let error = shape.error.q1.unsigned_abs().max(shape.error.q3.unsigned_abs());
    if shape.difference.median.unsigned_abs() <= error {
        format!("nothing beyond the error of {} ns", tenths(i64::try_from(error).unwrap_or(i64::MAX)))
    } else {
        let part = decimal(shape.difference.median.unsigned_abs() * 100, shape.off.median.unsigned_abs());
        format!("{} ns, {part} % of the poll", tenths(shape.difference.median))
    }
}

fn layouts(all: &[Layouts]) -> String {
    let head = [
        "program",
        ".debug_info",
        "all .debug sections",
        "CPU",
        "units",
        "time",
        "CPU ms/MB of .debug_info",
        "memory",
        "nodes",
        "edges",
        "entries",
    ];
    let rows = all.iter().map(|row| {
        let mut cells = vec![row.program.clone(), size(row.info_bytes), size(row.debug_bytes)];
        if let Some(why) = &row.absent {
            cells.push(why.clone());
            cells.resize(head.len(), String::new());
            return cells;
        }
        cells.extend([row.cpu_ns, row.scan_ns, row.wall_ns].map(|ns| format!("{} ms", decimal(ns, 1_000_000))));
        // Nanoseconds by byte are milliseconds by megabyte.
        cells.push(decimal(row.cpu_ns, row.info_bytes));
        cells.push(size(row.peak_bytes));
        cells.extend([row.nodes, row.edges, row.entries].map(|count| count.to_string()));
        cells
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

/// What a further function of a chain adds to a walk, in a sentence.
fn further(shapes: &[Shape]) -> Option<String> {
    let chains: Vec<&Shape> = shapes.iter().filter(|shape| shape.cut.is_none() && shape.what.starts_with("chain of ")).collect();
    let length = |shape: &Shape| shape.what.strip_prefix("chain of ")?.parse::<i64>().ok();
    let mut plain = chains.iter().filter_map(|shape| Some((length(shape)?, *shape)));
    let first = plain.next()?;
    let last = plain.next_back()?;
    let each = |of: fn(&Shape) -> i64| (of(last.1) - of(first.1)).checked_div(last.0 - first.0).map(tenths);
    Some(format!(
        "A further async function of a chain takes {} ns in the kernel and {} ns in user space ({} against {}).\n",
        each(|shape| shape.kernel.median)?,
        each(|shape| shape.user.median)?,
        last.1.what,
        first.1.what,
    ))
}

/// `4012.3 (3990.1 to 4100.2)`, in nanoseconds.
fn spread(spread: Spread) -> String {
    format!("{} ({} to {})", tenths(spread.median), tenths(spread.q1), tenths(spread.q3))
}

/// Picoseconds as nanoseconds with one decimal.
fn tenths(ps: i64) -> String {
    let sign = if ps <= -100 { "-" } else { "" };
    let tenths = ps.unsigned_abs() / 100;
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

/// What each of `parts` of `wholes` takes of `ps` for a whole, in nanoseconds.
fn share(ps: i64, parts: u64, wholes: u64) -> String {
    let each = ps.unsigned_abs().saturating_mul(wholes).checked_div(parts);
    each.and_then(|ps| i64::try_from(ps).ok()).map_or_else(unknown, tenths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(median: i64) -> Spread {
        Spread { q1: median - 500, median, q3: median + 500 }
    }

    /// Check that the tables hold what was measured, and that a difference within the error is not told as a cost.
    #[test]
    fn rows() {
        let shape = |what: &str, difference: i64| Shape {
            what: what.to_owned(),
            walks: 10,
            steps: 60,
            words: 30,
            kernel: about(900_000),
            off: about(5_000_000),
            on: about(5_000_000 + difference),
            difference: about(difference),
            error: Spread { q1: -70_000, median: -4_000, q3: 60_000 },
            ..Shape::default()
        };
        let seen =
            Layouts { program: "large".to_owned(), info_bytes: 2_000_000, cpu_ns: 50_000_000, nodes: 7, ..Layouts::default() };
        let absent = Layouts { absent: Some("no debug information".to_owned()), ..Layouts::default() };
        let shapes = vec![shape("chain of 1", 800_000), shape("chain of 3", 69_999)];
        let stored = vec![Stored { what: "in one function".to_owned(), difference: about(700_000), ..Stored::default() }];
        let report = Report { quick: false, rounds: 4, slice_polls: 100, shapes, stored, layouts: vec![seen, absent] };
        let text = tables(&report);
        let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(cells[2][1..7], ["chain of 1", "3.0", "6.0", "900.0 (899.5 to 900.5)", "300.0", "150.0"]);
        assert_eq!(cells[7][5..8], ["800.0 (799.5 to 800.5)", "-4.0 (-70.0 to 60.0)", "800.0 ns, 16.0 % of the poll"]);
        assert_eq!(cells[8].get(7), Some(&"nothing beyond the error of 70.0 ns"));
        assert_eq!((cells[12][1], cells[12][6]), ("in one function", "700.0 (699.5 to 700.5)"));
        assert_eq!(cells[16][1..8], ["large", "2.0 MB", "0.0 kB", "50.0 ms", "0.0 ms", "0.0 ms", "25.0"]);
        assert_eq!(cells[17].get(4), Some(&"no debug information"));
        assert!(
            document(&report, "a machine.")
                .contains("takes 0.0 ns in the kernel and 0.0 ns in user space (chain of 3 against chain of 1)")
        );
    }
}
