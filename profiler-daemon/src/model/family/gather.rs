//! From a capture to the members of a request's family.

use std::collections::HashMap;

use super::node::{Awaited, Key, Kind, Node, Parent, Span, Stretch, Wait};
use crate::model::capture::{
    AwaitFrame, AwaitFrameKind, AwaitIndex, AwaitSource, AwaitSpan, Capture, ChildRow, OffCpu, PollSpan, RequestRow, ScopeSeq,
    TaskKind, TypeIndex,
};
use crate::model::report::Counts;
use crate::model::waits::Spans;

/// What was recorded, by whose it is: many requests would else read all of it each.
pub(crate) struct Seen<'c> {
    capture: &'c Capture,
    scopes: HashMap<ScopeSeq, Vec<&'c PollSpan>>,
    tasks: HashMap<(ScopeSeq, u64), Vec<&'c PollSpan>>,
    off_cpu: HashMap<u32, Vec<&'c OffCpu>>,
    /// Threads that woke, by whom and when.
    wakes: HashMap<(u64, u64), u32>,
    waits: Spans<'c>,
    /// What each await stack waits for.
    stacks: Vec<Leads>,
}

/// What an await stack leads to.
enum Leads {
    Else,
    Tasks { types: Vec<Option<TypeIndex>>, beside: bool },
    Set,
    Unseen,
}

impl<'c> Seen<'c> {
    pub(crate) fn of(capture: &'c Capture) -> Self {
        let mut seen = Self {
            capture,
            scopes: HashMap::new(),
            tasks: HashMap::new(),
            off_cpu: HashMap::new(),
            wakes: HashMap::new(),
            waits: Spans::of(capture),
            stacks: capture.await_stacks.iter().map(|stack| leads(stack.source, &stack.frames)).collect(),
        };
        for span in &capture.polls {
            match (span.scope, span.parent_request, span.task_id) {
                (Some(scope), ..) => seen.scopes.entry(scope).or_default().push(span),
                (None, Some(request), Some(task)) => seen.tasks.entry((request, task)).or_default().push(span),
                (None, ..) => {}
            }
        }
        for off in &capture.off_cpu {
            seen.off_cpu.entry(off.stack.tid).or_default().push(off);
        }
        seen.off_cpu.values_mut().for_each(|list| list.sort_by_key(|off| off.start_ns));
        for wake in &capture.wakes {
            if let Some(task) = wake.task_id {
                seen.wakes.insert((task, wake.at_ns), wake.tid);
            }
        }
        seen
    }

    /// The request's members, the request first.
    pub(crate) fn nodes(&self, row: &RequestRow) -> Vec<Node> {
        let mut nodes = vec![self.root(row)];
        for (child, place) in row.children.iter().zip(0..) {
            nodes.push(self.child(row, child, place));
        }
        nodes
    }

    fn root(&self, row: &RequestRow) -> Node {
        let spans = self.scopes.get(&row.scope).map(|spans| self.spans(spans)).unwrap_or_default();
        let waits = self.waits(self.waits.of_scope(row.scope), row.task_id, &spans, row.polls);
        Node {
            key: Key::Scope(row.scope),
            parent: Parent::Nobody,
            kind: Kind::Root,
            task_type: row.task_type,
            task_id: row.task_id,
            complete: row.complete,
            start_seen: row.start_seen,
            start_ns: row.start_ns,
            states: row.states,
            counts: Counts {
                polls: row.polls,
                wakes: row.wakes,
                wake_unseen: row.wake_unseen,
                longest_poll_ns: row.longest_poll_ns,
            },
            spans,
            waits,
        }
    }

    fn child(&self, row: &RequestRow, child: &ChildRow, place: u32) -> Node {
        let root = Key::Scope(row.scope);
        let parent = match child.parent_task {
            _ if child.spawned_by_root => Parent::Known(root),
            Some(task) if row.task_id == Some(task) => Parent::Known(root),
            Some(task) if row.children.iter().any(|other| other.task_id == Some(task)) => Parent::Known(Key::Task(task)),
            // Only the root runs outside of any task.
            None if child.spawn_seen && row.task_type.is_none() => Parent::Known(root),
            _ => Parent::Unknown,
        };
        let spans = child.task_id.and_then(|task| self.tasks.get(&(row.scope, task)));
        let spans = spans.map(|spans| self.spans(spans)).unwrap_or_default();
        let waits = child.task_id.map(|_| self.waits.of_child(row.scope, child.task_id)).unwrap_or_default();
        let waits = self.waits(waits, child.task_id, &spans, child.polls);
        Node {
            key: child.task_id.map_or(Key::Nameless(place), Key::Task),
            parent,
            kind: Kind::Task(self.capture.task_type(child.task_type).map_or(TaskKind::Unknown, |known| known.kind)),
            task_type: Some(child.task_type),
            task_id: child.task_id,
            complete: child.complete,
            start_seen: child.spawn_seen,
            start_ns: child.start_ns,
            states: child.states,
            counts: Counts {
                polls: child.polls,
                wakes: child.wakes,
                wake_unseen: child.wake_unseen,
                longest_poll_ns: child.longest_poll_ns,
            },
            spans,
            waits,
        }
    }

    fn spans(&self, spans: &[&PollSpan]) -> Vec<Span> {
        let mut spans: Vec<Span> = spans
            .iter()
            .map(|span| Span {
                tid: span.tid,
                start_ns: span.start_ns,
                end_ns: span.end_ns,
                ready_ns: span.ready_ns,
                blocked_ns: span.blocked_ns,
                preempted_ns: span.preempted_ns,
                stretches: self.stretches(span),
            })
            .collect();
        spans.sort_by_key(|span| span.start_ns);
        spans
    }

    fn stretches(&self, span: &PollSpan) -> Vec<Stretch> {
        let Some(list) = self.off_cpu.get(&span.tid).filter(|_| span.blocked_ns > 0 || span.preempted_ns > 0) else {
            return Vec::new();
        };
        let first = list.partition_point(|off| off.start_ns < span.start_ns);
        let inside = list.get(first..).into_iter().flatten().take_while(|off| off.start_ns < span.end_ns);
        inside.map(|off| Stretch { start_ns: off.start_ns, blocked_ns: off.blocked_ns, preempted_ns: off.preempted_ns }).collect()
    }

    /// Waits with a stack as they were recorded; the other gaps between polls by the polls.
    fn waits(&self, recorded: Vec<&AwaitSpan>, task: Option<u64>, spans: &[Span], polls: u64) -> Vec<Wait> {
        let woken_on = |woken_ns: u64| task.and_then(|task| self.wakes.get(&(task, woken_ns)).copied());
        let mut waits: Vec<Wait> = recorded
            .into_iter()
            .map(|span| Wait {
                start_ns: span.start_ns,
                suspended_ns: span.suspended_ns,
                scheduled_ns: span.scheduled_ns,
                stack: span.stack,
                on: self.awaited(span),
                woken_on: woken_on(span.start_ns.saturating_add(span.suspended_ns)),
            })
            .collect();
        // Where a poll is missing, a gap may hide it.
        let is_whole = u64::try_from(spans.len()).is_ok_and(|seen| seen >= polls);
        let stacked = waits.len();
        for (before, after) in spans.iter().zip(spans.iter().skip(1)).filter(|_| is_whole) {
            let known = waits.get(..stacked).unwrap_or_default();
            let next = known.partition_point(|wait| wait.start_ns < before.end_ns);
            if before.end_ns >= after.start_ns || known.get(next).is_some_and(|wait| wait.start_ns < after.start_ns) {
                continue;
            }
            let ready_ns = after.ready_ns.unwrap_or(after.start_ns).clamp(before.end_ns, after.start_ns);
            waits.push(Wait {
                start_ns: before.end_ns,
                suspended_ns: ready_ns.saturating_sub(before.end_ns),
                scheduled_ns: after.start_ns.saturating_sub(ready_ns),
                stack: None,
                on: Awaited::Unseen,
                woken_on: woken_on(ready_ns),
            });
        }
        waits.sort_by_key(|wait| wait.start_ns);
        waits
    }

    fn awaited(&self, span: &AwaitSpan) -> Awaited {
        let lead = |index: AwaitIndex| usize::try_from(index.0).ok().and_then(|place| self.stacks.get(place));
        match span.stack.and_then(lead) {
            None | Some(Leads::Unseen) => Awaited::Unseen,
            Some(Leads::Else) => Awaited::Else,
            Some(Leads::Set) => Awaited::Set,
            Some(Leads::Tasks { types, beside }) => match (span.awaited_task, &types[..], beside) {
                (Some(task), [_], false) => Awaited::Task(Key::Task(task)),
                (first, ..) => Awaited::Tasks { types: types.clone(), first: first.map(Key::Task), beside: *beside },
            },
        }
    }
}

/// Where `JoinSet` and what is built on it (`JoinMap`) live.
const JOIN_SET: &str = "tokio::task::join_set::";

/// Frames without those inside of a set of tasks: a stack has one of many equal ones, and the set waits for any of them.
fn outside_sets(frames: &[AwaitFrame]) -> Vec<&AwaitFrame> {
    let mut set = None;
    let outside = |frame: &&AwaitFrame| {
        if set.is_some_and(|depth| frame.depth > depth) {
            return false;
        }
        set = frame.name.starts_with(JOIN_SET).then_some(frame.depth);
        true
    };
    frames.iter().filter(outside).collect()
}

fn leads(source: AwaitSource, frames: &[AwaitFrame]) -> Leads {
    if source != AwaitSource::Layouts {
        return Leads::Unseen;
    }
    let frames = outside_sets(frames);
    let types: Vec<Option<TypeIndex>> = frames
        .iter()
        .filter_map(|frame| match frame.kind {
            AwaitFrameKind::Task(of) => Some(of),
            _ => None,
        })
        .collect();
    let next = frames.iter().skip(1).map(|frame| frame.depth).chain([0]);
    let mut leaves = frames.iter().zip(next).filter(|(frame, next)| *next <= frame.depth).map(|(frame, _)| frame.kind);
    let beside = leaves.clone().any(|kind| !matches!(kind, AwaitFrameKind::Task(_)));
    if !types.is_empty() {
        return Leads::Tasks { types, beside };
    }
    let is_set = frames.iter().any(|frame| frame.name.starts_with(JOIN_SET));
    match (is_set, leaves.clone().count()) {
        (true, 0 | 1) => Leads::Set,
        (true, _) => Leads::Tasks { types: vec![None], beside: true },
        (false, _) if leaves.any(|kind| matches!(kind, AwaitFrameKind::Cut | AwaitFrameKind::UnknownDyn)) => Leads::Unseen,
        (false, _) => Leads::Else,
    }
}
