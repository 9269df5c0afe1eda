//! The request benchmark's report, as `tests/request_bench/rows.rs` writes it.

use serde::Deserialize;

use super::super::quartiles::Quartiles;

/// Attached against detached.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the report")]
pub(super) struct Ratios {
    pub(super) throughput_ratio: Quartiles,
    pub(super) cpu_per_request_ratio: Quartiles,
    pub(super) p99_ratio: Quartiles,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RequestMode {
    #[serde(flatten)]
    pub(super) ratios: Ratios,
    pub(super) wanted_cost_us: Quartiles,
    pub(super) wanted_seen: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct AllRequestsMode {
    #[serde(flatten)]
    pub(super) ratios: Ratios,
    pub(super) ns_per_poll: Quartiles,
    pub(super) ns_per_request: Quartiles,
    /// By name.
    pub(super) rivals: Vec<(String, Quartiles)>,
    pub(super) requests_seen: u64,
}

/// Everything that was measured.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    pub(super) aa: Ratios,
    pub(super) request_mode: RequestMode,
    pub(super) all_requests_mode: AllRequestsMode,
    pub(super) process_mode: Ratios,
    /// Of each row, in this order.
    pub(super) rounds: [usize; 4],
    pub(super) rounds_together: usize,
    pub(super) slice_ms: u64,
    pub(super) wanted_every_ms: u64,
    pub(super) requests_per_second: f64,
    pub(super) cpu_per_request_ns: Quartiles,
    pub(super) two_clock_reads_ns: f64,
    pub(super) claims: bool,
    pub(super) claims_p99: bool,
}
