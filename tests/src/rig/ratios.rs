//! Attached against detached.

use serde::Serialize;

use super::quartiles::Quartiles;
use super::slice::Slice;

/// A slice with the profiler, and what its neighbours without are.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Without.
    pub bare: Slice,
    /// With.
    pub with: Slice,
}

impl Pair {
    /// Each `count` that follow one another as one, which is as long as all of them: the rest of these is left out only where there are as many
    /// before it.
    #[must_use]
    pub fn together(pairs: &[Self], count: usize) -> Vec<Self> {
        let all = |part: &[Self], of: fn(&Self) -> Slice| Slice::mean(&part.iter().map(of).collect::<Vec<_>>());
        let one = |part: &[Self]| Self { bare: all(part, |pair| pair.bare), with: all(part, |pair| pair.with) };
        if pairs.len() < count { vec![one(pairs)] } else { pairs.chunks_exact(count).map(one).collect() }
    }

    /// CPU time that a poll takes more (ns).
    #[must_use]
    pub fn ns_per_poll(&self) -> f64 {
        (self.with.cpu_ns - self.bare.cpu_ns) / self.with.polls
    }
}

/// With against without, of many pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Ratios {
    /// Requests a second.
    pub throughput_ratio: Quartiles,
    /// The service's CPU time of a request.
    pub cpu_per_request_ratio: Quartiles,
    /// The median latency.
    pub p50_ratio: Quartiles,
    /// The 99th percentile of the latency.
    pub p99_ratio: Quartiles,
}

impl Ratios {
    /// Those of these pairs.
    #[must_use]
    pub fn of(pairs: &[Pair]) -> Self {
        let of = |part: fn(&Slice) -> f64| Quartiles::of(pairs.iter().map(|pair| part(&pair.with) / part(&pair.bare)));
        Self {
            throughput_ratio: of(|slice| slice.per_second),
            cpu_per_request_ratio: of(|slice| slice.cpu_ns),
            p50_ratio: of(|slice| slice.p50_ns),
            p99_ratio: of(|slice| slice.p99_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that pairs are put together by their means, and that a few are one.
    #[test]
    fn pairs_together_are_their_means() {
        let pair = |with: f64| {
            let bare = Slice { per_second: 100.0, ..Slice::default() };
            Pair { bare, with: Slice { per_second: with, ..bare } }
        };
        let with = |pairs: &[Pair]| pairs.iter().map(|pair| pair.with.per_second).collect::<Vec<_>>();
        let five = [80.0, 100.0, 60.0, 80.0, 7.0].map(pair);
        assert_eq!(with(&Pair::together(&five, 2)), [90.0, 70.0]);
        assert_eq!(with(&Pair::together(&five[..2], 4)), [90.0]);
    }

    #[test]
    fn ratios_are_with_against_without() {
        let bare = Slice { per_second: 100.0, cpu_ns: 1000.0, polls: 2.0, p50_ns: 10.0, p99_ns: 20.0 };
        let with = Slice { per_second: 80.0, cpu_ns: 1500.0, polls: 2.0, p50_ns: 11.0, p99_ns: 30.0 };
        let pair = Pair { bare, with };
        let ratios = Ratios::of(&[pair, pair]);
        let medians =
            [ratios.throughput_ratio, ratios.cpu_per_request_ratio, ratios.p50_ratio, ratios.p99_ratio].map(|of| of.median);
        let expected = [0.8, 1.5, 1.1, 1.5];
        assert!(medians.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9), "{medians:?}");
        assert!((pair.ns_per_poll() - 250.0).abs() < 1e-9);
    }
}
