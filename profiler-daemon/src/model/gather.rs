//! From collected rows to a [`Capture`]: numbers become types, instances and children find their requests.

use std::collections::HashMap;

use profiler_common::loss::Loss as KernelLoss;
use profiler_common::scope::{self, ScopeRow};
use profiler_common::states::States as CommonStates;
use profiler_common::task::{self, TaskRow as CommonTask};

use super::capture::{
    Capture, ChildRow, FinishedTypeRow, Loss, RequestRow, Sample, ScopeSeq, Target, TaskRow, TaskType, TypeIndex, Window,
};
use super::{RequestId, State, States};
use crate::collect::{Collected, Doing};

/// What does not come from the maps.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Whom it is about.
    pub target: Target,
    /// When it was taken.
    pub window: Window,
    /// The task types by place.
    pub types: Vec<TaskType>,
    /// Where the function lies that is on the stack while a task of each type is polled, by place: runtime addresses, empty if unknown.
    pub bodies: Vec<std::ops::Range<u64>>,
    /// Time between two samples of one CPU (ns), `None` without sampling.
    pub sample_period_ns: Option<u64>,
    /// How many scopes the target had numbered when the window opened: a request of a lower or equal number is older than the window.
    /// `None` where the target's count could not be read, so that no start is certain.
    pub scopes_before: Option<u64>,
    /// Whether wakes have a site in this target.
    pub wakes_seen: bool,
    /// Whether ids could be read (this Tokio version has them).
    pub ids_known: bool,
}

/// Puts a capture together.
#[must_use]
pub fn gather(setting: &Setting, collected: &Collected) -> Capture {
    let mut children = children(setting, collected);
    let live = collected.live_requests.iter().map(|(scope, row)| (*scope, row, false));
    let ended = collected.ended_requests.iter().map(|(scope, row)| (*scope, row, true));
    let mut requests: Vec<RequestRow> = ended
        .chain(live)
        .map(|(scope, row, complete)| {
            let mut request = request(setting, scope, row, complete);
            request.children = children.remove(&scope).unwrap_or_default();
            request
        })
        .collect();
    requests.sort_by_key(|row| (row.start_ns, row.scope));

    let mut capture = Capture {
        target: setting.target.clone(),
        window: setting.window.clone(),
        types: setting.types.clone(),
        tasks: collected.tasks.iter().map(|live| task_row(setting, &live.row, live.doing)).collect(),
        finished: finished(collected),
        requests,
        samples: collected.samples.iter().map(|of| sample(setting, of)).collect(),
        sample_period_ns: setting.sample_period_ns,
        losses: collected.losses.iter().map(|(loss, count)| named(*loss, *count)).collect(),
    };
    capture.number_instances();
    capture
}

fn named(loss: KernelLoss, count: u64) -> Loss {
    Loss { name: loss.name(), meaning: loss.meaning(), count }
}

fn states(of: &CommonStates) -> States {
    States {
        running_ns: of.running_ns,
        preempted_ns: of.preempted_ns,
        blocked_ns: of.blocked_ns,
        scheduled_ns: of.scheduled_ns,
        suspended_ns: of.suspended_ns,
        stopped_ns: of.stopped_ns,
        unseen_ns: of.unseen_ns,
    }
}

fn known(setting: &Setting, id: u64) -> Option<u64> {
    (setting.ids_known && id != 0).then_some(id)
}

fn task_row(setting: &Setting, row: &CommonTask, doing: Doing) -> TaskRow {
    TaskRow {
        id: known(setting, row.id),
        task_type: TypeIndex(row.task_type),
        states: states(&row.states),
        polls: row.polls,
        wakes: row.wakes,
        wake_unseen: row.wakes_unseen,
        yielded: row.yields,
        longest_poll_ns: row.longest_poll_ns,
        spawn_seen: row.flags & task::SPAWN_SEEN != 0,
        parent_request: (row.request != 0).then_some(ScopeSeq(row.request)),
        state_now: Some(match doing {
            Doing::Running => State::Running,
            Doing::Preempted => State::Preempted,
            Doing::Blocked => State::Blocked,
            Doing::Scheduled => State::Scheduled,
            Doing::Suspended => State::Suspended,
        }),
    }
}

fn finished(collected: &Collected) -> Vec<FinishedTypeRow> {
    let rows = collected.totals.iter().enumerate().filter(|(_, totals)| totals.count != 0);
    rows.map(|(place, totals)| FinishedTypeRow {
        task_type: TypeIndex(u32::try_from(place).unwrap_or(u32::MAX)),
        count: totals.count,
        states: states(&totals.states),
        polls: totals.polls,
        wakes: totals.wakes,
        wake_unseen: totals.wakes_unseen,
        yielded: totals.yields,
        longest_poll_ns: totals.longest_poll_ns,
        spawn_unseen: totals.spawns_unseen,
    })
    .collect()
}

/// Children by the number of their request's scope, in order of their start.
fn children(setting: &Setting, collected: &Collected) -> HashMap<u64, Vec<ChildRow>> {
    let live = collected.tasks.iter().map(|live| (&live.row, false));
    let ended = collected.ended_children.iter().map(|row| (row, true));
    let mut rows: Vec<(&CommonTask, bool)> = ended.chain(live).filter(|(row, _)| row.request != 0).collect();
    rows.sort_by_key(|(row, _)| (row.first_ns, row.id));
    let mut children: HashMap<u64, Vec<ChildRow>> = HashMap::new();
    for (row, complete) in rows {
        children.entry(row.request).or_default().push(ChildRow {
            task_id: known(setting, row.id),
            task_type: TypeIndex(row.task_type),
            complete,
            states: states(&row.states),
            polls: row.polls,
            wakes: row.wakes,
            wake_unseen: row.wakes_unseen,
            yielded: row.yields,
            longest_poll_ns: row.longest_poll_ns,
            spawn_seen: row.flags & task::SPAWN_SEEN != 0,
        });
    }
    children
}

fn request(setting: &Setting, number: u64, row: &ScopeRow, complete: bool) -> RequestRow {
    RequestRow {
        scope: ScopeSeq(number),
        id: RequestId::new(row.id()),
        instance: 0,
        complete,
        start_seen: setting.scopes_before.is_some_and(|before| number > before),
        start_ns: row.first_ns,
        states: states(&row.states),
        polls: row.polls,
        wakes: row.wakes,
        wake_unseen: row.wakes_unseen,
        longest_poll_ns: row.longest_poll_ns,
        scheduled_known: setting.wakes_seen && row.flags & scope::NO_TASK == 0,
        task_type: (row.task_type != u32::MAX).then_some(TypeIndex(row.task_type)),
        task_id: known(setting, row.task_id),
        children: Vec::new(),
    }
}

fn sample(setting: &Setting, of: &crate::collect::Sample) -> Sample {
    let body = of.task_type.and_then(|place| setting.bodies.get(usize::try_from(place).ok()?));
    let (stack, truncated) = up_to_the_poll(&of.stack, body);
    Sample {
        ts_ns: of.time_ns,
        tid: of.tid,
        task_type: of.task_type.map(TypeIndex),
        task_id: (of.task_id != 0).then_some(of.task_id),
        // Outermost first.
        requests: of.requests.iter().rev().filter(|number| **number != 0).map(|number| ScopeSeq(*number)).collect(),
        stack,
        truncated,
    }
}

/// The frames of a stack (leaf first) from the leaf to the function that polls the task, which is the runtime's, as are those around it;
/// and whether the walk ended before it. Without frame pointers a walk goes astray, and then it does not meet that function.
fn up_to_the_poll(stack: &[u64], body: Option<&std::ops::Range<u64>>) -> (Vec<u64>, bool) {
    let walked = stack.iter().take_while(|address| **address != 0);
    let Some(body) = body.filter(|body| !body.is_empty()) else {
        return (walked.copied().collect(), stack.len() >= profiler_common::limits::STACK_FRAMES);
    };
    let mut met = false;
    // A return address behind a call at the very end of a function is the function's end.
    let frames = walked.copied().take_while(|address| {
        met = met || (body.start < *address && *address <= body.end);
        !met
    });
    let frames: Vec<u64> = frames.collect();
    (frames, !met)
}

#[cfg(test)]
mod tests;
