//! Which requests that were asked for by name have begun and not ended: while there are any, the sampling clock is fast.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How often their rows are looked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The requests, by the number of their scope.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    scopes: HashSet<u64>,
    /// When rows were last looked for.
    looked: Option<Instant>,
}

impl InFlight {
    /// One has begun.
    pub(super) fn begin(&mut self, scope: u64) {
        self.scopes.insert(scope);
    }

    /// One has ended.
    pub(super) fn end(&mut self, scope: u64) {
        self.scopes.remove(&scope);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// Lets go of those whose row is gone, from time to time: an end whose record was lost would leave the clock fast for ever, at the cost of
    /// every CPU of the machine. The row goes with the end itself, and so it tells. Returns how many those were.
    pub(super) fn prune<E>(&mut self, now: Instant, mut goes_on: impl FnMut(u64) -> Result<bool, E>) -> Result<usize, E> {
        if self.scopes.is_empty() || self.looked.is_some_and(|looked| now.duration_since(looked) < PATIENCE) {
            return Ok(0);
        }
        self.looked = Some(now);
        let before = self.scopes.len();
        let mut failed = None;
        self.scopes.retain(|scope| {
            goes_on(*scope).unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        });
        failed.map_or_else(|| Ok(before - self.scopes.len()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that one without a row goes, at the next look, and that looks are a second apart.
    #[test]
    fn what_has_no_row_is_over() {
        let mut in_flight = InFlight::default();
        let start = Instant::now();
        assert_eq!(in_flight.prune(start, |_| Err("asked for nothing")), Ok(0));
        (1..=3).for_each(|scope| in_flight.begin(scope));
        in_flight.end(1);
        assert_eq!(in_flight.prune(start, |scope| Ok::<_, ()>(scope != 2)), Ok(1));
        assert_eq!(in_flight.prune(start, |_| Ok::<_, ()>(false)), Ok(0), "too soon");
        let later = start + PATIENCE;
        assert_eq!(in_flight.prune(later, |_| Err("no map")), Err("no map"));
        assert!(!in_flight.is_empty(), "what is not known goes on");
        assert_eq!(in_flight.prune(later + PATIENCE, |_| Ok::<_, ()>(false)), Ok(1));
        assert!(in_flight.is_empty());
    }
}
