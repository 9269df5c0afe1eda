//! The promises about rows, held against what was measured.

use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::ratios::{Pair, Ratios};

use crate::report::{Check, Verdict};

/// Exact mode against empty programs on the same sites.
const OF_FLOOR: f64 = 1.3;
/// What sampling may take of the throughput.
const OF_THROUGHPUT: f64 = 0.01;

/// Of the rows' pairs; empty where there are none.
pub(crate) fn of_rows(aa: &[Pair], floor: &[Pair], exact: &[Pair], sample: &[Pair]) -> Vec<Check> {
    vec![exact_of_floor(aa, floor, exact), sample_loss(aa, sample)]
}

fn ns(pairs: &[Pair]) -> Quartiles {
    Quartiles::of(pairs.iter().map(Pair::ns_per_poll))
}

/// What exact mode adds to a poll, over what empty programs add.
fn exact_of_floor(aa: &[Pair], floor: &[Pair], exact: &[Pair]) -> Check {
    // In each rotation the two are measured a second or two apart.
    let ratios = Quartiles::of(floor.iter().zip(exact).map(|(floor, exact)| exact.ns_per_poll() / floor.ns_per_poll()));
    let (floor_ns, exact_ns) = (ns(floor), ns(exact));
    // Half of what the rig's own row spans may be in the numerator and in the denominator.
    let of_rig = ns(aa).spread() / 2.0 / floor_ns.median * (1.0 + ratios.median);
    let error = of_rig.max(ratios.spread() / 2.0);
    let how = if ratios.is_known() {
        format!("{:.0} ns a poll over {:.0} ns", exact_ns.median, floor_ns.median)
    } else {
        "empty programs were not measured".to_owned()
    };
    check("exact mode adds at most 1.3 times what empty programs on its sites add", "", (ratios.median, error, OF_FLOOR), how)
}

fn sample_loss(aa: &[Pair], sample: &[Pair]) -> Check {
    let found = Ratios::of(sample).throughput_ratio;
    let loss = 1.0 - found.median;
    let error = Ratios::of(aa).throughput_ratio.spread().max(found.spread()) / 2.0;
    let how = if loss.is_finite() { "of the throughput" } else { "sampling mode was not measured" };
    check("sampling at 99 Hz takes at most 1 % of the throughput", "", (loss, error, OF_THROUGHPUT), how.to_owned())
}

/// A check of a value, its error and its limit.
pub(crate) fn check(promise: &'static str, unit: &'static str, (value, error, limit): (f64, f64, f64), how: String) -> Check {
    Check {
        promise,
        unit,
        limit,
        value: value.is_finite().then_some(value),
        error: if error.is_finite() { error } else { 0.0 },
        verdict: Verdict::of(value, error, limit),
        how,
    }
}

#[cfg(test)]
mod tests {
    use profiler_tests::rig::slice::Slice;

    use super::*;

    /// A pair in which a request takes so much more (ns).
    fn pair(more: f64) -> Pair {
        let bare = Slice { per_second: 1000.0, cpu_ns: 10_000.0, polls: 1.0, p50_ns: 1.0, p99_ns: 1.0 };
        let with = Slice { per_second: 1000.0 * 10_000.0 / (10_000.0 + more), cpu_ns: 10_000.0 + more, ..bare };
        Pair { bare, with }
    }

    #[test]
    fn exact_is_held_against_the_floor() {
        let check = exact_of_floor(&[pair(0.0); 4], &[pair(1000.0); 4], &[pair(1200.0); 4]);
        assert_eq!(check.verdict, Verdict::Pass);
        assert!((check.value.unwrap() - 1.2).abs() < 1e-9);
        assert_eq!(exact_of_floor(&[pair(0.0); 4], &[pair(1000.0); 4], &[pair(1500.0); 4]).verdict, Verdict::Fail);
        let noisy = [pair(-400.0), pair(-200.0), pair(200.0), pair(400.0)];
        assert_eq!(exact_of_floor(&noisy, &[pair(1000.0); 4], &[pair(1200.0); 4]).verdict, Verdict::NotClaimed);
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let checks = of_rows(&[pair(0.0); 4], &[], &[pair(1.0); 4], &[]);
        assert!(
            checks.iter().all(|check| check.verdict == Verdict::NotMeasured
                && check.value.is_none()
                && check.how.contains("not measured"))
        );
    }

    #[test]
    fn sampling_may_take_a_hundredth() {
        assert_eq!(sample_loss(&[pair(0.0); 4], &[pair(50.0); 4]).verdict, Verdict::Pass);
        assert_eq!(sample_loss(&[pair(0.0); 4], &[pair(500.0); 4]).verdict, Verdict::Fail);
    }
}
