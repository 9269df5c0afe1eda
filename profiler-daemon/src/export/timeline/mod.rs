//! What happened when, as the timeline formats draw it: spans on threads, tasks and requests, and which wake led to which poll.
//!
//! A selection is a stretch of time here. What else ran in it is drawn too: it is what a request waited for.

mod awaits;
mod lanes;
mod stacks;

use std::collections::{BTreeMap, HashMap};

pub(super) use awaits::AwaitTexts;
pub(super) use lanes::{Edge, Span, lanes};
pub(super) use stacks::Stacks;

use super::ExportError;
use crate::model::text::printable;
use crate::model::{
    AwaitOwner, AwaitSpan, Capture, Metric, OffCpu, PollSpan, RequestRow, Sample, ScopeSeq, Selection, State, TypeIndex, Wake,
};

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What<'c> {
    /// A poll, or the part of it inside a scope.
    Poll(&'c PollSpan),
    /// A thread off its CPU inside a poll: blocked, or preempted.
    Off(&'c OffCpu, State),
    /// A task that was ready for this poll, and waited for a worker.
    Scheduled(&'c PollSpan),
    /// A task, or the part of it that is a request, that awaited something.
    Suspended(&'c AwaitSpan),
    /// A request.
    Request(&'c RequestRow),
}

/// Whose track a span stands on, beside the thread's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Whose {
    /// A task with an id.
    Task(u64),
    /// A request outside of any task, or in one without an id.
    Scope(ScopeSeq),
}

/// The part of a capture that a timeline shows.
pub(super) struct Timeline<'c> {
    capture: &'c Capture,
    from_ns: u64,
    until_ns: u64,
}

impl<'c> Timeline<'c> {
    /// Cuts the capture to the time of what was selected. Refuses where no poll and no sample is in it.
    pub(super) fn of(capture: &'c Capture, selection: &Selection) -> Result<Self, ExportError> {
        let (from_ns, until_ns) = stretch(capture, selection).unwrap_or((1, 0));
        let timeline = Self { capture, from_ns, until_ns };
        if timeline.polls().next().is_none() && timeline.samples().next().is_none() {
            let title = selection.title();
            return Err(match capture.poll_record_ns {
                0 => ExportError::NothingToDraw { title, metric: Metric::Wall },
                poll_record_ns => ExportError::NoRecordedPoll { title, poll_record_ns },
            });
        }
        Ok(timeline)
    }

    const fn meets(&self, start_ns: u64, end_ns: u64) -> bool {
        start_ns <= self.until_ns && end_ns >= self.from_ns
    }

    /// Polls that reach into it.
    pub(super) fn polls(&self) -> impl Iterator<Item = &'c PollSpan> {
        self.capture.polls.iter().filter(|poll| self.meets(poll.start_ns, poll.end_ns))
    }

    /// Stretches off the CPU.
    pub(super) fn off_cpu(&self) -> impl Iterator<Item = &'c OffCpu> {
        self.capture.off_cpu.iter().filter(|off| self.meets(off.start_ns, end_of(off)))
    }

    /// Samples.
    pub(super) fn samples(&self) -> impl Iterator<Item = &'c Sample> {
        self.capture.samples.iter().filter(|sample| self.meets(sample.ts_ns, sample.ts_ns))
    }

    /// Wakes.
    pub(super) fn wakes(&self) -> impl Iterator<Item = &'c Wake> {
        self.capture.wakes.iter().filter(|wake| self.meets(wake.at_ns, wake.at_ns))
    }

    /// Waits, as far as they were suspended.
    pub(super) fn awaits(&self) -> impl Iterator<Item = Span<&'c AwaitSpan>> {
        let spans = self.capture.awaits.iter().filter(|span| span.suspended_ns > 0);
        let spans =
            spans.map(|what| Span { start_ns: what.start_ns, end_ns: what.start_ns.saturating_add(what.suspended_ns), what });
        spans.filter(|span| self.meets(span.start_ns, span.end_ns))
    }

    /// Requests.
    pub(super) fn requests(&self) -> impl Iterator<Item = &'c RequestRow> {
        self.capture.requests.iter().filter(|row| self.meets(row.start_ns, row.start_ns.saturating_add(row.states.wall_ns())))
    }

    /// Spans of each thread: polls, and what they were off the CPU for.
    pub(super) fn threads(&self) -> BTreeMap<u32, Vec<Span<What<'c>>>> {
        let mut threads: BTreeMap<u32, Vec<Span<What<'c>>>> = BTreeMap::new();
        // A thread that only woke others, or was only sampled, has a track too.
        for tid in self.samples().map(|sample| sample.stack.tid).chain(self.wakes().map(|wake| wake.tid)) {
            threads.entry(tid).or_default();
        }
        for poll in self.polls() {
            let span = Span { start_ns: poll.start_ns, end_ns: poll.end_ns, what: What::Poll(poll) };
            threads.entry(poll.tid).or_default().push(span);
        }
        for off in self.off_cpu() {
            let woken_ns = off.start_ns.saturating_add(off.blocked_ns);
            let parts = [(off.start_ns, woken_ns, State::Blocked), (woken_ns, end_of(off), State::Preempted)];
            let parts = parts.into_iter().filter(|(start_ns, end_ns, _)| start_ns < end_ns);
            let spans = parts.map(|(start_ns, end_ns, state)| Span { start_ns, end_ns, what: What::Off(off, state) });
            threads.entry(off.stack.tid).or_default().extend(spans);
        }
        threads
    }

    /// Spans of each task: its polls, how long it was ready before, and what it awaited between. Tasks without an id cannot be told apart: they
    /// are on the threads' tracks only.
    pub(super) fn tasks(&self) -> BTreeMap<Whose, (Option<TypeIndex>, Vec<Span<What<'c>>>)> {
        let mut tasks: BTreeMap<Whose, (Option<TypeIndex>, Vec<Span<What<'c>>>)> = BTreeMap::new();
        for poll in self.polls() {
            let Some(whose) = whose(poll.task_id, poll.scope) else { continue };
            let (_, spans) = tasks.entry(whose).or_insert_with(|| (poll.task_type, Vec::new()));
            spans.push(Span { start_ns: poll.start_ns, end_ns: poll.end_ns, what: What::Poll(poll) });
            if let Some(ready_ns) = poll.ready_ns.filter(|&ready_ns| ready_ns < poll.start_ns) {
                spans.push(Span { start_ns: ready_ns, end_ns: poll.start_ns, what: What::Scheduled(poll) });
            }
        }
        // A poll and the part of it inside a scope were ready since the same instant.
        for (_, spans) in tasks.values_mut() {
            let waits = |span: &Span<What<'_>>| matches!(span.what, What::Scheduled(_));
            spans.sort_by_key(|span| (span.start_ns, span.end_ns, waits(span)));
            spans.dedup_by(|later, one| waits(later) && waits(one) && later.start_ns == one.start_ns);
        }
        let mut owners: HashMap<ScopeSeq, Whose> = HashMap::new();
        for row in self.requests() {
            owners.insert(row.scope, owner(row));
            tasks.entry(owner(row)).or_insert_with(|| (row.task_type, Vec::new()));
        }
        for span in self.awaits() {
            let whose = match span.what.owner {
                AwaitOwner::Scope(scope) => owners.get(&scope).copied(),
                AwaitOwner::Child { task_id, .. } => whose(task_id, None),
            };
            let Some(whose) = whose else { continue };
            let (_, spans) = tasks.entry(whose).or_insert_with(|| (span.what.task_type, Vec::new()));
            spans.push(Span { start_ns: span.start_ns, end_ns: span.end_ns, what: What::Suspended(span.what) });
        }
        tasks
    }

    /// For each wake, by its place in [`Self::wakes`], the poll that it led to: the next of that task to begin. Wakes of
    /// tasks without an id, and of tasks whose next poll was not recorded, lead nowhere.
    pub(super) fn led_to(&self) -> HashMap<PollKey, Vec<u64>> {
        let mut begins: HashMap<u64, Vec<&PollSpan>> = HashMap::new();
        for poll in self.polls() {
            if let Some(id) = poll.task_id {
                begins.entry(id).or_default().push(poll);
            }
        }
        for polls in begins.values_mut() {
            polls.sort_by_key(|poll| (poll.start_ns, std::cmp::Reverse(poll.end_ns)));
        }
        let mut led: HashMap<PollKey, Vec<u64>> = HashMap::new();
        for (wake, number) in self.wakes().zip(1..) {
            let Some(polls) = wake.task_id.and_then(|id| begins.get(&id)) else { continue };
            let place = polls.partition_point(|poll| poll.start_ns < wake.at_ns);
            // A task that is woken while it is polled becomes ready when that poll ends.
            let (before, after) = polls.split_at(place);
            let meanwhile = before.last().is_some_and(|poll| poll.end_ns >= wake.at_ns);
            // A wake whose poll was not recorded must not be tied to a later one: its task was ready since the wake.
            let since_wake = |poll: &&&PollSpan| meanwhile || poll.ready_ns.is_none_or(|ready_ns| ready_ns <= wake.at_ns);
            if let Some(poll) = after.first().filter(since_wake) {
                led.entry(PollKey::of(poll)).or_default().push(number);
            }
        }
        led
    }

    /// A task's type in words. Printable.
    pub(super) fn type_name(&self, index: Option<TypeIndex>) -> String {
        index.map_or_else(|| "[no task]".to_owned(), |index| printable(self.capture.type_name(index).as_bytes()))
    }
}

/// A poll, told from every other by where and when it began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PollKey(u32, u64, u64, Option<ScopeSeq>);

impl PollKey {
    pub(super) const fn of(poll: &PollSpan) -> Self {
        Self(poll.tid, poll.start_ns, poll.end_ns, poll.scope)
    }
}

/// The track of a task or scope.
pub(super) fn whose(task_id: Option<u64>, scope: Option<ScopeSeq>) -> Option<Whose> {
    task_id.map(Whose::Task).or_else(|| scope.map(Whose::Scope))
}

/// The track of a request.
pub(super) fn owner(row: &RequestRow) -> Whose {
    row.task_id.map_or(Whose::Scope(row.scope), Whose::Task)
}

/// When a stretch off the CPU ended.
pub(super) const fn end_of(off: &OffCpu) -> u64 {
    off.start_ns.saturating_add(off.blocked_ns).saturating_add(off.preempted_ns)
}

/// From the first to the last instant of what was selected.
fn stretch(capture: &Capture, selection: &Selection) -> Option<(u64, u64)> {
    let spans: Vec<(u64, u64)> = match selection {
        Selection::All => return Some((0, u64::MAX)),
        Selection::Request { .. } | Selection::Requests => {
            let rows = selection.requests(capture).into_iter();
            rows.map(|row| (row.start_ns, row.start_ns.saturating_add(row.states.wall_ns()))).collect()
        }
        Selection::Task { id } => {
            let polls = capture.polls.iter().filter(|poll| poll.task_id == Some(*id));
            polls.map(|poll| (poll.ready_ns.unwrap_or(poll.start_ns), poll.end_ns)).collect()
        }
    };
    Some((spans.iter().map(|span| span.0).min()?, spans.iter().map(|span| span.1).max()?))
}

#[cfg(test)]
mod tests;
