//! Polls found by where they lie: on a thread, around or inside one another.

use std::collections::HashMap;

use super::capture::{Capture, PollSpan, ScopeSeq, TaskKind};

/// Whether a span is a whole poll on a worker. A thread of the blocking pool is none: nobody waits for it.
pub(super) fn is_on_worker(capture: &Capture, span: &PollSpan) -> bool {
    let known = span.task_type.and_then(|index| capture.task_type(index));
    span.scope.is_none() && known.is_none_or(|known| known.kind != TaskKind::Blocking)
}

/// Spans of each thread by their start.
pub(super) struct ByThread<'c>(HashMap<u32, Vec<&'c PollSpan>>);

/// Polls of one thread lie in one another only where a task polls a `LocalSet` or blocks in place: not deeper than this.
const NESTED: usize = 8;

impl<'c> ByThread<'c> {
    pub(super) fn of(spans: impl Iterator<Item = &'c PollSpan>) -> Self {
        let mut by_thread: HashMap<u32, Vec<&PollSpan>> = HashMap::new();
        for span in spans {
            by_thread.entry(span.tid).or_default().push(span);
        }
        for spans in by_thread.values_mut() {
            spans.sort_by_key(|span| span.start_ns);
        }
        Self(by_thread)
    }

    /// The span around `inner` with the latest start.
    pub(super) fn around(&self, inner: &PollSpan) -> Option<&'c PollSpan> {
        let spans = self.0.get(&inner.tid)?;
        let behind = spans.partition_point(|span| span.start_ns <= inner.start_ns);
        spans.get(..behind)?.iter().rev().take(NESTED).find(|span| span.end_ns >= inner.end_ns).copied()
    }

    /// The first span inside `outer`.
    fn first_inside(&self, outer: &PollSpan) -> Option<&'c PollSpan> {
        let spans = self.0.get(&outer.tid)?;
        let at = spans.partition_point(|span| span.start_ns < outer.start_ns);
        spans.get(at).filter(|span| span.end_ns <= outer.end_ns).copied()
    }

    /// The request that a poll was a part of, by the stays in scopes; or that had spawned its task.
    pub(super) fn request_of(&self, poll: &PollSpan) -> Option<ScopeSeq> {
        self.first_inside(poll).and_then(|stay| stay.scope).or(poll.parent_request)
    }
}
