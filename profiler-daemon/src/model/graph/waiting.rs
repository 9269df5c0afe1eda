//! Time between polls as a graph has it: on the functions that wait, and what held the workers.

use super::methods::Methods;
use super::towers::{Tower, task_text};
use crate::model::capture::{AwaitSource, Capture};
use crate::model::held::Held;
use crate::model::stacks::{Aligned, FrameKind, FrameName};
use crate::model::states::State;
use crate::model::waits::{Keep, NamedStack, Part, Reading, Stacks, addresses};

/// A stack of time between polls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Code that it stands on, leaf first: of a stack that a waker was stored in.
    pub(super) addresses: Vec<u64>,
    /// Whether that code is not all there is.
    pub(super) truncated: bool,
    /// Frames on top of it, root first.
    pub(super) frames: Vec<FrameName>,
    /// Suspended, or scheduled.
    pub(super) state: State,
    /// How many waits it is. 0: not known.
    pub(super) count: u64,
    /// Its time.
    pub(super) ns: u64,
}

impl Waiting {
    /// Without code, and not counted.
    const fn of(state: State, frames: Vec<FrameName>, ns: u64) -> Self {
        Self { addresses: Vec::new(), truncated: false, frames, state, count: 0, ns }
    }
}

/// All of a tower's time between polls, to the nanosecond.
pub(super) fn waiting(capture: &Capture, tower: &Tower<'_>, stacks: &Stacks, keep: Keep) -> Vec<Waiting> {
    let mut lines = scheduled(capture, tower);
    lines.extend(tower.waits.parts.iter().map(|part| suspended(capture, part, stacks, keep)));
    let frames = vec![FrameName::state(State::Suspended)];
    lines.push(Waiting::of(State::Suspended, frames, tower.waits.suspended_rest_ns));
    lines.extend(tower.unknown.iter().map(|(why, ns)| {
        let frame = FrameName::new(FrameKind::Unseen, &format!("[{}]", why.meaning()));
        Waiting::of(State::Suspended, vec![frame], *ns)
    }));
    lines
}

/// What stacks of code are cut to, as far as layouts tell what a tower awaited. `None`: they stay as they are.
pub(super) fn aligned(tower: &Tower<'_>, stacks: &Stacks, keep: Keep, methods: &Methods) -> Option<Aligned> {
    if keep == Keep::Raw {
        return None;
    }
    let mut aligned = Aligned::default();
    for part in &tower.waits.parts {
        if let Some(stack) = stacks.get(part.stack).filter(|stack| stack.source == AwaitSource::Layouts) {
            let steps: Vec<String> = reading(stack, keep).path.iter().map(|frame| frame.step()).collect();
            aligned.learn(steps.iter().map(|step| methods.name(step)));
        }
    }
    (!aligned.is_empty()).then_some(aligned)
}

fn reading(stack: &NamedStack, keep: Keep) -> Reading<'_> {
    Reading::of(&stack.frames, stack.cut, keep)
}

/// A wait stands on the functions that lead to it; which of several futures ended it is a frame of its own.
fn suspended(capture: &Capture, part: &Part, stacks: &Stacks, keep: Keep) -> Waiting {
    let found = stacks.get(part.stack).zip(usize::try_from(part.stack.0).ok().and_then(|at| capture.await_stacks.get(at)));
    let frames = vec![FrameName::state(State::Suspended)];
    let line = Waiting { count: part.count, ..Waiting::of(State::Suspended, frames, part.suspended_ns) };
    let leaf = |text: &str| FrameName::new(FrameKind::State(State::Suspended), text);
    match found {
        Some((named, stack)) if named.source == AwaitSource::Wakers => Waiting {
            addresses: addresses(stack),
            truncated: stack.cut.is_some(),
            frames: vec![leaf("[await, last waker stored here]")],
            ..line
        },
        Some((named, _)) => {
            let reading = reading(named, keep);
            let steps = reading.path.iter().map(|frame| FrameName::new(FrameKind::Code, &frame.step()));
            let woken = part.woken_by.as_deref().map(|name| leaf(&format!("woken by {}", reading.short_branch(name))));
            Waiting { frames: steps.chain([leaf(&reading.text())]).chain(woken).collect(), ..line }
        }
        None => line,
    }
}

/// What held the workers while the tower's task was ready.
fn scheduled(capture: &Capture, tower: &Tower<'_>) -> Vec<Waiting> {
    let scheduled = FrameName::state(State::Scheduled);
    let line = |frames, ns| Waiting::of(State::Scheduled, frames, ns);
    let Held { behind, unrecorded_ns } = &tower.behind;
    let mut lines: Vec<Waiting> = behind
        .iter()
        .map(|part| {
            let task = part.task_type.map_or_else(|| "a task of unknown type".to_owned(), |index| task_text(capture, index));
            line(vec![scheduled.clone(), FrameName::new(FrameKind::Task, &format!("behind {task}"))], part.ns)
        })
        .collect();
    lines.push(line(vec![scheduled.clone(), FrameName::new(FrameKind::Unseen, "[no recorded poll]")], *unrecorded_ns));
    lines.push(line(vec![scheduled], tower.states.scheduled_ns.saturating_sub(tower.behind.ns())));
    lines
}
