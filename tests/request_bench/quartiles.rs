//! The middle of many measurements, and how far they lie apart.

use serde::Serialize;

/// A median and the quartiles around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Quartiles {
    /// A quarter of the measurements is not above this.
    pub(crate) q1: f64,
    /// Half.
    pub(crate) median: f64,
    /// Three quarters.
    pub(crate) q3: f64,
}

impl Quartiles {
    /// Those of these numbers; of none, not a number.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values.get((values.len().saturating_sub(1) * quarter + 2) / 4).copied().unwrap_or(f64::NAN);
        Self { q1: at(1), median: at(2), q3: at(3) }
    }

    /// How far apart the quartiles lie.
    pub(crate) fn spread(&self) -> f64 {
        self.q3 - self.q1
    }
}
