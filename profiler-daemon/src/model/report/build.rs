//! From a capture to a report.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::stacks::{Awaits, Sampled, ScheduledBehind, Stacks, sampled};
use super::{Child, Counts, Foreign, Report, Request, RequestName, SCHEMA, Task, TaskRef};
use crate::model::capture::{Capture, ChildRow, FinishedTypeRow, ForeignRow, RequestRow, ScopeSeq, TaskKind, TaskRow, TypeIndex};
use crate::model::family::{CriticalPath, Seen, Told, tell};
use crate::model::held::{Behind, Held, held};
use crate::model::request_id::RequestId;
use crate::model::selection::Selection;
use crate::model::text::printable;
use crate::model::waits::{self, Keep};

/// Which rows a report has. What is left out is left out whole: no row is ever cut.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Filter {
    /// Every row.
    #[default]
    All,
    /// These requests and the live tasks that belong to them. No finished rows: those sum over other requests too.
    Requests(Vec<RequestId>),
    /// Every request, and as above.
    AllRequests,
    /// One live task, and the requests that it polled or that spawned it.
    Task(u64),
}

impl From<&Selection> for Filter {
    fn from(selection: &Selection) -> Self {
        match selection {
            Selection::Request { id } => Self::Requests(vec![id.clone()]),
            Selection::Requests => Self::AllRequests,
            Selection::Task { id } => Self::Task(*id),
            Selection::All => Self::All,
        }
    }
}

impl Filter {
    fn takes_request(&self, row: &RequestRow) -> bool {
        match self {
            Self::All | Self::AllRequests => true,
            Self::Requests(ids) => ids.iter().any(|id| row.answers_to(id)),
            Self::Task(id) => row.task_id == Some(*id) || row.children.iter().any(|child| child.task_id == Some(*id)),
        }
    }

    fn takes_foreign(&self, row: &ForeignRow) -> bool {
        match self {
            Self::All | Self::AllRequests => true,
            Self::Requests(ids) => ids.iter().any(|id| row.answers_to(id)),
            Self::Task(id) => row.tasks.contains(id),
        }
    }

    fn takes_task(&self, row: &TaskRow, members: &Members) -> bool {
        match self {
            Self::All => true,
            Self::Requests(_) | Self::AllRequests => {
                row.parent_request.is_some_and(|scope| members.scopes.contains(&scope))
                    || row.id.is_some_and(|id| members.tasks.contains(&id))
            }
            Self::Task(id) => row.id == Some(*id),
        }
    }
}

/// What belongs to the requests that a report has.
struct Members {
    scopes: HashSet<ScopeSeq>,
    tasks: HashSet<u64>,
}

impl Members {
    fn of(requests: &[&RequestRow]) -> Self {
        let children = requests.iter().flat_map(|row| &row.children).filter_map(|child| child.task_id);
        Self {
            scopes: requests.iter().map(|row| row.scope).collect(),
            tasks: requests.iter().filter_map(|row| row.task_id).chain(children).collect(),
        }
    }
}

/// Makes the report of a capture.
///
/// Expects instances to be numbered ([`Capture::number_instances`]).
#[must_use]
pub fn report(capture: &Capture, filter: &Filter) -> Report {
    let mut requests: Vec<&RequestRow> = capture.requests.iter().filter(|row| filter.takes_request(row)).collect();
    requests.sort_by_key(|row| (row.start_ns, row.scope));
    let members = Members::of(&requests);
    let mut live: Vec<&TaskRow> = capture.tasks.iter().filter(|row| filter.takes_task(row, &members)).collect();
    live.sort_by_key(|row| (row.id.is_none(), row.id, row.task_type));
    let mut finished: Vec<&FinishedTypeRow> = match filter {
        Filter::All => capture.finished.iter().filter(|row| row.count > 0).collect(),
        Filter::Requests(_) | Filter::AllRequests | Filter::Task(_) => Vec::new(),
    };
    finished.sort_by_key(|row| row.task_type);

    let names: HashMap<ScopeSeq, RequestName> = capture.requests.iter().map(|row| (row.scope, request_name(row))).collect();
    let mut sampled = sampled(capture, &requests);
    let mut held = held(capture, &requests);
    let (await_stacks, spans) = (waits::Stacks::of(capture, None), waits::Spans::of(capture));
    let (families, naming) = (Seen::of(capture), Told { capture, stacks: &await_stacks, keep: Keep::Own });
    let seen = |row: &&RequestRow| {
        let held = held.remove(&row.scope).unwrap_or_default().within(row.states.scheduled_ns);
        let (waits, waits_unknown_ns) = waits::of_request(row, &spans, &await_stacks, Keep::Own);
        let told = request(capture, row, sampled.remove(&row.scope).unwrap_or_default(), &held, &names);
        let mut told = Request { waits, waits_unknown_ns, ..told };
        with_family(&mut told, row, (&families, &naming), &spans);
        told
    };
    let foreign: Vec<&ForeignRow> = capture.foreign.iter().filter(|row| filter.takes_foreign(row)).collect();
    let live = live.iter().map(|row| live_task(capture, row, &names));
    let finished = finished.iter().map(|row| finished_tasks(capture, row));
    let mut told = Report {
        schema: SCHEMA.to_owned(),
        target: capture.target.clone(),
        window: capture.window.clone(),
        requests: requests.iter().map(seen).collect(),
        foreign: foreign.iter().map(|row| Foreign::of(row, capture.sampled.is_none())).collect(),
        sampled: super::sampled::sampled(capture, filter, &foreign),
        routes: if matches!(filter, Filter::All | Filter::AllRequests) { super::routes::routes(capture) } else { Vec::new() },
        tasks: live.chain(finished).collect(),
        stacks: Stacks::of(capture),
        awaits: Awaits::of(capture),
        await_stacks: Vec::new(),
        blocking: None,
        lost: capture.losses.iter().fold(BTreeMap::new(), |mut lost, loss| {
            let count: &mut u64 = lost.entry(loss.name.to_owned()).or_default();
            *count = count.saturating_add(loss.count);
            lost
        }),
        cost: capture.cost.clone(),
        refused_sites: capture.refused_sites.clone(),
    };
    told.share_stacks();
    told
}

/// What its children waited for, and the critical path.
pub(crate) fn with_family(
    told: &mut Request,
    row: &RequestRow,
    (seen, naming): (&Seen<'_>, &Told<'_>),
    spans: &waits::Spans<'_>,
) {
    for (child, of) in told.children.iter_mut().zip(&row.children) {
        let own = of.task_id.map(|_| spans.of_child(row.scope, of.task_id));
        if of.spawned_by_root {
            child.parent_id = row.task_id;
        }
        (child.waits, child.waits_unknown_ns) = waits::of_child(&of.states, own, naming.stacks, naming.keep);
    }
    let nodes = seen.nodes(row);
    let family = tell(naming, row, &nodes);
    for member in family.tree.iter().filter(|member| member.kind.is_some() && member.id.is_some()) {
        if let Some(child) = told.children.iter_mut().find(|child| child.task.id == member.id) {
            child.critical_ns = member.critical_ns;
        }
    }
    told.critical_path = CriticalPath { steps: Vec::new(), ..family.critical_path };
}

/// What a request is called in a report.
#[must_use]
pub fn request_name(row: &RequestRow) -> RequestName {
    let (id, id_hex) = id_text(&row.id);
    RequestName { id, id_hex, instance: row.instance }
}

/// An id as text, and its bytes in hex where they are others.
pub(super) fn id_text(id: &RequestId) -> (String, Option<String>) {
    let text = printable(id.as_bytes());
    let hex = (text.as_bytes() != id.as_bytes()).then(|| id.to_hex());
    (text, hex)
}

fn request(
    capture: &Capture,
    row: &RequestRow,
    sampled: Sampled,
    held: &Held,
    names: &HashMap<ScopeSeq, RequestName>,
) -> Request {
    Request {
        name: request_name(row),
        complete: row.complete,
        start_seen: row.start_seen,
        start_ns: row.start_ns,
        times: row.states.into(),
        counts: Counts { polls: row.polls, wakes: row.wakes, wake_unseen: row.wake_unseen, longest_poll_ns: row.longest_poll_ns },
        scheduled_known: row.scheduled_known,
        kept_times: row.kept_times,
        sampled,
        scheduled_behind: held.behind.iter().map(|part| behind(capture, part, names)).collect(),
        scheduled_unrecorded_ns: held.unrecorded_ns,
        task: row.task_type.map(|index| task_ref(capture, row.task_id, index)),
        children: row.children.iter().map(|child| child_of(capture, child)).collect(),
        unfollowed: row.unfollowed,
        waits: Vec::new(),
        waits_unknown_ns: 0,
        critical_path: CriticalPath::default(),
    }
}

fn behind(capture: &Capture, part: &Behind, names: &HashMap<ScopeSeq, RequestName>) -> ScheduledBehind {
    let unknown = || TaskRef { id: part.longest_task, type_name: "[unknown type]".to_owned(), kind: TaskKind::Unknown };
    ScheduledBehind {
        task: part.task_type.map_or_else(unknown, |index| task_ref(capture, part.longest_task, index)),
        ns: part.ns,
        polls: part.polls,
        longest_ns: part.longest_ns,
        request: part.longest_request.and_then(|scope| names.get(&scope).cloned()),
    }
}

fn child_of(capture: &Capture, row: &ChildRow) -> Child {
    Child {
        task: task_ref(capture, row.task_id, row.task_type),
        parent_id: row.parent_task,
        start_ns: row.start_ns,
        complete: row.complete,
        spawn_seen: row.spawn_seen,
        critical_ns: 0,
        times: row.states.into(),
        counts: Counts { polls: row.polls, wakes: row.wakes, wake_unseen: row.wake_unseen, longest_poll_ns: row.longest_poll_ns },
        yielded: row.yielded,
        waits: Vec::new(),
        waits_unknown_ns: 0,
    }
}

fn live_task(capture: &Capture, row: &TaskRow, names: &HashMap<ScopeSeq, RequestName>) -> Task {
    Task {
        task: task_ref(capture, row.id, row.task_type),
        count: 1,
        finished: false,
        state: row.state_now,
        spawn_seen: row.spawn_seen,
        times: row.states.into(),
        counts: Counts { polls: row.polls, wakes: row.wakes, wake_unseen: row.wake_unseen, longest_poll_ns: row.longest_poll_ns },
        yielded: row.yielded,
        request: row.parent_request.and_then(|scope| names.get(&scope).cloned()),
    }
}

fn finished_tasks(capture: &Capture, row: &FinishedTypeRow) -> Task {
    Task {
        task: task_ref(capture, None, row.task_type),
        count: row.count,
        finished: true,
        state: None,
        spawn_seen: row.spawn_unseen == 0,
        times: row.states.into(),
        counts: Counts { polls: row.polls, wakes: row.wakes, wake_unseen: row.wake_unseen, longest_poll_ns: row.longest_poll_ns },
        yielded: row.yielded,
        request: None,
    }
}

pub(super) fn task_ref(capture: &Capture, id: Option<u64>, index: TypeIndex) -> TaskRef {
    let kind = capture.task_type(index).map_or(TaskKind::Unknown, |known| known.kind);
    TaskRef { id, type_name: capture.type_name(index), kind }
}
