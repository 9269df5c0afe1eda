//! Requests that were faster than somebody asks for: measured like all, then let go.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How often what is left of them is looked for: it is a pass over everything that is kept.
const PASS: Duration = Duration::from_secs(1);

/// What is too fast, and what was.
#[derive(Debug, Default)]
pub(super) struct Threshold {
    /// 0: nothing is.
    least_ns: u64,
    fast: HashSet<u64>,
    passed: Option<Instant>,
}

impl Threshold {
    pub(super) fn of(least: Duration) -> Self {
        Self { least_ns: u64::try_from(least.as_nanos()).unwrap_or(u64::MAX), ..Self::default() }
    }

    /// Whether request `scope`, which took `wall_ns`, is not to be kept.
    pub(super) fn is_too_fast(&mut self, scope: u64, wall_ns: u64) -> bool {
        let is = wall_ns < self.least_ns;
        if is {
            self.fast.insert(scope);
        }
        is
    }

    /// Those whose records are to be let go now, if it is time.
    pub(super) fn take(&mut self) -> Option<HashSet<u64>> {
        if self.fast.is_empty() || self.passed.is_some_and(|passed| passed.elapsed() < PASS) {
            return None;
        }
        self.passed = Some(Instant::now());
        Some(std::mem::take(&mut self.fast))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_fast_is_told_once() {
        let mut threshold = Threshold::of(Duration::from_millis(1));
        assert!(!threshold.is_too_fast(1, 1_000_000) && threshold.is_too_fast(2, 999_999));
        assert_eq!(threshold.take(), Some(HashSet::from([2])));
        assert!(threshold.is_too_fast(3, 0));
        assert_eq!(threshold.take(), None, "not yet");
        assert!(!Threshold::default().is_too_fast(1, 0));
    }
}
