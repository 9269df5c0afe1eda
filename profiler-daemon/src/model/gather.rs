//! From collected rows to a [`Capture`]: numbers become types, instances and children find their requests.

mod awaits;
mod foreign;
mod inside;
mod keys;
mod sampled;
mod unfollowed;
mod yields;

use std::collections::HashMap;

use profiler_common::loss::Loss as KernelLoss;
use profiler_common::record::{POLL_OF_SCOPE, PollRecord, WakeRecord};
use profiler_common::scope::{self, KEYED, ScopeRow};
use profiler_common::states::States as CommonStates;
use profiler_common::task::{self, TaskRow as CommonTask};
use profiler_common::unwind::{End, Walks as CommonWalks};

use super::awaits::AwaitNames;
use super::capture::{
    BlockedPlace, Capture, ChildRow, FinishedTypeRow, Loss, OffCpu, PollSpan, RequestRow, RouteRow, Sample, ScopeSeq, Stack,
    Target, TaskIds, TaskRow, TaskType, TypeIndex, UnwindTables, Wake, Walks, Window,
};
use super::{KeyFormat, RequestId, State, States};
use crate::collect::{Collected, Doing};
use unfollowed::Awaited;

/// What does not come from the maps.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself, and none follows from another")]
pub struct Setting {
    /// Whom it is about.
    pub target: Target,
    /// When it was taken.
    pub window: Window,
    /// The task types by place.
    pub types: Vec<TaskType>,
    /// Time between two samples of one CPU (ns), `None` without sampling.
    pub sample_period_ns: Option<u64>,
    /// The same while a request that was asked for by name is in flight, `None` where that makes no difference.
    pub fast_period_ns: Option<u64>,
    /// Whether stacks are taken in every poll.
    pub every_poll: bool,
    /// Polls at least this long (ns) leave a record, whoever's they are.
    pub poll_record_ns: u64,
    /// What stacks are walked by.
    pub unwind_tables: UnwindTables,
    /// How many scopes the target had numbered when the window opened: a request of a lower or equal number is older than the window.
    /// `None` where the target's count could not be read, so that no start is certain.
    pub scopes_before: Option<u64>,
    /// What the values are of the key that names requests; `None` where the annotation does.
    pub key: Option<KeyFormat>,
    /// Whether only wanted requests are seen: of children those that the annotation tells of.
    pub requests_only: bool,
    /// Whether the kernel side counts the task ids that Tokio gives out while a wanted request is polled.
    pub ids_counted: bool,
    /// Whether wakes have a site in this target.
    pub wakes_seen: bool,
    /// What await stacks are named by.
    pub awaits: AwaitNames,
    /// Whether ids could be read (this Tokio version has them).
    pub ids_known: bool,
    /// Where there is no probe in the target, whether threads tell the ids of their tasks.
    pub sampled: Option<TaskIds>,
}

/// Puts a capture together.
#[must_use]
pub fn gather(setting: &Setting, collected: &Collected) -> Capture {
    let mut children = children(setting, collected);
    let awaited = Awaited::of(setting, collected);
    let live = collected.live_requests.iter().map(|(scope, row)| (*scope, row, false));
    let ended = collected.ended_requests.iter().map(|(scope, row)| (*scope, row, true));
    let mut requests: Vec<RequestRow> = ended
        .chain(live)
        .map(|(scope, row, complete)| {
            let mut request = request(setting, scope, row, complete);
            request.children = children.remove(&scope).unwrap_or_default();
            request.unfollowed = awaited.bounds(setting, scope, row.ids_given);
            request
        })
        .collect();
    requests.sort_by_key(|row| (row.start_ns, row.scope));

    let stacks = awaits::Stacks::of(setting, &collected.awaits);
    let mut capture = Capture {
        target: setting.target.clone(),
        window: setting.window.clone(),
        types: setting.types.clone(),
        tasks: collected.tasks.iter().map(|live| task_row(setting, &stacks, &live.row, live.doing)).collect(),
        finished: finished(collected),
        requests,
        foreign: collected.foreign.iter().map(|of| foreign::row(of, setting)).collect(),
        sampled: sampled::sampled(setting, collected),
        routes: collected.routes.iter().map(route).collect(),
        samples: collected.samples.iter().map(|of| sample(setting, of)).collect(),
        sample_period_ns: setting.sample_period_ns,
        every_poll: setting.every_poll,
        off_cpu: collected.off_cpu.iter().map(|of| off_cpu(setting, of)).collect(),
        blocking: collected.blocking.iter().map(|of| blocked_place(setting, of)).collect(),
        polls: collected.polls.iter().map(|of| poll(setting, of)).collect(),
        poll_record_ns: setting.poll_record_ns,
        wakes: collected.wakes.iter().map(|of| wake(setting, of)).collect(),
        walks: walks(&collected.walks),
        unwind_tables: setting.unwind_tables,
        await_source: setting.awaits.source,
        awaits: awaits::spans(setting, &collected.awaits, &stacks),
        await_sums: awaits::sums(&collected.awaits, &stacks),
        await_stacks: stacks.stacks,
        await_walks: awaits::walks(&collected.awaits.walks),
        losses: collected
            .losses
            .iter()
            .map(|(loss, count)| {
                let beside = if *loss == KernelLoss::ChildUnfollowed { awaited.count() } else { 0 };
                named(*loss, count.saturating_add(beside))
            })
            .collect(),
        // Of the programs and their sites and not of their rows: whoever has them says it.
        cost: None,
        refused_sites: Vec::new(),
    };
    yields::tell(&mut capture, setting, collected);
    if setting.key.is_some() {
        keys::tie(&mut capture);
        inside::only_others(&mut capture);
    }
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

fn task_row(setting: &Setting, stacks: &awaits::Stacks, row: &CommonTask, doing: Doing) -> TaskRow {
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
        awaiting: (row.flags & task::POLLED == 0).then(|| stacks.index(row.awaiting.stack)).flatten(),
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
            // The annotation names the scope that spawned a child of a child.
            parent_task: known(setting, if row.flags & task::CHILD_SCOPE == 0 { row.parent } else { row.spawner }),
            spawned_by_root: row.flags & task::CHILD_SCOPE != 0 && row.spawner == 0,
            start_ns: row.first_ns,
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
        id: RequestId::new(setting.key.map_or_else(|| row.id().to_vec(), |key| key.text(row.id()))),
        instance: 0,
        complete,
        start_seen: if number & KEYED == 0 && row.flags & scope::TIMED == 0 {
            setting.scopes_before.is_some_and(|before| number > before) && row.flags & scope::TURNED_AWAY == 0
        } else {
            row.flags & scope::START_SEEN != 0
        },
        start_ns: row.first_ns,
        states: states(&row.states),
        polls: row.polls,
        wakes: row.wakes,
        wake_unseen: row.wakes_unseen,
        longest_poll_ns: row.longest_poll_ns,
        scheduled_known: row.flags & (scope::OWN_WAKER | scope::TIMED) != 0
            || setting.wakes_seen && row.flags & scope::NO_TASK == 0,
        kept_times: row.flags & scope::TIMED != 0,
        trace: (row.trace_id != [0; 16]).then_some(row.trace_id),
        task_type: (row.task_type != u32::MAX).then_some(TypeIndex(row.task_type)),
        task_id: known(setting, row.task_id),
        children: Vec::new(),
        unfollowed: None,
    }
}

fn route(of: &crate::collect::Route) -> RouteRow {
    RouteRow {
        name: of.name.clone(),
        rest: of.rest,
        count: of.count,
        p50_ns: of.p50_ns,
        p99_ns: of.p99_ns,
        worst_ns: of.worst_ns,
        worst: ScopeSeq(of.worst),
        states: states(&of.states),
        polls: of.polls,
        longest_poll_ns: of.longest_poll_ns,
    }
}

fn index(setting: &Setting, place: u32) -> Option<TypeIndex> {
    usize::try_from(place).is_ok_and(|place| place < setting.types.len()).then_some(TypeIndex(place))
}

fn stack(setting: &Setting, of: &crate::collect::Stack) -> Stack {
    Stack {
        tid: of.tid,
        task_type: of.task_type.map(TypeIndex),
        task_id: known(setting, of.task_id),
        // Outermost first.
        requests: of.requests.iter().rev().filter(|number| **number != 0).map(|number| ScopeSeq(*number)).collect(),
        poll_start_ns: (of.poll_start_ns != 0).then_some(of.poll_start_ns),
        frames: of.frames.to_vec(),
        end: of.end,
    }
}

fn sample(setting: &Setting, of: &crate::collect::Sample) -> Sample {
    Sample { ts_ns: of.stack.time_ns, period_ns: period(setting, of), stack: stack(setting, &of.stack) }
}

/// What a sample stands for. The first milliseconds of a request that was asked for by name pass before the fast clock runs; a tick of the
/// slow one there would weigh as much as forty of the fast one's, and stand for more time than the poll has had. It stands for that time
/// at most.
fn period(setting: &Setting, of: &crate::collect::Sample) -> u64 {
    match setting.fast_period_ns {
        Some(fast_ns) if of.period_ns > fast_ns && of.stack.poll_start_ns != 0 => {
            of.period_ns.min(of.stack.time_ns.saturating_sub(of.stack.poll_start_ns)).max(fast_ns)
        }
        _ => of.period_ns,
    }
}

fn off_cpu(setting: &Setting, of: &crate::collect::Off) -> OffCpu {
    OffCpu {
        start_ns: of.stack.time_ns,
        blocked_ns: of.off.blocked_ns,
        preempted_ns: of.off.preempted_ns,
        stopped_ns: of.off.stopped_ns,
        syscall: of.syscall,
        stack: stack(setting, &of.stack),
    }
}

fn blocked_place(setting: &Setting, of: &crate::collect::Place) -> BlockedPlace {
    BlockedPlace {
        frames: of.frames.to_vec(),
        end: of.end,
        syscall: of.syscall,
        task_type: of.task_type.and_then(|place| index(setting, place)),
        count: of.sum.count,
        blocked_ns: of.sum.blocked_ns,
        longest_ns: of.sum.longest_ns,
        stopped_ns: of.sum.stopped_ns,
        request: (of.sum.request != 0).then_some(ScopeSeq(of.sum.request)),
    }
}

fn poll(setting: &Setting, of: &PollRecord) -> PollSpan {
    let request = (of.request != 0).then_some(ScopeSeq(of.request));
    let is_scope = of.what == POLL_OF_SCOPE;
    PollSpan {
        tid: of.tid,
        task_type: index(setting, of.task_type),
        task_id: known(setting, of.task_id),
        scope: request.filter(|_| is_scope),
        parent_request: request.filter(|_| !is_scope),
        ready_ns: (of.ready_ns != 0).then_some(of.ready_ns),
        start_ns: of.start_ns,
        end_ns: of.end_ns,
        blocked_ns: of.off.blocked_ns,
        preempted_ns: of.off.preempted_ns,
    }
}

fn walks(of: &CommonWalks) -> Walks {
    let ends = End::ALL.into_iter().map(|end| (end.name().to_owned(), of.ended(end)));
    Walks { walks: of.walks, frames: of.frames, walk_ns: of.walk_ns, ends: ends.filter(|(_, count)| *count != 0).collect() }
}

fn wake(setting: &Setting, of: &WakeRecord) -> Wake {
    Wake {
        at_ns: of.time_ns,
        tid: of.tid,
        by_task: known(setting, of.by_task_id),
        task_type: index(setting, of.task_type),
        task_id: known(setting, of.task_id),
    }
}

#[cfg(test)]
mod tests;
