//! The report on growing crowds. `xtask/src/verbs/bench/scale/report.rs` reads it.

use profiler_tests::rig::quartiles::Quartiles;
use serde::Serialize;

use crate::report::Verdict;

/// A cost that grows by no more than this over all sizes is flat.
const FLAT: f64 = 1.25;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Scale {
    pub(super) rounds: usize,
    pub(super) slice_ms: u64,
    pub(super) series: Vec<Series>,
    pub(super) seconds: f64,
}

/// Crowds of one kind in one mode.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    /// `tasks` or `requests`.
    crowd: &'static str,
    mode: &'static str,
    points: Vec<Point>,
    /// The largest cost over the smallest.
    ratio: f64,
    /// How far the ratio may be off by the rig's own error.
    error: f64,
    limit: f64,
    flat: Verdict,
    /// To how many lines of memory, each in no near cache in the largest crowd, the cost's growth comes.
    lines: f64,
}

/// A crowd of one size.
#[derive(Debug, Serialize)]
pub(crate) struct Point {
    pub(super) count: u32,
    /// CPU time of a poll without the profiler.
    pub(super) bare_ns_per_poll: Quartiles,
    /// What it takes more with it.
    pub(super) ns_per_poll: Quartiles,
    /// What a poll without it took more after it than before it: the rig's own error.
    pub(super) drift_ns: Quartiles,
    /// How many of the crowd had rows of their own in the end.
    pub(super) kept: u64,
    /// The most memory that the profiler's process has had.
    pub(super) daemon_peak_bytes: u64,
    /// What its maps took in the kernel.
    pub(super) map_bytes: u64,
    /// What one line of memory takes when as many are gone through as the crowd has members ([`super::line`]).
    pub(super) line_ns: f64,
}

impl Series {
    pub(super) fn of(crowd: &'static str, mode: &'static str, points: Vec<Point>) -> Self {
        let costs = || points.iter().map(|point| point.ns_per_poll.median);
        let (least, most) = (costs().fold(f64::INFINITY, f64::min), costs().fold(f64::NEG_INFINITY, f64::max));
        // Half of the drift is in each difference; of its quartiles, half the span is to either side.
        let off = points.iter().map(|point| point.drift_ns.spread() / 4.0).fold(0.0, f64::max);
        // A cost that the rig cannot tell from none has no ratio.
        let ratio = if least > off { most / least } else { f64::NAN };
        let error = off / least * (1.0 + ratio);
        let flat = Verdict::of(ratio, error, FLAT);
        let flat = if ratio.is_nan() { Verdict::NotClaimed } else { flat };
        let lines = lines(&points);
        Self { crowd, mode, points, ratio, error, limit: FLAT, flat, lines }
    }
}

/// From the first crowd to the last.
fn lines(points: &[Point]) -> f64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return f64::NAN };
    (last.ns_per_poll.median - first.ns_per_poll.median) / (last.line_ns - first.line_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(count: u32, cost: f64, drift: f64) -> Point {
        let at = |median: f64, half: f64| Quartiles {
            min: median - half,
            q1: median - half,
            median,
            q3: median + half,
            max: median + half,
        };
        Point {
            count,
            bare_ns_per_poll: at(200.0, 1.0),
            ns_per_poll: at(cost, 1.0),
            drift_ns: at(0.0, drift),
            kept: u64::from(count),
            daemon_peak_bytes: 0,
            map_bytes: 0,
            line_ns: f64::from(count),
        }
    }

    #[test]
    fn flat_is_a_ratio_beyond_the_rigs_error() {
        let of = |least: f64, most: f64, drift: f64| {
            Series::of("tasks", "exact", vec![point(10, least, drift), point(20, most, drift)]).flat
        };
        assert_eq!(of(1000.0, 1100.0, 10.0), Verdict::Pass);
        assert_eq!(of(1000.0, 2000.0, 10.0), Verdict::Fail);
        assert_eq!(of(1000.0, 1200.0, 200.0), Verdict::NotClaimed);
        // Fifty nanoseconds more, where a line takes ten more.
        let grown = Series::of("tasks", "exact", vec![point(10, 1000.0, 1.0), point(20, 1050.0, 1.0)]);
        assert!((grown.lines - 5.0).abs() < 1e-9);
        // Less than the rig can tell.
        assert_eq!(of(2.0, 5.0, 200.0), Verdict::NotClaimed);
    }
}
