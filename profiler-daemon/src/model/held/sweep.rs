//! One pass over all polls and all waits by time.
//!
//! Each type of task has a lane that counts up: its part of the time, polls started. A wait notes the lanes when it opens
//! and takes the difference when it closes, so its cost does not depend on how many polls ran meanwhile: n log n for
//! sorting, and for each wait the number of types.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::gaps::Gap;
use super::length;
use crate::model::capture::{PollSpan, ScopeSeq, TypeIndex};

/// Units of a nanosecond: every number up to 16 divides it, so sharing among up to 16 polls is exact.
pub(super) const UNITS: u128 = 720_720;

/// What was found behind the waits of one request.
#[derive(Default)]
pub(super) struct Sum<'c> {
    /// Length of its waits.
    pub(super) waited_ns: u64,
    /// The part of it in which any poll ran.
    pub(super) covered_ns: u64,
    pub(super) lanes: BTreeMap<Option<TypeIndex>, LaneSum<'c>>,
}

/// What was found of one type.
#[derive(Default)]
pub(super) struct LaneSum<'c> {
    /// Its part of `covered_ns`, in [`UNITS`]; of all lanes together at most the whole.
    pub(super) units: u128,
    pub(super) polls: u64,
    pub(super) longest: Option<&'c PollSpan>,
}

/// One type's polls up to now.
#[derive(Default)]
struct Lane<'c> {
    units: u128,
    started: u64,
    running: Vec<&'c PollSpan>,
    /// Polls by number, of which each is longer than every later one: the first from some number on is the longest since then.
    records: Vec<(u64, &'c PollSpan)>,
}

/// A lane when a wait opened.
struct Noted<'c> {
    units: u128,
    started: u64,
    running: u64,
    longest: Option<&'c PollSpan>,
}

impl<'c> Lane<'c> {
    fn start(&mut self, poll: &'c PollSpan) {
        while self.records.last().is_some_and(|(_, last)| length(last) <= length(poll)) {
            self.records.pop();
        }
        self.records.push((self.started, poll));
        self.started += 1;
        self.running.push(poll);
    }

    fn end(&mut self, poll: &PollSpan) {
        if let Some(at) = self.running.iter().position(|running| std::ptr::eq(*running, poll)) {
            self.running.swap_remove(at);
        }
    }

    fn noted(&self) -> Noted<'c> {
        Noted {
            units: self.units,
            started: self.started,
            running: self.running.len() as u64,
            longest: self.running.iter().copied().max_by_key(|poll| length(poll)),
        }
    }

    fn since(&self, noted: &Noted<'c>) -> LaneSum<'c> {
        let from = self.records.partition_point(|(number, _)| *number < noted.started);
        let started = self.records.get(from).map(|(_, poll)| *poll);
        LaneSum {
            units: self.units.saturating_sub(noted.units),
            polls: noted.running + (self.started - noted.started),
            longest: longer(noted.longest, started),
        }
    }
}

fn longer<'c>(one: Option<&'c PollSpan>, other: Option<&'c PollSpan>) -> Option<&'c PollSpan> {
    one.into_iter().chain(other).max_by_key(|poll| length(poll))
}

/// What happens at one instant, in this order: a poll that ends where a wait opens was not in its way, nor is one that
/// starts where it closes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    End(usize),
    Close(usize),
    Open(usize),
    Start(usize),
}

#[derive(Default)]
struct Clock<'c> {
    now_ns: u64,
    running: u64,
    covered_ns: u64,
    /// In order of their types, as in every list of noted lanes.
    lanes: Vec<Lane<'c>>,
    /// Places of the lanes with a poll that runs: few, however many types there are.
    busy: BTreeSet<usize>,
}

impl Clock<'_> {
    fn advance(&mut self, to_ns: u64) {
        let passed_ns = to_ns.saturating_sub(self.now_ns);
        self.now_ns = to_ns;
        if passed_ns == 0 || self.running == 0 {
            return;
        }
        self.covered_ns = self.covered_ns.saturating_add(passed_ns);
        let each = u128::from(passed_ns) * UNITS / u128::from(self.running);
        for place in &self.busy {
            if let Some(lane) = self.lanes.get_mut(*place) {
                lane.units += each * lane.running.len() as u128;
            }
        }
    }
}

impl<'c> Clock<'c> {
    fn poll(&mut self, place: usize, poll: &'c PollSpan, starts: bool) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        if starts {
            lane.start(poll);
            self.running += 1;
            self.busy.insert(place);
        } else {
            lane.end(poll);
            self.running = self.running.saturating_sub(1);
            if lane.running.is_empty() {
                self.busy.remove(&place);
            }
        }
    }
}

/// Sums what ran in each wait, by request.
pub(super) fn sweep<'c>(polls: &[&'c PollSpan], gaps: &[Gap]) -> HashMap<ScopeSeq, Sum<'c>> {
    let mut sums: HashMap<ScopeSeq, Sum<'_>> = HashMap::new();
    if gaps.is_empty() {
        return sums;
    }
    let types: BTreeSet<Option<TypeIndex>> = polls.iter().map(|poll| poll.task_type).collect();
    let places: BTreeMap<Option<TypeIndex>, usize> = types.into_iter().zip(0..).collect();
    let mut clock = Clock { lanes: places.iter().map(|_| Lane::default()).collect(), ..Clock::default() };
    let mut open: HashMap<usize, (u64, Vec<Noted<'_>>)> = HashMap::new();
    for (at_ns, event) in events(polls, gaps) {
        clock.advance(at_ns);
        match event {
            Event::Start(at) | Event::End(at) => {
                if let Some((&poll, &place)) = polls.get(at).and_then(|poll| Some((poll, places.get(&poll.task_type)?))) {
                    clock.poll(place, poll, matches!(event, Event::Start(_)));
                }
            }
            Event::Open(at) => {
                open.insert(at, (clock.covered_ns, clock.lanes.iter().map(Lane::noted).collect()));
            }
            Event::Close(at) => {
                if let (Some(gap), Some((covered_ns, noted))) = (gaps.get(at), open.remove(&at)) {
                    let sum = sums.entry(gap.scope).or_default();
                    sum.waited_ns = sum.waited_ns.saturating_add(gap.end_ns - gap.start_ns);
                    sum.covered_ns = sum.covered_ns.saturating_add(clock.covered_ns - covered_ns);
                    for ((task_type, lane), noted) in places.keys().zip(&clock.lanes).zip(&noted) {
                        let found = lane.since(noted);
                        if found.polls > 0 {
                            add(sum.lanes.entry(*task_type).or_default(), &found);
                        }
                    }
                }
            }
        }
    }
    sums
}

fn add<'c>(sum: &mut LaneSum<'c>, more: &LaneSum<'c>) {
    sum.units += more.units;
    sum.polls += more.polls;
    sum.longest = longer(sum.longest, more.longest);
}

fn events(polls: &[&PollSpan], gaps: &[Gap]) -> Vec<(u64, Event)> {
    // A poll of no length was in nobody's way.
    let lasting = polls.iter().enumerate().filter(|(_, poll)| poll.start_ns < poll.end_ns);
    let polls = lasting.flat_map(|(at, poll)| [(poll.start_ns, Event::Start(at)), (poll.end_ns, Event::End(at))]);
    let gaps = gaps.iter().enumerate().flat_map(|(at, gap)| [(gap.start_ns, Event::Open(at)), (gap.end_ns, Event::Close(at))]);
    let mut events: Vec<(u64, Event)> = polls.chain(gaps).collect();
    events.sort_unstable();
    events
}
