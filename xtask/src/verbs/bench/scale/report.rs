//! The report on growing crowds, as `tests/overhead_bench/scale/report.rs` writes it.

use serde::Deserialize;

use super::super::overhead::Verdict;
use super::super::quartiles::Quartiles;

/// Everything that was measured.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Scale {
    pub(super) rounds: usize,
    pub(super) slice_ms: u64,
    pub(super) series: Vec<Series>,
    pub(super) seconds: f64,
}

/// Crowds of one kind in one mode.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Series {
    pub(super) crowd: String,
    pub(super) mode: String,
    pub(super) points: Vec<Point>,
    /// None: the rig cannot tell the least cost from none.
    pub(super) ratio: Option<f64>,
    pub(super) error: Option<f64>,
    pub(super) limit: f64,
    pub(super) flat: Verdict,
    /// None: there is no such number.
    pub(super) lines: Option<f64>,
}

/// A crowd of one size.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Point {
    pub(super) count: u64,
    pub(super) bare_ns_per_poll: Quartiles,
    pub(super) ns_per_poll: Quartiles,
    pub(super) kept: u64,
    pub(super) daemon_peak_bytes: u64,
    pub(super) map_bytes: u64,
    pub(super) line_ns: Option<f64>,
}
