//! The middle of many measurements, and how far they lie apart.

use std::cmp::Ordering;

use serde::Serialize;

/// What can be measured.
pub trait Number: Copy {
    /// What there is of no measurement at all.
    const NOTHING: Self;
    /// Which is smaller.
    fn order(&self, other: &Self) -> Ordering;
}

impl Number for f64 {
    const NOTHING: Self = Self::NAN;
    fn order(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }
}

/// In picoseconds, so that a nanosecond has decimals.
impl Number for i64 {
    const NOTHING: Self = 0;
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

/// A median, the quartiles around it, and the ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quartiles<T = f64> {
    /// The smallest.
    pub min: T,
    /// A quarter of the measurements is not above this.
    pub q1: T,
    /// Half.
    pub median: T,
    /// Three quarters.
    pub q3: T,
    /// The largest.
    pub max: T,
}

impl<T: Number> Quartiles<T> {
    /// Those of these numbers; of none, [`Number::NOTHING`].
    pub fn of(values: impl IntoIterator<Item = T>) -> Self {
        let mut sorted: Vec<T> = values.into_iter().collect();
        sorted.sort_by(T::order);
        let at = |quarter: usize| sorted.get((sorted.len().saturating_sub(1) * quarter + 2) / 4).copied().unwrap_or(T::NOTHING);
        Self { min: at(0), q1: at(1), median: at(2), q3: at(3), max: at(4) }
    }
}

impl Quartiles {
    /// How far apart the quartiles lie.
    #[must_use]
    pub fn spread(&self) -> f64 {
        self.q3 - self.q1
    }

    /// Whether there is a number at all.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.q1.is_finite() && self.median.is_finite() && self.q3.is_finite()
    }
}

/// What each of `count` took of `ns`, in picoseconds.
#[must_use]
pub fn each(ns: u64, count: u64) -> i64 {
    i64::try_from(ns.saturating_mul(1000).checked_div(count).unwrap_or_default()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check odd and even numbers of measurements, one and none.
    #[test]
    fn quarters() {
        let of = |values: &[i64]| {
            let Quartiles { min, q1, median, q3, max } = Quartiles::of(values.iter().copied());
            [min, q1, median, q3, max]
        };
        assert_eq!(of(&[5, 1, 3, 2, 4]), [1, 2, 3, 4, 5]);
        assert_eq!(of(&[4, 3, 2, 1]), [1, 2, 3, 3, 4]);
        assert_eq!(of(&[7]), [7; 5]);
        assert!(!Quartiles::<f64>::of([]).is_known());
        assert_eq!(Quartiles::<i64>::of([]), Quartiles::default());
        assert_eq!(Quartiles::of([3_i64, 1, 2]).median, 2);
    }

    /// Check that nothing measured is not divided by.
    #[test]
    fn picoseconds() {
        assert_eq!((each(3, 2), each(3, 0)), (1500, 0));
    }
}
