//! From a capture to the answer. Addresses are named here, at the question.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use profiler_common::loss::Loss;

use super::own::own;
use super::{Blocking, Code, LONG_POLL_STACKS, LongPolls, Place, PoolTotals, SampledStack};
use crate::model::capture::{BlockedPlace, Capture, PollSpan, Sample, ScopeSeq, TaskKind, TypeIndex};
use crate::model::folding::{Executor, fold};
use crate::model::report::{RequestName, request_name};
use crate::model::spans::{ByThread, is_on_worker};
use crate::model::stacks::call_sites;
use crate::model::symbols::{Frame, Symbolize, by_address};
use crate::model::syscalls::syscall_name;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Polls that ran on a CPU at least this long are listed.
    pub threshold_ns: u64,
    /// How many places, and how many types of task with long polls.
    pub top: usize,
}

impl Default for Question {
    /// 1 ms: ten times the most that Tokio's authors advise between two awaits (10 to 100 µs).
    fn default() -> Self {
        Self { threshold_ns: 1_000_000, top: 20 }
    }
}

/// What holds the workers of the target.
pub fn blocking(capture: &Capture, question: Question, symbols: &mut dyn Symbolize) -> Blocking {
    let on_pool = |place: &&BlockedPlace| kind(capture, place.task_type) == TaskKind::Blocking;
    let (pool, workers): (Vec<&BlockedPlace>, Vec<&BlockedPlace>) = capture.blocking.iter().partition(on_pool);
    let groups = long_polls(capture, question.threshold_ns);
    let stacks = workers.iter().map(|place| place.frames.as_slice());
    let sampled = groups.values().flat_map(|group| &group.samples).map(|sample| sample.stack.frames.as_slice());
    let codes = Codes::of(stacks.chain(sampled), symbols);
    let names: HashMap<ScopeSeq, RequestName> = capture.requests.iter().map(|row| (row.scope, request_name(row))).collect();

    let mut places = places(capture, &workers, &codes, &names);
    let places_known = places.len() as u64;
    places.truncate(question.top);
    let long_polls_known = groups.len() as u64;
    let stays = ByThread::of(capture.polls.iter().filter(|span| span.scope.is_some()));
    let mut long_polls: Vec<LongPolls> =
        groups.into_iter().map(|(index, group)| group.told(capture, index, &codes, &stays, &names)).collect();
    long_polls.sort_by_key(|row| Reverse(row.total_ns));
    long_polls.truncate(question.top);
    Blocking {
        every_poll: capture.every_poll,
        threshold_ns: question.threshold_ns,
        poll_record_ns: capture.poll_record_ns,
        places,
        places_known,
        long_polls,
        long_polls_known,
        polls_dropped: lost(capture, Loss::PollDropped),
        blocking_pool: PoolTotals {
            count: pool.iter().fold(0, |sum, place| sum.saturating_add(place.count)),
            total_ns: pool.iter().fold(0, |sum, place| sum.saturating_add(place.blocked_ns)),
        },
    }
}

fn lost(capture: &Capture, loss: Loss) -> u64 {
    capture.losses.iter().find(|row| row.name == loss.name()).map_or(0, |row| row.count)
}

fn kind(capture: &Capture, index: Option<TypeIndex>) -> TaskKind {
    index.and_then(|index| capture.task_type(index)).map_or(TaskKind::Unknown, |known| known.kind)
}

/// Lines of code by address, looked up once for an answer.
struct Codes(HashMap<u64, Vec<Code>>);

impl Codes {
    fn of<'s>(stacks: impl Iterator<Item = &'s [u64]>, symbols: &mut dyn Symbolize) -> Self {
        let named = by_address(stacks.flat_map(call_sites), symbols).into_iter();
        Self(named.map(|(address, frames)| (address, frames.into_iter().map(code).collect())).collect())
    }

    fn stack(&self, frames: &[u64]) -> Vec<Code> {
        let codes = call_sites(frames);
        let mut stack: Vec<Code> = codes.iter().flat_map(|address| self.0.get(address).into_iter().flatten().cloned()).collect();
        fold(&mut stack, |line| Executor::of_shown(&line.function));
        stack
    }
}

/// A folded frame stands for many lines, so it has none of its own.
fn code(frame: Frame) -> Code {
    match Executor::of_shown(&frame.function) {
        Some(_) => Code { function: frame.function, ..Code::default() },
        None => Code { function: frame.function, file: frame.file, line: frame.line },
    }
}

/// Places, those that read the same taken together: one function has many addresses.
fn places(capture: &Capture, known: &[&BlockedPlace], codes: &Codes, names: &HashMap<ScopeSeq, RequestName>) -> Vec<Place> {
    type Key = (Vec<Code>, Option<u32>, Option<TypeIndex>, bool);
    let mut merged: BTreeMap<Key, Place> = BTreeMap::new();
    for place in known {
        let stack = codes.stack(&place.frames);
        let key = (stack, place.syscall, place.task_type, place.end.is_whole());
        let row = merged.entry(key).or_insert_with_key(|(stack, syscall, task_type, whole)| Place {
            type_name: task_type.map(|index| capture.type_name(index)),
            kind: kind(capture, *task_type),
            syscall: syscall.map(syscall_name),
            own: own(stack).cloned(),
            stack: stack.clone(),
            whole: *whole,
            count: 0,
            total_ns: 0,
            longest_ns: 0,
            stopped_ns: 0,
            request: None,
        });
        row.count = row.count.saturating_add(place.count);
        row.total_ns = row.total_ns.saturating_add(place.blocked_ns);
        row.stopped_ns = row.stopped_ns.saturating_add(place.stopped_ns);
        if place.longest_ns >= row.longest_ns {
            row.longest_ns = place.longest_ns;
            row.request = place.request.and_then(|scope| names.get(&scope).cloned());
        }
    }
    let mut places: Vec<Place> = merged.into_values().collect();
    places.sort_by_key(|place| Reverse(place.total_ns));
    places
}

/// Long polls of one type, and the samples that fell into them.
#[derive(Default)]
struct Group<'c> {
    polls: Vec<&'c PollSpan>,
    samples: Vec<&'c Sample>,
}

fn long_polls(capture: &Capture, threshold_ns: u64) -> BTreeMap<Option<TypeIndex>, Group<'_>> {
    let mut by_thread: HashMap<u32, Vec<&Sample>> = HashMap::new();
    for sample in &capture.samples {
        by_thread.entry(sample.stack.tid).or_default().push(sample);
    }
    for samples in by_thread.values_mut() {
        samples.sort_by_key(|sample| sample.ts_ns);
    }
    let mut groups: BTreeMap<Option<TypeIndex>, Group<'_>> = BTreeMap::new();
    let long = capture.polls.iter().filter(|span| span.running_ns() >= threshold_ns && is_on_worker(capture, span));
    for poll in long {
        let group = groups.entry(poll.task_type).or_default();
        group.polls.push(poll);
        let samples = by_thread.get(&poll.tid).map(Vec::as_slice).unwrap_or_default();
        let from = samples.partition_point(|sample| sample.ts_ns < poll.start_ns);
        let inside = samples.iter().skip(from).take_while(|sample| sample.ts_ns <= poll.end_ns);
        group.samples.extend(inside);
    }
    groups
}

impl Group<'_> {
    fn told(
        &self,
        capture: &Capture,
        index: Option<TypeIndex>,
        codes: &Codes,
        stays: &ByThread<'_>,
        names: &HashMap<ScopeSeq, RequestName>,
    ) -> LongPolls {
        let longest = self.polls.iter().max_by_key(|poll| poll.running_ns());
        let request = longest.and_then(|poll| stays.request_of(poll));
        let stacks = self.stacks(codes);
        let (own, own_samples) = mostly(&stacks);
        LongPolls {
            type_name: index.map(|index| capture.type_name(index)),
            kind: kind(capture, index),
            count: self.polls.len() as u64,
            total_ns: self.polls.iter().fold(0, |sum, poll| sum.saturating_add(poll.running_ns())),
            longest_ns: longest.map_or(0, |poll| poll.running_ns()),
            request: request.and_then(|scope| names.get(&scope).cloned()),
            samples: self.samples.len() as u64,
            own,
            own_samples,
            stacks: stacks.into_iter().take(LONG_POLL_STACKS).collect(),
        }
    }

    fn stacks(&self, codes: &Codes) -> Vec<SampledStack> {
        let mut merged: BTreeMap<Vec<Code>, (u64, u64)> = BTreeMap::new();
        for sample in &self.samples {
            let (samples, ns) = merged.entry(codes.stack(&sample.stack.frames)).or_default();
            *samples += 1;
            *ns = ns.saturating_add(sample.period_ns);
        }
        let stacks = merged.into_iter().map(|(stack, (samples, sampled_ns))| SampledStack {
            samples,
            sampled_ns,
            own: own(&stack).cloned(),
            stack,
        });
        let mut stacks: Vec<SampledStack> = stacks.collect();
        stacks.sort_by_key(|row| Reverse(row.sampled_ns));
        stacks
    }
}

/// The user's function in most of the samples: many stacks and lines lead through one function.
fn mostly(stacks: &[SampledStack]) -> (Option<Code>, u64) {
    let mut by_function: BTreeMap<&str, (u64, &Code)> = BTreeMap::new();
    for row in stacks {
        if let Some(own) = &row.own {
            // Of its lines the first: stacks are sorted.
            by_function.entry(&own.function).or_insert((0, own)).0 += row.samples;
        }
    }
    let most = by_function.into_values().max_by_key(|(samples, _)| *samples);
    most.map_or((None, 0), |(samples, code)| (Some(code.clone()), samples))
}
