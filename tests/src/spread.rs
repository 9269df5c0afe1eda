//! The middle of many measurements, and how far they lie apart. In picoseconds, so that a nanosecond has decimals and no number is a float.

use serde::Serialize;

/// A median and the quartiles around it (ps).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// A quarter of the measurements is not above this.
    pub low: i64,
    /// Half.
    pub median: i64,
    /// Three quarters.
    pub high: i64,
}

impl Spread {
    /// That of these; of none it is all zero.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = values.into_iter().collect();
        sorted.sort_unstable();
        let at = |quarter: usize| sorted.get((sorted.len().saturating_sub(1) * quarter + 2) / 4).copied().unwrap_or_default();
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// What each of `count` took of `ns`, in picoseconds.
#[must_use]
pub fn each(ns: u64, count: u64) -> i64 {
    i64::try_from(ns.saturating_mul(1000).checked_div(count).unwrap_or_default()).unwrap_or(i64::MAX)
}
