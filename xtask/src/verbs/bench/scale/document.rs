//! The report on growing crowds as tables.

use std::fmt::Write as _;

use super::super::grid::{grid, size};
use super::super::overhead::Verdict;
use super::report::{Point, Scale, Series};

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

fn head(series: &Series) -> [&str; 6] {
    [&series.crowd, "ns/poll bare", "ns/poll more", "with rows", "profiler's memory", "its maps"]
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
    format!("{crowd} in mode {mode}: {what}; {ratio}.\n")
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
            ..Series::default()
        };
        let text = tables(&Scale { series: vec![series(Verdict::Fail), series(Verdict::Pass)], ..Scale::default() });
        assert_eq!(text.matches("| tasks ").count(), 2);
        assert!(text.contains("not flat; the largest is 2.00 times") && text.contains(": flat;"), "{text}");
    }
}
