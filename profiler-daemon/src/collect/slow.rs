//! Requests that were faster than somebody asks for: measured like all, then let go.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How often what is left of them is looked for: it is a pass over everything that is kept.
const PASS: Duration = Duration::from_secs(1);
/// For how many passes a request is remembered: its children, and a thread that sleeps on in it, may outlive it.
const REMEMBERED: usize = 30;

/// What is too fast, and what was.
#[derive(Debug, Default)]
pub(super) struct Threshold {
    /// 0: nothing is.
    least_ns: u64,
    /// Since the last pass.
    fast: HashSet<u64>,
    /// Before it, the latest last.
    earlier: VecDeque<HashSet<u64>>,
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

    /// Whether it is time for a pass, in which [`Self::was_too_fast`] says what is to be let go.
    pub(super) fn begin_pass(&mut self) -> bool {
        if self.least_ns == 0 || self.passed.is_some_and(|passed| passed.elapsed() < PASS) {
            return false;
        }
        self.passed = Some(Instant::now());
        self.earlier.push_back(std::mem::take(&mut self.fast));
        if self.earlier.len() > REMEMBERED {
            self.earlier.pop_front();
        }
        true
    }

    /// Whether a request was too fast, and not long ago.
    pub(super) fn was_too_fast(&self, scope: u64) -> bool {
        scope != 0 && self.earlier.iter().any(|fast| fast.contains(&scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_too_fast_is_remembered_for_a_while() {
        let mut threshold = Threshold::of(Duration::from_millis(1));
        assert!(!threshold.is_too_fast(1, 1_000_000) && threshold.is_too_fast(2, 999_999));
        assert!(threshold.begin_pass());
        assert!(threshold.was_too_fast(2) && !threshold.was_too_fast(1) && !threshold.was_too_fast(0));
        assert!(!threshold.begin_pass(), "not yet");
        for _ in 0..REMEMBERED {
            threshold.passed = None;
            assert!(threshold.begin_pass());
        }
        assert!(!threshold.was_too_fast(2));
        assert!(!Threshold::default().begin_pass());
    }
}
