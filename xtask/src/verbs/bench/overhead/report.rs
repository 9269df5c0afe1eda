//! The overhead benchmark's report, as `tests/overhead_bench/report.rs` writes it.

use serde::Deserialize;

use super::super::quartiles::Quartiles;

/// Everything that was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub(super) quick: bool,
    pub(super) slice_ms: u64,
    pub(super) requests_per_second: Quartiles,
    pub(super) cpu_per_request_ns: Quartiles,
    pub(super) polls_per_request: Quartiles,
    pub(super) rows: Vec<Row>,
    pub(super) checks: Vec<Check>,
    pub(super) seconds: f64,
}

/// One profiler, or none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) reports: String,
    pub(super) skipped: Option<String>,
    pub(super) pairs: usize,
    #[serde(flatten)]
    pub(super) measured: Option<Measured>,
}

/// What a row came to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Measured {
    pub(super) throughput_ratio: Quartiles,
    pub(super) cpu_per_request_ratio: Quartiles,
    pub(super) p50_ratio: Quartiles,
    pub(super) p99_ratio: Quartiles,
    pub(super) ns_per_poll: Quartiles,
    pub(super) observer_cpu: Option<Quartiles>,
    pub(super) observer_peak_bytes: Option<u64>,
    pub(super) attach_ms: Option<f64>,
    pub(super) claims: Claims,
}

/// Of which numbers something can be claimed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "one a column")]
pub(super) struct Claims {
    pub(super) throughput: bool,
    pub(super) cpu_per_request: bool,
    pub(super) p50: bool,
    pub(super) p99: bool,
}

/// A promise held against what was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Check {
    pub(super) promise: String,
    pub(super) unit: String,
    pub(super) limit: f64,
    pub(super) value: Option<f64>,
    pub(super) error: f64,
    pub(super) verdict: Verdict,
    pub(super) how: String,
}

/// What became of a promise.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(in crate::verbs::bench) enum Verdict {
    Pass,
    Fail,
    NotClaimed,
    #[default]
    NotMeasured,
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotClaimed => "not claimed",
            Self::NotMeasured => "not measured",
        }
    }
}
