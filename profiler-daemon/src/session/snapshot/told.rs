//! From what was read to what is told: names, states, and a sentence for everything that is not there.

use std::collections::HashMap;

use profiler_common::awaits::AwaitStack;
use profiler_common::task::{self, state_word};

use super::Known;
use super::lists::Owned;
use super::passes::{All, Outcome, Told};
use super::walks::{Reading, Seen, Stacks};
use crate::collect::{Doing, LiveTask};
use crate::model::{AwaitSource, AwaitedTasks, NoStack, Snapshot, SnapshotStack, SnapshotTask, SnapshotType, State, TaskKind};

/// Puts a snapshot together.
pub(super) fn snapshot(known: &Known, owned: &Owned, all: &All, stacks: Stacks, at_ns: u64) -> Snapshot {
    let mut told = Telling { known, stacks: Kept::new(known, stacks) };
    let tasks = all.tasks.iter().filter_map(|task| told.task(task)).collect();
    let stacks = told.stacks.stacks;
    let types = known.types.iter().map(|of| SnapshotType { name: of.name.clone(), kind: of.kind }).collect();
    // Stacks of stored wakers are not read here.
    let source = if known.table.is_some() { AwaitSource::Layouts } else { AwaitSource::None };
    Snapshot { at_ns, source, types, stacks, tasks, notes: notes(known, owned, all) }
}

/// Stacks that tasks really have, each once by what it reads as: of a reading that was thrown away the stack is, too, and two states of a
/// coroutine may be on one line.
struct Kept<'k> {
    all: Vec<AwaitStack>,
    known: &'k Known,
    /// Places of those that have been shown, by their places among all.
    shown: HashMap<u32, u32>,
    places: HashMap<SnapshotStack, u32>,
    stacks: Vec<SnapshotStack>,
}

impl<'k> Kept<'k> {
    fn new(known: &'k Known, stacks: Stacks) -> Self {
        Self { all: stacks.into_all(), known, shown: HashMap::new(), places: HashMap::new(), stacks: Vec::new() }
    }

    fn place(&mut self, of: u32) -> Option<u32> {
        if let Some(place) = self.shown.get(&of) {
            return Some(*place);
        }
        let kept = usize::try_from(of).ok().and_then(|place| self.all.get(place))?;
        let stack = SnapshotStack::new(&self.known.names.stack(kept), &self.known.types);
        let next = u32::try_from(self.stacks.len()).ok()?;
        let place = *self.places.entry(stack.clone()).or_insert(next);
        if place == next {
            self.stacks.push(stack);
        }
        self.shown.insert(of, place);
        Some(place)
    }
}

struct Telling<'t> {
    known: &'t Known,
    stacks: Kept<'t>,
}

impl Telling<'_> {
    /// `None`: nothing is known of it, not even its type.
    fn task(&mut self, told: &Told) -> Option<SnapshotTask> {
        let reading = match told.outcome {
            Outcome::Read(reading) => Some(reading),
            _ => None,
        };
        let row = told.row.as_ref();
        let task_type = row.map(|live| live.row.task_type).or(reading.map(|reading| reading.task_type))?;
        let row_id = row.map(|live| live.row.id).filter(|id| self.known.has_ids && *id != 0);
        let state = state(row, reading.as_ref())?;
        let waits = matches!(state, State::Scheduled | State::Suspended);
        let (stack, awaited, note) =
            if waits { self.stack(task_type, told.outcome) } else { (None, AwaitedTasks::default(), None) };
        let carried = self.known.carried.get(&told.header);
        let request = carried.or(row.map(|live| &live.row.request)).and_then(|scope| self.known.requests.get(scope));
        Some(SnapshotTask {
            id: row_id.or(reading.and_then(|reading| reading.id)),
            task_type,
            state,
            since_ns: row.map(|live| live.since_ns),
            request: request.cloned(),
            spawn_seen: row.is_some_and(|live| live.row.flags & task::SPAWN_SEEN != 0),
            stack,
            awaited,
            note,
        })
    }

    fn stack(&mut self, task_type: u32, outcome: Outcome) -> (Option<u32>, AwaitedTasks, Option<NoStack>) {
        let kind = usize::try_from(task_type).ok().and_then(|place| self.known.types.get(place)).map(|of| of.kind);
        let none = |why| (None, AwaitedTasks::default(), Some(why));
        match outcome {
            _ if kind == Some(TaskKind::Blocking) => none(NoStack::NoFuture),
            Outcome::Read(Reading { seen: Seen::Waiting { stack: Some(stack), awaited }, .. }) if self.known.table.is_some() => {
                let awaited = AwaitedTasks { ids: awaited.numbers().to_vec(), more: awaited.more };
                (self.stacks.place(stack), awaited, None)
            }
            Outcome::Read(Reading { seen: Seen::Waiting { .. }, .. }) if self.known.table.is_none() => none(NoStack::NoLayouts),
            Outcome::Read(Reading { seen: Seen::Waiting { .. }, .. }) => none(NoStack::TooManyStacks),
            Outcome::Unreadable => none(NoStack::Unreadable),
            Outcome::Late => none(NoStack::Late),
            Outcome::Changing | Outcome::Polled | Outcome::Read(_) => none(NoStack::Changing),
        }
    }
}

/// What a task does: by its row, which is of the same moment as what was read, or else by its state word.
fn state(row: Option<&LiveTask>, reading: Option<&Reading>) -> Option<State> {
    Some(match (row.map(|live| live.doing), reading) {
        (Some(Doing::Running), _) => State::Running,
        (Some(Doing::Preempted), _) => State::Preempted,
        (Some(Doing::Blocked), _) => State::Blocked,
        (Some(Doing::Scheduled), _) => State::Scheduled,
        (None, Some(reading)) if reading.seen == Seen::Running => State::Running,
        (None, Some(reading)) if reading.state & state_word::NOTIFIED != 0 => State::Scheduled,
        (Some(Doing::Suspended), _) | (None, Some(_)) => State::Suspended,
        (None, None) => return None,
    })
}

fn notes(known: &Known, owned: &Owned, all: &All) -> Vec<String> {
    let mut notes = Vec::new();
    let mut say = |is_so: bool, sentence: String| notes.extend(is_so.then_some(sentence));
    let nothing = all.tasks.iter().filter(|task| task.row.is_none() && !matches!(task.outcome, Outcome::Read(_))).count();
    let older = all.tasks.iter().filter(|task| task.row.is_none()).count();
    let why = known.no_awaits.as_deref().unwrap_or("this daemon was started without them");
    say(known.table.is_none(), format!("there are no await stacks: {why}"));
    match &known.program.lists {
        Err(why) => say(true, format!("tasks that were not polled since the attach are not listed: {why}")),
        Ok(_) => say(
            true,
            format!(
                "{} seen; {older} tasks are older than the attach; tasks of a runtime, and of a LocalSet, of which none was polled since \
                 the attach are not listed",
                if owned.runtimes.len() == 1 { "1 runtime".to_owned() } else { format!("{} runtimes", owned.runtimes.len()) },
            ),
        ),
    }
    say(owned.runtimes_left_out > 0, format!("the tasks of {} more runtimes are not listed", owned.runtimes_left_out));
    say(
        owned.lists_cut > 0,
        format!(
            "{} of the runtimes' task lists changed too often to be read to their end; about {} tasks are not listed",
            owned.lists_cut, owned.tasks_missing
        ),
    );
    say(nothing > 0, format!("{nothing} tasks older than the attach could not be read and are not listed"));
    say(all.gone > 0, format!("{} tasks ended while they were looked for", all.gone));
    for why in [NoStack::Changing, NoStack::Unreadable, NoStack::Late] {
        let count = all.tasks.iter().filter(|task| no_stack(task.outcome) == Some(why)).count();
        say(count > 0, format!("{count} tasks are without a stack: {}", why.meaning()));
    }
    notes
}

const fn no_stack(outcome: Outcome) -> Option<NoStack> {
    match outcome {
        Outcome::Changing => Some(NoStack::Changing),
        Outcome::Unreadable => Some(NoStack::Unreadable),
        Outcome::Late => Some(NoStack::Late),
        Outcome::Polled | Outcome::Read(_) => None,
    }
}
