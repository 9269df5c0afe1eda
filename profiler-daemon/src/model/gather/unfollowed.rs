//! Tasks that wanted requests spawned and that are not followed, where no probe sits on spawns: what can be known of them, which is bounds.

use std::collections::{HashMap, HashSet};

use super::Setting;
use crate::collect::Collected;
use crate::model::capture::Unfollowed;

/// Tasks that requests waited for and that are no children that they are known to have, by the request's scope.
pub(super) struct Awaited(HashMap<u64, HashSet<u64>>);

impl Awaited {
    pub(super) fn of(setting: &Setting, collected: &Collected) -> Self {
        if !setting.requests_only {
            return Self(HashMap::new());
        }
        let live = collected.tasks.iter().map(|live| live.row.id);
        let followed: HashSet<u64> = collected.ended_children.iter().map(|row| row.id).chain(live).collect();
        let mut all: HashMap<u64, HashSet<u64>> = HashMap::new();
        for wait in collected.awaits.waits.iter().chain(&collected.awaits.open) {
            let task = wait.awaiting.task;
            if task != 0 && !followed.contains(&task) {
                all.entry(wait.request).or_default().insert(task);
            }
        }
        Self(all)
    }

    /// Of all requests, each task once.
    pub(super) fn count(&self) -> u64 {
        number(self.0.values().flatten().collect::<HashSet<_>>().len())
    }

    /// What is known of the request of `scope`, of which the kernel side counted `ids_given`.
    pub(super) fn bounds(&self, setting: &Setting, scope: u64, ids_given: u64) -> Option<Unfollowed> {
        setting.requests_only.then(|| Unfollowed {
            awaited: self.0.get(&scope).map_or(0, |tasks| number(tasks.len())),
            at_most: setting.ids_counted.then_some(ids_given),
        })
    }
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
