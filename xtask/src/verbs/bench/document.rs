//! The benchmark's report as tables, and docs/unwind.md around them.

use super::grid::{decimal, grid, percent, size, unknown};
use super::report::{Report, Stacks, Table};

/// What stands before the tables.
const HEAD: &str = "\
# Unwinding, measured

Written by `cargo xtask bench unwind`. Absolute times are those of the machine it ran on; what lies in one table was measured in one run
and can be compared.

The fixture (`tests/stack-fixture`) goes down nests of 3, 12 and 90 functions and computes, sleeps, or is somewhere hard to unwind from
at their bottom: in callbacks from libc, in a signal handler, in the vDSO, in `memcpy`, in a library that was loaded after the profiler
came. It prints which functions stood on the stack at which time. No build has frame pointers, except in std, which comes with its own.
";

/// What stands before the table of tables.
const TABLES: &str = "\
## Tables

`.eh_frame` of a file as rows for the kernel side: six bytes each, and sixteen for each different rule. The time is the median of five
runs in one thread, from the file's bytes in memory. `not described` is the part of the code with call frame information that the rules
cannot express.
";

/// What stands before the table of stacks.
const STACKS: &str = "\
## Stacks

`chain` counts the stacks that were taken while the fixture knew its call chain, and the part of them that holds the chain whole and in
order. `ends` is the part of all stacks whose walk ended where a stack ends: at the task's poll function in the kernel, at the thread's
root in user space; perf does not tell. `ns/frame` is what the unwinder took: in the kernel with the search of its tables and the checked
reads of the stack, in user space on stacks that are in memory already. `as framehop` is the part of the same stacks,
outside of signal handlers, on which both found the same frames. `bytes` is what a sample takes on its way from the kernel.

framehop (0.16) does not follow the trampoline of a signal, so the phases in a signal handler are beyond it. A dump of 8 KiB, perf's default,
does not reach the root of the deeper nests.
";

/// What stands after the tables.
const TAIL: &str = "\
## What is tested

`cargo xtask test` holds every stack of the fixture against its chain, on the CPU and off it, in four profiles: release, thin LTO, fat
LTO with `panic = \"abort\"`, and `opt-level = \"z\"`, each without debug information; and names in the release profile with none, with line
tables, with full debug information, and with debug information in a file of its own. `PROFILER_STACKS_ALL=1` tries all sixteen
combinations. At least 99.5 % of all walks must end where a stack ends, and each of the others must have its reason among the counters.
";

/// The whole document; `setting` says on what it was measured.
pub(super) fn document(report: &Report, setting: &str) -> String {
    format!("{HEAD}\nMeasured on {setting}\n\n{TABLES}\n{}\n{STACKS}\n{}\n{TAIL}", files(&report.tables), stacks(&report.stacks))
}

/// The tables alone.
pub(super) fn tables(report: &Report) -> String {
    format!("{}\n{}", files(&report.tables), stacks(&report.stacks))
}

fn files(tables: &[Table]) -> String {
    let head = ["file", "size", "functions", "rows", "rules", "table", "made in", "not described"];
    let rows = tables.iter().map(|table| {
        vec![
            table.file.clone(),
            size(table.file_bytes),
            table.entries.to_string(),
            table.rows.to_string(),
            table.rules.to_string(),
            size(table.bytes),
            format!("{} ms", decimal(table.build_ns, 1_000_000)),
            format!("{} ppm", table.unsupported_ppm),
        ]
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

fn stacks(all: &[Stacks]) -> String {
    let head = ["profile", "unwinder", "stacks from", "chain", "ends", "frames/stack", "ns/frame", "as framehop", "bytes"];
    let rows = all.iter().map(|row| {
        let mut cells = vec![row.profile.clone(), row.unwinder.clone(), row.source.clone()];
        if let Some(why) = &row.absent {
            cells.push(why.clone());
            cells.resize(head.len(), String::new());
            return cells;
        }
        cells.push(format!("{} of {}", percent(row.complete, row.known), row.known));
        cells.push(row.whole.map_or_else(unknown, |whole| percent(whole, row.walks)));
        cells.push(decimal(row.frames, row.walks));
        cells.push(row.walk_ns.map_or_else(unknown, |ns| decimal(ns, row.frames)));
        cells.push(row.as_framehop.map_or_else(String::new, |alike| percent(alike, row.compared)));
        cells.push(row.bytes_per_sample.map_or_else(unknown, |bytes| bytes.to_string()));
        cells
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the tables hold what was measured, that what is not known is not zero, and that an absent rival says why.
    #[test]
    fn rows() {
        let table = Table {
            file: "large.so".to_owned(),
            file_bytes: 150_400_000,
            entries: 3,
            rows: 10,
            rules: 2,
            bytes: 92,
            build_ns: 1_250_000,
            unsupported_ppm: 7,
        };
        let measured = Stacks {
            profile: "release".to_owned(),
            unwinder: "ours".to_owned(),
            source: "live".to_owned(),
            known: 1000,
            complete: 999,
            walks: 2000,
            frames: 30_000,
            walk_ns: Some(3_000_000),
            ..Stacks::default()
        };
        let absent = Stacks { absent: Some("perf is not installed".to_owned()), ..Stacks::default() };
        let text = tables(&Report { quick: false, tables: vec![table], stacks: vec![measured, absent] });
        let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(cells[2], ["", "large.so", "150.4 MB", "3", "10", "2", "0.0 kB", "1.2 ms", "7 ppm", ""]);
        assert_eq!(cells[6], ["", "release", "ours", "live", "99.90 % of 1000", "-", "15.0", "100.0", "", "-", ""]);
        assert_eq!(cells[7].get(4), Some(&"perf is not installed"));
    }
}
