//! A request's awaits on tasks that it spawned, opened: those tasks' time on the frames that await them, in place of `suspended`.

use super::towers::{Seen as Stacks, Taken};
use super::towers::{Tower, task_text};
use crate::model::capture::{AwaitIndex, Capture, RequestRow};
use crate::model::family::{Chain, Node, Path, Seen, Step, Unknown, What, path};
use crate::model::stacks::{FrameKind, FrameName};
use crate::model::states::{State, States};
use crate::model::waits::{Accounted, Keep, Part, Reading, Stacks as AwaitStacks};

/// The towers of the tasks on the request's critical path; their time is taken out of `own`, the request's tower, so that all of them together
/// are as wide as it was. None where waits were cut to fit into the request's states: what is left would not add up.
pub(super) fn opened<'c>(
    own: &mut Tower<'c>,
    (capture, seen, awaits, keep): (&'c Capture, &Seen<'c>, &AwaitStacks, Keep),
    row: &RequestRow,
    taken: impl Fn(u64) -> Vec<Taken<'c>>,
) -> Vec<Tower<'c>> {
    let nodes = seen.nodes(row);
    let found = path(&nodes);
    if found.chains.len() < 2 {
        return Vec::new();
    }
    let mut left = own.waits.clone();
    let mut moved_ns = 0_u64;
    for step in &found.steps {
        if let Some(chain) = outermost(&found, step.chain) {
            if !take(&mut left, chain.stack.and_then(|index| awaits.first_of(index)), step.ns()) {
                return Vec::new();
            }
            moved_ns = moved_ns.saturating_add(step.ns());
        }
    }
    let Some(suspended_ns) = own.states.suspended_ns.checked_sub(moved_ns) else { return Vec::new() };
    own.states.suspended_ns = suspended_ns;
    own.waits = left;
    let mut steps: Vec<Vec<&Step>> = vec![Vec::new(); found.chains.len()];
    for step in &found.steps {
        if let Some(list) = steps.get_mut(step.chain) {
            list.push(step);
        }
    }
    let chains = found.chains.iter().zip(&steps).skip(1).filter(|(_, steps)| !steps.is_empty());
    chains
        .filter_map(|(chain, steps)| {
            let node = nodes.get(chain.node)?;
            let frames = under(capture, &found, &nodes, (awaits, keep), chain);
            Some(tower(own, node, steps, awaits, (frames, node.task_id.map(&taken).unwrap_or_default())))
        })
        .collect()
}

/// The link of a chain in which the request itself waits. `None`: the chain is the request.
fn outermost(path: &Path, chain: usize) -> Option<&Chain> {
    let mut at = path.chains.get(chain)?;
    loop {
        match at.parent? {
            0 => return Some(at),
            parent => at = path.chains.get(parent)?,
        }
    }
}

/// Takes suspended time out of the waits in one stack. False: there is not as much.
fn take(from: &mut Accounted, stack: Option<AwaitIndex>, mut ns: u64) -> bool {
    for part in from.parts.iter_mut().filter(|part| Some(part.stack) == stack) {
        let some = part.suspended_ns.min(ns);
        part.suspended_ns = part.suspended_ns.saturating_sub(some);
        ns = ns.saturating_sub(some);
    }
    let some = if stack.is_none() { from.suspended_rest_ns.min(ns) } else { 0 };
    from.suspended_rest_ns = from.suspended_rest_ns.saturating_sub(some);
    ns == some
}

/// The frames that a chain's member stands on: of each that waits for the next the functions that await, and the task.
fn under(capture: &Capture, path: &Path, nodes: &[Node], (awaits, keep): (&AwaitStacks, Keep), chain: &Chain) -> Vec<FrameName> {
    let mut hops = Vec::new();
    let mut at = Some(chain);
    while let Some(one) = at.filter(|one| one.parent.is_some()) {
        hops.push(one);
        at = one.parent.and_then(|parent| path.chains.get(parent));
    }
    let mut frames = Vec::new();
    for hop in hops.into_iter().rev() {
        match hop.stack.and_then(|stack| awaits.get(stack)) {
            Some(named) => {
                let reading = Reading::of(&named.frames, named.cut, keep);
                frames.extend(reading.path.iter().map(|frame| FrameName::new(FrameKind::Code, &frame.step())));
                frames.push(FrameName::new(FrameKind::State(State::Suspended), &reading.text()));
            }
            None => frames.push(FrameName::state(State::Suspended)),
        }
        let index = nodes.get(hop.node).and_then(|node| node.task_type);
        let text = index.map_or_else(|| "[no task]".to_owned(), |index| task_text(capture, index));
        frames.push(FrameName::new(FrameKind::Task, &text));
    }
    frames
}

/// What one member did in these steps, as a tower of its own.
fn tower<'c>(
    own: &Tower<'c>,
    node: &Node,
    steps: &[&Step],
    awaits: &AwaitStacks,
    (under, taken): (Vec<FrameName>, Vec<Taken<'c>>),
) -> Tower<'c> {
    let mut tower = Tower { roots: own.roots.clone(), under, owner: own.owner.clone(), ..Tower::default() };
    tower.owner.task_type = node.task_type;
    tower.owner.task_id = node.task_id;
    for step in steps {
        match step.what {
            What::In(state) => add(&mut tower.states, state, step.ns()),
            What::Await(stack) => {
                add(&mut tower.states, State::Suspended, step.ns());
                wait(&mut tower.waits, stack.and_then(|index| awaits.first_of(index)), step.ns());
            }
            What::Unknown(why) => {
                add(&mut tower.states, State::Suspended, step.ns());
                unknown(&mut tower.unknown, why, step.ns());
            }
        }
    }
    let on_path = |taken: &Taken<'_>| {
        let at = taken.at_ns();
        let next = steps.partition_point(|step| step.end_ns <= at);
        steps.get(next).is_some_and(|step| step.start_ns <= at)
    };
    tower.seen = taken.into_iter().filter(on_path).collect::<Stacks<'c>>();
    tower
}

fn add(states: &mut States, state: State, ns: u64) {
    let mut more = States::default();
    match state {
        State::Running => more.running_ns = ns,
        State::Preempted => more.preempted_ns = ns,
        State::Blocked => more.blocked_ns = ns,
        State::Scheduled => more.scheduled_ns = ns,
        State::Suspended => more.suspended_ns = ns,
    }
    states.add(&more);
}

fn wait(waits: &mut Accounted, stack: Option<AwaitIndex>, ns: u64) {
    let Some(stack) = stack else {
        waits.suspended_rest_ns = waits.suspended_rest_ns.saturating_add(ns);
        return;
    };
    match waits.parts.iter_mut().find(|part| part.stack == stack) {
        Some(part) => {
            part.count = part.count.saturating_add(1);
            part.suspended_ns = part.suspended_ns.saturating_add(ns);
            part.longest_ns = part.longest_ns.max(ns);
        }
        None => waits.parts.push(Part { stack, woken_by: None, count: 1, suspended_ns: ns, scheduled_ns: 0, longest_ns: ns }),
    }
}

fn unknown(all: &mut Vec<(Unknown, u64)>, why: Unknown, ns: u64) {
    match all.iter_mut().find(|(other, _)| *other == why) {
        Some((_, sum)) => *sum = sum.saturating_add(ns),
        None => all.push((why, ns)),
    }
}
