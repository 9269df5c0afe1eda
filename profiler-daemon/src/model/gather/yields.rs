//! Yields of requests that are woken through wakers of their own. Tokio defers the wake of a task that yields until its worker has polled others; where
//! only such a request reaches a probe, no site tells that a wake was deferred. Where the request waited does: in `yield_now` it was ready
//! since it was left, and all of that wait is `scheduled`, as in a process whose every wake is seen.

use std::collections::{HashMap, HashSet};

use profiler_common::scope::OWN_WAKER;
use profiler_common::task::CHILD_SCOPE;

use super::{Setting, known};
use crate::collect::Collected;
use crate::model::States;
use crate::model::capture::{AwaitOwner, AwaitStack, Capture, ScopeSeq};

/// Tokio's function, by which every version of it yields: the coroutine of `tokio::task::yield_now`, whatever it awaits inside.
const YIELD: &str = "tokio::task::yield_now::yield_now::";

/// Counts as `scheduled` what was waited for a turn.
pub(super) fn tell(capture: &mut Capture, setting: &Setting, collected: &Collected) {
    let yields: Vec<bool> = capture.await_stacks.iter().map(is_yield).collect();
    if !yields.contains(&true) {
        return;
    }
    let own = with_own_wakers(setting, collected);
    let mut moved: HashMap<AwaitOwner, u64> = HashMap::new();
    // When a poll began, and when what led to it.
    let mut ready: HashMap<(AwaitOwner, u64), u64> = HashMap::new();
    for span in &mut capture.awaits {
        let is_yield = span.stack.and_then(|stack| yields.get(usize::try_from(stack.0).ok()?)).copied().unwrap_or(false);
        if !is_yield || !own.contains(&span.owner) {
            continue;
        }
        *moved.entry(span.owner).or_default() += span.suspended_ns;
        span.scheduled_ns += std::mem::take(&mut span.suspended_ns);
        ready.insert((span.owner, span.start_ns + span.scheduled_ns), span.start_ns);
    }
    for request in &mut capture.requests {
        let scope = request.scope;
        became_scheduled(&mut request.states, moved.get(&AwaitOwner::Scope(scope)));
        for child in &mut request.children {
            let owner = AwaitOwner::Child { task_id: child.task_id, request: scope };
            became_scheduled(&mut child.states, moved.get(&owner));
        }
    }
    for poll in &mut capture.polls {
        let owner = match (poll.scope, poll.parent_request) {
            (Some(scope), _) => AwaitOwner::Scope(scope),
            (None, Some(request)) => AwaitOwner::Child { task_id: poll.task_id, request },
            (None, None) => continue,
        };
        poll.ready_ns = ready.get(&(owner, poll.start_ns)).copied().or(poll.ready_ns);
    }
}

/// Requests, and children of which the annotation has told.
fn with_own_wakers(setting: &Setting, collected: &Collected) -> HashSet<AwaitOwner> {
    let scopes = collected.live_requests.iter().chain(&collected.ended_requests);
    let scopes = scopes.filter(|(_, row)| row.flags & OWN_WAKER != 0).map(|(scope, _)| AwaitOwner::Scope(ScopeSeq(*scope)));
    let tasks = collected.tasks.iter().map(|live| &live.row).chain(&collected.ended_children);
    let children = tasks
        .filter(|row| row.flags & CHILD_SCOPE != 0)
        .map(|row| AwaitOwner::Child { task_id: known(setting, row.id), request: ScopeSeq(row.request) });
    scopes.chain(children).collect()
}

/// Whether it waits for nothing but a turn. Of several futures that are awaited at once, another may have waited too.
fn is_yield(stack: &AwaitStack) -> bool {
    let is_chain = stack.frames.iter().zip(0..).all(|(frame, depth)| frame.depth == depth);
    stack.cut.is_none() && is_chain && stack.frames.iter().any(|frame| frame.name.starts_with(YIELD))
}

fn became_scheduled(states: &mut States, moved_ns: Option<&u64>) {
    // Never more than there is, so that the states go on adding up.
    let moved_ns = moved_ns.copied().unwrap_or(0).min(states.suspended_ns);
    states.suspended_ns -= moved_ns;
    states.scheduled_ns += moved_ns;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::capture::{AwaitFrame, AwaitFrameKind, AwaitIndex, AwaitSource, AwaitSpan, ChildRow, PollSpan};
    use crate::model::fixture;
    use profiler_common::scope::ScopeRow;
    use profiler_common::task::TaskRow;

    fn stack(names: &[&str]) -> AwaitStack {
        let frames = names.iter().zip(0..).map(|(name, depth)| AwaitFrame {
            depth,
            name: (*name).to_owned(),
            kind: AwaitFrameKind::AsyncFn,
            place: None,
            begins: None,
        });
        AwaitStack { frames: frames.collect(), cut: None, source: AwaitSource::Layouts }
    }

    fn yielding() -> AwaitStack {
        stack(&["orders::work::{async_fn#0}", "tokio::task::yield_now::yield_now::{async_fn#0}", "core::future::PollFn<F>"])
    }

    /// Check that a chain into `yield_now` is one, and that what may wait for something else besides, or was not followed to its end, is not.
    #[test]
    fn only_a_whole_chain_is_a_yield() {
        assert!(is_yield(&yielding()));
        assert!(!is_yield(&stack(&["orders::work::{async_fn#0}", "tokio::time::sleep::Sleep"])));
        let mut branches = yielding();
        branches.frames[2].depth = 1;
        assert!(!is_yield(&branches));
        assert!(!is_yield(&AwaitStack { cut: Some("too_deep"), ..yielding() }));
    }

    /// Check that waits for a turn become scheduled, of a request and of its child, in their rows, spans and polls alike, that other waits and other
    /// requests stay as they are, and that all add up as before.
    #[test]
    fn waits_for_a_turn_are_scheduled() {
        const SUSPENDED: u64 = 100;
        let mut capture = fixture::capture();
        let child_id = 77;
        let (scope, other) = (capture.requests[0].scope, capture.requests[1].scope);
        let states = States { suspended_ns: SUSPENDED, scheduled_ns: 5, ..States::default() };
        capture.await_stacks = vec![stack(&["tokio::time::sleep::Sleep"]), yielding()];
        capture.requests.truncate(2);
        for request in &mut capture.requests {
            request.states = states;
        }
        capture.requests[0].children = vec![ChildRow { task_id: Some(child_id), states, ..ChildRow::default() }];
        let child = AwaitOwner::Child { task_id: Some(child_id), request: scope };
        let span = |owner, stack, start_ns| AwaitSpan {
            owner,
            task_type: None,
            stack: Some(AwaitIndex(stack)),
            awaited_task: None,
            start_ns,
            suspended_ns: 30,
            scheduled_ns: 2,
            open: false,
        };
        capture.awaits = vec![
            span(AwaitOwner::Scope(scope), 0, 1000),
            span(AwaitOwner::Scope(scope), 1, 2000),
            span(child, 1, 3000),
            span(AwaitOwner::Scope(other), 1, 4000),
        ];
        let poll = PollSpan {
            tid: 1,
            task_type: None,
            task_id: None,
            scope: None,
            parent_request: None,
            ready_ns: None,
            start_ns: 0,
            end_ns: 9000,
            blocked_ns: 0,
            preempted_ns: 0,
        };
        let of = |scope, parent_request, task_id, start_ns| {
            let ready_ns = Some(start_ns - 2);
            PollSpan { task_id, scope, parent_request, ready_ns, start_ns, ..poll.clone() }
        };
        capture.polls = vec![
            of(Some(scope), None, None, 1032),
            of(Some(scope), None, None, 2032),
            of(None, Some(scope), Some(child_id), 3032),
            of(Some(other), None, None, 4032),
        ];
        let row = |flags| ScopeRow { flags, ..ScopeRow::NEW };
        let collected = Collected {
            ended_requests: vec![(scope.0, row(OWN_WAKER)), (other.0, row(0))],
            ended_children: vec![TaskRow { id: child_id, request: scope.0, flags: CHILD_SCOPE, ..TaskRow::default() }],
            ..Collected::default()
        };
        tell(&mut capture, &super::super::tests::setting(), &collected);

        let of = |states: &States| (states.suspended_ns, states.scheduled_ns);
        assert_eq!(of(&capture.requests[0].states), (70, 35));
        assert_eq!(of(&capture.requests[0].children[0].states), (70, 35));
        assert_eq!(of(&capture.requests[1].states), (SUSPENDED, 5), "its wakes are seen at Tokio's own functions");
        let spans: Vec<_> = capture.awaits.iter().map(|span| (span.suspended_ns, span.scheduled_ns)).collect();
        assert_eq!(spans, [(30, 2), (0, 32), (0, 32), (30, 2)]);
        let ready: Vec<_> = capture.polls.iter().map(|poll| poll.ready_ns).collect();
        assert_eq!(ready, [Some(1030), Some(2000), Some(3000), Some(4030)]);
    }
}
