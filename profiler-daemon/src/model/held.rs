//! What held the workers while a request was ready: its `scheduled` time, opened into the polls that ran meanwhile.
//!
//! A request waits from its wake to its poll. Whatever polls ran in that time, on any worker, were in its way. At each
//! instant the time is divided evenly among them: with two workers in two polls, each poll is behind half of it. So the
//! parts never add up to more than the request waited. Polls that were too short to leave a record
//! ([`Capture::poll_record_ns`]) are not told apart: time that no recorded poll covers is kept as that.

mod gaps;
mod sweep;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashMap;

use gaps::gaps;
use sweep::{Sum, sweep};

use super::capture::{Capture, PollSpan, RequestRow, ScopeSeq, TypeIndex};
use super::spans::{ByThread, is_on_worker};
use super::stacks::split_exactly;

/// What held the workers while one request was ready. The parts add up to the time that is opened here, to the ns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// By task type, the one behind most of the time first.
    pub behind: Vec<Behind>,
    /// Time in which no recorded poll ran.
    pub unrecorded_ns: u64,
}

/// Polls of one task type that a request waited behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// The type. `None`: it is not known.
    pub task_type: Option<TypeIndex>,
    /// Its part of the time.
    pub ns: u64,
    /// Polls. One that reached over two waits of the request counts in each.
    pub polls: u64,
    /// The longest of them, all of its length.
    pub longest_ns: u64,
    /// The task of that one.
    pub longest_task: Option<u64>,
    /// The request that it was a part of, or that had spawned its task.
    pub longest_request: Option<ScopeSeq>,
}

impl Held {
    /// The time that is opened here.
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.behind.iter().fold(self.unrecorded_ns, |sum, part| sum.saturating_add(part.ns))
    }

    /// The same within `scheduled_ns`: a row's time is clamped where an event came late, that of the records is not.
    #[must_use]
    pub fn within(mut self, scheduled_ns: u64) -> Self {
        if self.ns() > scheduled_ns {
            let parts: Vec<u64> = self.behind.iter().map(|part| part.ns).chain([self.unrecorded_ns]).collect();
            let mut shares = split_exactly(scheduled_ns, &parts).into_iter();
            for part in &mut self.behind {
                part.ns = shares.next().unwrap_or(0);
            }
            self.unrecorded_ns = shares.next().unwrap_or(0);
        }
        self
    }
}

/// What held the workers while each of `requests` was ready. A request without a known wait is not in it.
#[must_use]
pub fn held(capture: &Capture, requests: &[&RequestRow]) -> HashMap<ScopeSeq, Held> {
    let whole: Vec<&PollSpan> = capture.polls.iter().filter(|span| is_on_worker(capture, span)).collect();
    let of_polls = ByThread::of(whole.iter().copied());
    let of_stays = ByThread::of(capture.polls.iter().filter(|span| span.scope.is_some()));
    let gaps = gaps(capture, requests, &of_polls);
    let sums = sweep(&whole, &gaps);
    sums.into_iter().map(|(scope, sum)| (scope, told(sum, &of_stays))).collect()
}

fn told(sum: Sum<'_>, stays: &ByThread<'_>) -> Held {
    let units: Vec<u64> = sum.lanes.values().map(|lane| u64::try_from(lane.units).unwrap_or(u64::MAX)).collect();
    let shares = split_exactly(sum.covered_ns, &units);
    let parts = sum.lanes.into_iter().zip(shares).map(|((task_type, lane), ns)| Behind {
        task_type,
        ns,
        polls: lane.polls,
        longest_ns: lane.longest.map_or(0, length),
        longest_task: lane.longest.and_then(|poll| poll.task_id),
        longest_request: lane.longest.and_then(|poll| stays.request_of(poll)),
    });
    let mut behind: Vec<Behind> = parts.filter(|part| part.polls > 0).collect();
    behind.sort_by_key(|part| (Reverse(part.ns), part.task_type));
    Held { behind, unrecorded_ns: sum.waited_ns.saturating_sub(sum.covered_ns) }
}

const fn length(span: &PollSpan) -> u64 {
    span.end_ns.saturating_sub(span.start_ns)
}
