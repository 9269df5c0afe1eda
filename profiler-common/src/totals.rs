//! The sums of the finished tasks of one type. Several CPUs add to one row at once, so every field only grows by atomic adds, and
//! the wall time is not a field: it is the sum of the five states.

use crate::states::States;
use crate::task::TaskRow;

/// One row of the `TYPE_TOTALS` array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TypeTotals {
    /// Finished tasks.
    pub count: u64,
    /// Their time.
    pub states: States,
    /// Their polls.
    pub polls: u64,
    /// Their effective wakes.
    pub wakes: u64,
    /// Their polls whose wake was not seen.
    pub wakes_unseen: u64,
    /// Their polls that ended in a yield.
    pub yields: u64,
    /// Tasks whose spawn was not seen.
    pub spawns_unseen: u64,
    /// The longest poll of any (ns).
    pub longest_poll_ns: u64,
}

/// How to change a word that others change too.
pub trait SharedWord {
    /// Adds atomically.
    fn add(word: &mut u64, by: u64);
    /// Raises the word to at least `to`.
    fn raise(word: &mut u64, to: u64);
}

impl TypeTotals {
    /// Adds a finished task.
    #[inline(always)]
    pub fn fold<W: SharedWord>(&mut self, row: &TaskRow) {
        W::add(&mut self.count, 1);
        W::add(&mut self.states.running_ns, row.states.running_ns);
        W::add(&mut self.states.preempted_ns, row.states.preempted_ns);
        W::add(&mut self.states.blocked_ns, row.states.blocked_ns);
        W::add(&mut self.states.scheduled_ns, row.states.scheduled_ns);
        W::add(&mut self.states.suspended_ns, row.states.suspended_ns);
        W::add(&mut self.states.stopped_ns, row.states.stopped_ns);
        W::add(&mut self.states.unseen_ns, row.states.unseen_ns);
        W::add(&mut self.polls, row.polls);
        W::add(&mut self.wakes, row.wakes);
        W::add(&mut self.wakes_unseen, row.wakes_unseen);
        W::add(&mut self.yields, row.yields);
        W::add(&mut self.spawns_unseen, u64::from(row.flags & crate::task::SPAWN_SEEN == 0));
        W::raise(&mut self.longest_poll_ns, row.longest_poll_ns);
    }
}
