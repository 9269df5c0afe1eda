//! The middle of many measurements, as `tests/src/rig/quartiles.rs` writes it.

use serde::Deserialize;

/// A median, the quartiles around it, and the ends.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Quartiles {
    pub(super) min: f64,
    pub(super) q1: f64,
    pub(super) median: f64,
    pub(super) q3: f64,
    pub(super) max: f64,
}
