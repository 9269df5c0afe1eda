//! The report. `xtask/src/verbs/bench/overhead/report.rs` reads it.

use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::ratios::Ratios;
use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) quick: bool,
    pub(crate) slice_ms: u64,
    /// Without anybody.
    pub(crate) requests_per_second: Quartiles,
    pub(crate) cpu_per_request_ns: Quartiles,
    pub(crate) polls_per_request: Quartiles,
    pub(crate) rows: Vec<Row>,
    pub(crate) checks: Vec<Check>,
    /// How long it all took.
    pub(crate) seconds: f64,
}

/// One profiler, or none.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What one gets of it.
    pub(crate) reports: &'static str,
    /// Why it was not measured, where it was not.
    pub(crate) skipped: Option<String>,
    pub(crate) pairs: usize,
    #[serde(flatten)]
    pub(crate) measured: Option<Measured>,
}

/// What a row came to.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) ratios: Ratios,
    /// CPU time that a poll takes more, all that the profiler does to the service divided among its polls.
    pub(crate) ns_per_poll: Quartiles,
    /// CPU time of the profiler's own process, of one CPU. `None`: it is inside the service, or there is none.
    pub(crate) observer_cpu: Option<Quartiles>,
    /// The most memory that the profiler has had; inside a service, what the service has had more than the plain one.
    pub(crate) observer_peak_bytes: Option<u64>,
    /// What it saw of the service, where it tells: nobody is to measure a profiler that does nothing.
    pub(crate) requests_seen: Option<u64>,
    pub(crate) polls_seen: Option<u64>,
    pub(crate) samples_seen: Option<u64>,
    /// From the process id until it was attached, the median.
    pub(crate) attach_ms: Option<f64>,
    /// Whether the difference from one is larger than what the rig's own row spans between its quartiles.
    pub(crate) claims: Claims,
}

/// Of which numbers something can be claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "one a column")]
pub(crate) struct Claims {
    pub(crate) throughput: bool,
    pub(crate) cpu_per_request: bool,
    pub(crate) p50: bool,
    pub(crate) p99: bool,
}

impl Claims {
    /// Of `ratios`, where `rig` is what nobody at all comes to.
    pub(crate) fn of(ratios: &Ratios, rig: &Ratios) -> Self {
        let larger = |found: &Quartiles, rig: &Quartiles| (found.median - 1.0).abs() > rig.spread();
        Self {
            throughput: larger(&ratios.throughput_ratio, &rig.throughput_ratio),
            cpu_per_request: larger(&ratios.cpu_per_request_ratio, &rig.cpu_per_request_ratio),
            p50: larger(&ratios.p50_ratio, &rig.p50_ratio),
            p99: larger(&ratios.p99_ratio, &rig.p99_ratio),
        }
    }
}

/// A promise held against what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    /// What is promised.
    pub(crate) promise: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
    pub(crate) value: Option<f64>,
    /// How far the value may be off by the rig's own error.
    pub(crate) error: f64,
    pub(crate) verdict: Verdict,
    /// What the value is, in words, or why there is none.
    pub(crate) how: String,
}

/// What became of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Kept, whatever the rig's error.
    Pass,
    /// Broken, whatever the rig's error.
    Fail,
    /// The limit lies within the rig's error.
    NotClaimed,
    /// What it is about was not measured here.
    NotMeasured,
}

impl Verdict {
    /// Of a value that may be so far off, and is to be at most `limit`.
    pub(crate) fn of(value: f64, error: f64, limit: f64) -> Self {
        if !value.is_finite() || error.is_nan() {
            Self::NotMeasured
        } else if error.is_infinite() {
            Self::NotClaimed
        } else if value + error <= limit {
            Self::Pass
        } else if value - error > limit {
            Self::Fail
        } else {
            Self::NotClaimed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(median: f64, half: f64) -> Quartiles {
        Quartiles { min: median - 2.0 * half, q1: median - half, median, q3: median + half, max: median + 2.0 * half }
    }

    fn ratios(of: Quartiles) -> Ratios {
        Ratios { throughput_ratio: of, cpu_per_request_ratio: of, p50_ratio: of, p99_ratio: of }
    }

    #[test]
    fn a_difference_within_the_rigs_own_is_not_claimed() {
        let rig = ratios(about(1.0, 0.02));
        assert_eq!(Claims::of(&ratios(about(0.97, 0.01)), &rig), Claims::default());
        assert!(Claims::of(&ratios(about(0.95, 0.01)), &rig).throughput);
        assert!(Claims::of(&ratios(about(1.05, 0.01)), &rig).p99);
    }

    #[test]
    fn verdicts() {
        assert_eq!(Verdict::of(1.1, 0.1, 1.3), Verdict::Pass);
        assert_eq!(Verdict::of(1.25, 0.1, 1.3), Verdict::NotClaimed);
        assert_eq!(Verdict::of(1.35, 0.1, 1.3), Verdict::NotClaimed);
        assert_eq!(Verdict::of(1.5, 0.1, 1.3), Verdict::Fail);
        assert_eq!(Verdict::of(1.1, f64::INFINITY, 1.3), Verdict::NotClaimed);
        assert_eq!(Verdict::of(f64::NAN, 0.1, 1.3), Verdict::NotMeasured);
    }

    /// Check the names that others read, and that a row without numbers has its reason.
    #[test]
    fn rows_have_the_promised_form() {
        let measured = Measured {
            ratios: ratios(about(1.0, 0.01)),
            ns_per_poll: about(3.0, 1.0),
            observer_cpu: None,
            observer_peak_bytes: None,
            requests_seen: None,
            polls_seen: None,
            samples_seen: None,
            attach_ms: None,
            claims: Claims::default(),
        };
        let row = Row { name: "aa", reports: "", skipped: None, pairs: 3, measured: Some(measured) };
        let json = serde_json::to_value(&row).unwrap();
        for ratio in ["throughput_ratio", "cpu_per_request_ratio", "p99_ratio", "ns_per_poll"] {
            for quarter in ["q1", "median", "q3"] {
                assert!(
                    json.pointer(&format!("/{ratio}/{quarter}")).and_then(serde_json::Value::as_f64).is_some(),
                    "{ratio} {quarter}"
                );
            }
        }
        let absent = Row { name: "dial9", reports: "", skipped: Some("not built".to_owned()), pairs: 0, measured: None };
        let json = serde_json::to_value(&absent).unwrap();
        assert_eq!(json.get("skipped").and_then(serde_json::Value::as_str), Some("not built"));
        assert_eq!(json.get("throughput_ratio"), None);
    }
}
