//! What the service measured of its own requests, by request id.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use profiler_annotate::RequestId;
use serde::Serialize;

/// The newest so many requests are kept.
const KEPT: usize = 65_536;

/// One request, measured from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Truth {
    /// From the first poll to the end, monotonic clock, ns.
    pub(crate) wall_ns: u64,
    /// Sum over the polls, the polling thread's CPU clock, ns. Spawned children are not in it.
    pub(crate) cpu_ns: u64,
    pub(crate) polls: u64,
    /// `false` for a request that was dropped before it was done.
    pub(crate) complete: bool,
}

/// The truths of the service. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Truths(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    by_id: HashMap<RequestId, Truth>,
    oldest_first: VecDeque<RequestId>,
}

impl Truths {
    /// Keeps a truth. An id that comes again replaces the older.
    pub(crate) fn add(&self, id: RequestId, truth: Truth) {
        let mut kept = self.lock();
        if kept.by_id.insert(id, truth).is_none() {
            kept.oldest_first.push_back(id);
        }
        if kept.oldest_first.len() > KEPT
            && let Some(oldest) = kept.oldest_first.pop_front()
        {
            kept.by_id.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Truth> {
        let id = RequestId::try_from(id).ok()?;
        self.lock().by_id.get(&id).copied()
    }

    /// Nothing panics while it is held; if something did, what is kept is whole all the same.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(wall_ns: u64) -> Truth {
        Truth { wall_ns, cpu_ns: 0, polls: 1, complete: true }
    }

    #[test]
    fn the_newest_are_kept() {
        let truths = Truths::default();
        for number in 0..=KEPT as u64 {
            truths.add(number.into(), truth(number));
        }
        assert_eq!(truths.get("0"), None);
        assert_eq!(truths.get("1"), Some(truth(1)));
        assert_eq!(truths.lock().by_id.len(), KEPT);
    }

    #[test]
    fn an_id_that_comes_again_replaces_the_older() {
        let truths = Truths::default();
        truths.add(7_u64.into(), truth(1));
        truths.add(7_u64.into(), truth(2));
        assert_eq!(truths.get("7"), Some(truth(2)));
        assert_eq!(truths.get(""), None);
    }
}
