//! Requests that keep their own times come by the hundred thousand a second. They are folded by route; the slowest are kept whole.
//!
//! A request's route is what its id has in common with others: a prefix that was asked for, or else the id without what counts or draws
//! lots in it ([`shape`]).

mod shape;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use hdrhistogram::Histogram;
use profiler_common::scope::ScopeRow;
use profiler_common::states::States;

use shape::shape;

/// Routes that are told apart. An id that counts in a way that nobody thought of must not fill the memory.
const MAX_ROUTES: usize = 1024;
/// The slowest requests that are kept whole.
const KEPT: usize = 100;
/// Digits to which times in a histogram are exact: a hundredth.
const DIGITS: u8 = 2;

/// What the requests of one route came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What their ids have in common, `*` for what they have not. Bytes from outside.
    pub name: Vec<u8>,
    /// Of more routes than are told apart: those that are not.
    pub rest: bool,
    /// How many there were.
    pub count: u64,
    /// Half of them took at most this long (ns, wall time).
    pub p50_ns: u64,
    /// All but a hundredth did.
    pub p99_ns: u64,
    /// The worst one's wall time (ns), exactly.
    pub worst_ns: u64,
    /// Its scope.
    pub worst: u64,
    /// The sum of their times.
    pub states: States,
    /// The sum of their polls.
    pub polls: u64,
    /// Their longest poll (ns).
    pub longest_poll_ns: u64,
}

/// Every request so far that has kept its own times.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Prefixes that are routes, the longest first.
    prefixes: Vec<Vec<u8>>,
    known: HashMap<Vec<u8>, Sum>,
    rest: Option<Sum>,
    slowest: BinaryHeap<Reverse<Kept>>,
}

/// A request and its wall time.
#[derive(Debug)]
struct Kept {
    wall_ns: u64,
    scope: u64,
    row: Box<ScopeRow>,
}

impl Kept {
    const fn key(&self) -> (u64, u64) {
        (self.wall_ns, self.scope)
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// One route so far.
#[derive(Debug)]
struct Sum {
    walls: Histogram<u32>,
    states: States,
    polls: u64,
    longest_poll_ns: u64,
    worst: Kept,
}

impl Sum {
    /// `None` never happens: the digits are few enough for a histogram.
    fn of(scope: u64, row: &ScopeRow) -> Option<Self> {
        let walls = Histogram::new(DIGITS).ok()?;
        let worst = Kept { wall_ns: 0, scope, row: Box::new(*row) };
        let mut sum = Self { walls, states: States::NONE, polls: 0, longest_poll_ns: 0, worst };
        sum.add(scope, row);
        Some(sum)
    }

    fn add(&mut self, scope: u64, row: &ScopeRow) {
        let wall_ns = row.states.wall_ns();
        if self.walls.record(wall_ns).is_err() {
            // It grows as it must, up to what a word can hold. Were it not to, the request would still count, as the longest it has room for.
            self.walls.saturating_record(wall_ns);
        }
        let states = &mut self.states;
        for (sum, part) in [
            (&mut states.running_ns, row.states.running_ns),
            (&mut states.preempted_ns, row.states.preempted_ns),
            (&mut states.blocked_ns, row.states.blocked_ns),
            (&mut states.scheduled_ns, row.states.scheduled_ns),
            (&mut states.suspended_ns, row.states.suspended_ns),
            (&mut states.stopped_ns, row.states.stopped_ns),
            (&mut self.polls, row.polls),
        ] {
            *sum = sum.saturating_add(part);
        }
        self.longest_poll_ns = self.longest_poll_ns.max(row.longest_poll_ns);
        if wall_ns >= self.worst.wall_ns {
            self.worst = Kept { wall_ns, scope, row: Box::new(*row) };
        }
    }

    fn told(&self, name: &[u8], rest: bool) -> Route {
        // A bucket's upper end: it may lie a little above the greatest that is in it.
        let at = |quantile| self.walls.value_at_quantile(quantile).min(self.worst.wall_ns);
        Route {
            name: name.to_vec(),
            rest,
            count: self.walls.len(),
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            worst_ns: self.worst.wall_ns,
            worst: self.worst.scope,
            states: self.states,
            polls: self.polls,
            longest_poll_ns: self.longest_poll_ns,
        }
    }
}

impl Routes {
    /// Ids that begin with one of these are one route each.
    pub(super) fn by(mut prefixes: Vec<Vec<u8>>) -> Self {
        prefixes.sort_by_key(|prefix| Reverse(prefix.len()));
        Self { prefixes, ..Self::default() }
    }

    /// A request has ended.
    pub(super) fn end(&mut self, scope: u64, row: &ScopeRow) {
        self.keep_if_slow(scope, row);
        let name = self.name(row.id());
        if let Some(sum) = self.known.get_mut(&name) {
            sum.add(scope, row);
        } else if self.known.len() < MAX_ROUTES {
            self.known.extend(Sum::of(scope, row).map(|sum| (name, sum)));
        } else if let Some(sum) = &mut self.rest {
            sum.add(scope, row);
        } else {
            self.rest = Sum::of(scope, row);
        }
    }

    fn keep_if_slow(&mut self, scope: u64, row: &ScopeRow) {
        let wall_ns = row.states.wall_ns();
        let least = self.slowest.peek().map_or(0, |Reverse(kept)| kept.wall_ns);
        if self.slowest.len() < KEPT || wall_ns > least {
            self.slowest.push(Reverse(Kept { wall_ns, scope, row: Box::new(*row) }));
        }
        if self.slowest.len() > KEPT {
            self.slowest.pop();
        }
    }

    fn name(&self, id: &[u8]) -> Vec<u8> {
        match self.prefixes.iter().find(|prefix| id.starts_with(prefix)) {
            Some(prefix) => prefix.iter().chain(b"*").copied().collect(),
            None => shape(id),
        }
    }

    /// Every route, by the time that its requests took.
    pub(super) fn told(&self) -> Vec<Route> {
        let sums = self.known.iter().map(|(name, sum)| sum.told(name, false));
        let mut told: Vec<Route> = sums.chain(self.rest.iter().map(|sum| sum.told(b"", true))).collect();
        told.sort_by(|a, b| (b.states.wall_ns(), &a.name).cmp(&(a.states.wall_ns(), &b.name)));
        told
    }

    /// The requests that are kept whole: the slowest, and the worst of each route.
    pub(super) fn kept(&self) -> Vec<(u64, ScopeRow)> {
        let worst = self.known.values().chain(&self.rest).map(|sum| &sum.worst);
        let mut kept: Vec<(u64, ScopeRow)> =
            self.slowest.iter().map(|Reverse(kept)| kept).chain(worst).map(|kept| (kept.scope, *kept.row)).collect();
        kept.sort_by_key(|(scope, _)| *scope);
        kept.dedup_by_key(|(scope, _)| *scope);
        kept
    }
}

#[cfg(test)]
mod tests;
