//! Numbers as text: durations, shares, counts.

/// Nanoseconds as milliseconds with three digits: `26.310 ms`. Exact to the microsecond, never through a float.
pub(super) fn ms(ns: u64) -> String {
    format!("{} ms", ms_number(ns))
}

/// The same without its unit, for a column that names it.
pub(super) fn ms_number(ns: u64) -> String {
    // To the nearest microsecond; half goes up.
    let us = ns / 1_000 + u64::from(ns % 1_000 >= 500);
    format!("{}.{:03}", us / 1_000, us % 1_000)
}

/// A part of a whole with one digit: `76.0 %`. Of nothing: `-`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let thousandths = (u128::from(part) * 2_000 + u128::from(whole)) / (2 * u128::from(whole));
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// A count with its noun: `1 poll`, `2 polls`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_the_nearest() {
        assert_eq!(ms(0), "0.000 ms");
        assert_eq!(ms(26_310_499), "26.310 ms");
        assert_eq!(ms(26_310_500), "26.311 ms");
        assert_eq!(ms(u64::MAX), "18446744073709.552 ms");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(2, 3), "66.7 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0 %");
        assert_eq!(percent(0, 0), "-");
    }
}
