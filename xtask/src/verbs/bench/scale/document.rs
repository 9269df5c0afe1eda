//! The report on growing crowds as tables.

use std::fmt::Write as _;

use super::super::grid::{grid, size, unknown};
use super::super::overhead::Verdict;
use super::report::{Point, Scale, Series};

/// What stands before the tables.
const HEAD: &str = "\
# What a poll costs as tasks and requests grow in number, measured

Written by `cargo xtask bench scale`. Take ratios from it, not absolute times: they are those of the machine it ran on.

Crowds of each size live through the whole run and stand still but for their turns. In a turn every member of a crowd is polled in turn, so that each poll finds
nothing of its task in a cache once the crowd is larger than that: bare, with the profiler, bare. `ns/poll more` is the CPU time that a poll
takes more with it, the median of all rounds with the quartiles. `ns/line` is what one line of memory takes (64 bytes) when as many as the crowd has members are gone
through in an order that no prefetcher guesses: the least that any state costs which is kept for each member. `with rows` is how many of the crowd had a row of their own in the end. The profiler has room
for a million tasks and a hundred thousand requests, as by `run --max-tasks 1048576 --max-requests 131072`.
";

/// What stands after them.
const TAIL: &str = "\
In mode `floor` the programs are empty: what grows there is of the probes and of the service itself, whose own lines a trap makes wait for one after the other. What another mode has more
than that is its own state of each member. `its maps` is kernel memory (`memlock` in /proc/PID/fdinfo), `profiler's memory` the most that its process has had until its end, when it
reads all rows. The maps grow with the rows that there are; where nobody asks for more room there are rows for 262,144 tasks and 16,384 requests, and what is beyond
is counted (`task_map_full`, `scope_map_full`).
";

/// The whole document; `setting` says on what it was measured.
pub(super) fn document(scale: &Scale, setting: &str) -> String {
    format!("{HEAD}\nMeasured on {setting}\n\n{}\n{TAIL}", tables(scale))
}

/// A table, and a sentence on it, for each kind of crowd.
pub(super) fn tables(scale: &Scale) -> String {
    let mut text = String::new();
    for series in &scale.series {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\n{}", grid(&head(series), &rows(series)), sentence(series));
    }
    let _ = writeln!(text, "{} rounds of slices of {} ms, {:.0} s in all.", scale.rounds, scale.slice_ms, scale.seconds);
    text
}

fn head(series: &Series) -> [&str; 7] {
    [&series.crowd, "ns/poll bare", "ns/poll more", "ns/line", "with rows", "profiler's memory", "its maps"]
}

fn rows(series: &Series) -> Vec<Vec<String>> {
    series.points.iter().map(row).collect()
}

fn row(point: &Point) -> Vec<String> {
    let more = point.ns_per_poll;
    vec![
        point.count.to_string(),
        format!("{:.0}", point.bare_ns_per_poll.median),
        format!("{:.0} [{:.0}, {:.0}]", more.median, more.q1, more.q3),
        point.line_ns.map_or_else(unknown, |ns| format!("{ns:.0}")),
        point.kept.to_string(),
        size(point.daemon_peak_bytes),
        size(point.map_bytes),
    ]
}

fn sentence(series: &Series) -> String {
    let Series { crowd, mode, limit, .. } = series;
    let what = match series.flat {
        Verdict::Pass => "flat",
        Verdict::Fail => "not flat",
        Verdict::NotClaimed | Verdict::NotMeasured => "not to be told from flat by this rig",
    };
    let ratio = match (series.ratio, series.error) {
        (Some(ratio), Some(error)) => {
            format!("the largest is {ratio:.2} times the smallest (± {error:.2}); flat is at most {limit:.2}")
        }
        _ => "the least cost is within the rig's own error".to_owned(),
    };
    let grown = series.lines.map_or_else(String::new, |lines| {
        format!(" From the smallest to the largest it grows by what {lines:.1} lines of memory do.")
    });
    format!("{crowd} in mode {mode}: {what}; {ratio}.{grown}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_each_crowd() {
        let series = |flat| Series {
            crowd: "tasks".to_owned(),
            points: vec![Point::default()],
            ratio: Some(2.0),
            error: Some(0.1),
            flat,
            lines: Some(3.25),
            ..Series::default()
        };
        let text = tables(&Scale { series: vec![series(Verdict::Fail), series(Verdict::Pass)], ..Scale::default() });
        assert_eq!(text.matches("| tasks ").count(), 2);
        assert!(text.contains("what 3.2 lines of memory do") || text.contains("what 3.3 lines of memory do"), "{text}");
        assert!(text.contains("not flat; the largest is 2.00 times") && text.contains(": flat;"), "{text}");
    }
}
