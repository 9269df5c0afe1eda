//! What tasks wait for, like a thread dump: tasks that wait alike are one group with one await stack.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::grid::{Colours, Look, end, paint};
use crate::export::numbers::{ms, plural};
use crate::model::names::shortened;
use crate::model::snapshot::TASK_FRAME;
use crate::model::text::printable;
use crate::model::{NoStack, Snapshot, SnapshotFrame, SnapshotTask, State};

/// Columns of a type's name that are shown.
const TYPE_WIDTH: usize = 72;
/// Columns of a frame's name that are shown.
const NAME_WIDTH: usize = 72;
/// Tasks that a group names, the longest waiting first.
const EXAMPLES: usize = 5;
/// How many tasks deep a task that waits for a task that waits for a task is followed.
const CHAIN: usize = 8;

/// The groups, the longest waiting first, `top` of them at most, and what is not listed.
#[must_use]
pub fn awaits(snapshot: &Snapshot, top: Option<u64>, colours: Colours) -> String {
    let groups = groups(snapshot);
    let shown = top.map_or(groups.len(), |top| usize::try_from(top).unwrap_or(usize::MAX).min(groups.len()));
    let dump = Dump { snapshot, by_id: by_id(snapshot), colours };
    let mut text = format!("{}\n", total(snapshot));
    for group in groups.iter().take(shown) {
        text.push('\n');
        dump.group(&mut text, group);
    }
    let (left, tasks) = groups.iter().skip(shown).fold((0_u64, 0), |(left, tasks), group| (left + 1, tasks + group.tasks.len()));
    if left > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n... and {} more, of {}", plural(left, "group"), plural(tasks as u64, "task"));
    }
    if !snapshot.notes.is_empty() {
        text.push('\n');
    }
    for note in &snapshot.notes {
        let _ = writeln!(text, "{}", printable(note.as_bytes()));
    }
    text
}

/// `7 tasks: 1 running, 6 suspended`.
fn total(snapshot: &Snapshot) -> String {
    let count = plural(snapshot.tasks.len() as u64, "task");
    let states = states(snapshot.tasks.iter());
    if states.is_empty() { count } else { format!("{count}: {states}") }
}

fn states<'t>(tasks: impl Iterator<Item = &'t SnapshotTask>) -> String {
    let mut counts: BTreeMap<State, u64> = BTreeMap::new();
    tasks.for_each(|task| *counts.entry(task.state).or_default() += 1);
    let each: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
    each.join(", ")
}

/// What tasks of one group have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    task_type: u32,
    /// Of a task that is polled: how.
    polled: Option<State>,
    stack: Option<u32>,
    note: Option<NoStack>,
}

struct Group<'s> {
    key: Key,
    /// The longest waiting first.
    tasks: Vec<&'s SnapshotTask>,
}

/// By age: what was there before the attach is oldest.
fn age(snapshot: &Snapshot, task: &SnapshotTask) -> u64 {
    snapshot.age_ns(task).unwrap_or(u64::MAX)
}

fn groups(snapshot: &Snapshot) -> Vec<Group<'_>> {
    let mut groups: HashMap<Key, Vec<&SnapshotTask>> = HashMap::new();
    for task in &snapshot.tasks {
        let polled = (!matches!(task.state, State::Scheduled | State::Suspended)).then_some(task.state);
        let key = Key { task_type: task.task_type, polled, stack: task.stack, note: task.note };
        groups.entry(key).or_default().push(task);
    }
    let mut groups: Vec<Group<'_>> = groups.into_iter().map(|(key, tasks)| Group { key, tasks }).collect();
    for group in &mut groups {
        group.tasks.sort_by_key(|task| (Reverse(age(snapshot, task)), task.id));
    }
    groups.sort_by_key(|group| {
        (Reverse(group.tasks.first().map(|task| age(snapshot, task))), Reverse(group.tasks.len()), group.key)
    });
    groups
}

fn by_id(snapshot: &Snapshot) -> HashMap<u64, &SnapshotTask> {
    snapshot.tasks.iter().filter_map(|task| Some((task.id?, task))).collect()
}

struct Dump<'s> {
    snapshot: &'s Snapshot,
    by_id: HashMap<u64, &'s SnapshotTask>,
    colours: Colours,
}

impl Dump<'_> {
    fn group(&self, text: &mut String, group: &Group<'_>) {
        let Some(oldest) = group.tasks.first() else { return };
        let heading = format!(
            "{} {} ({})",
            plural(group.tasks.len() as u64, "task"),
            self.type_name(oldest),
            self.snapshot.type_of(oldest).map_or("unknown", |known| known.kind.name())
        );
        let _ = writeln!(text, "{}: {}", paint(&heading, Look::Heading, self.colours), self.since(group, oldest));
        let _ = writeln!(text, "  {}", examples(group));
        self.below(text, oldest, 1, &mut HashSet::new());
    }

    fn type_name(&self, task: &SnapshotTask) -> String {
        let name = self.snapshot.type_of(task).map_or("?", |known| &known.name);
        end(&printable(shortened(name).as_bytes()), TYPE_WIDTH)
    }

    /// `suspended, the longest for 12.000 ms`.
    fn since(&self, group: &Group<'_>, oldest: &SnapshotTask) -> String {
        let states = match &group.tasks[..] {
            [one] => one.state.name().to_owned(),
            several if several.iter().all(|task| task.state == oldest.state) => oldest.state.name().to_owned(),
            several => states(several.iter().copied()),
        };
        let longest = if group.tasks.len() == 1 { "" } else { "the longest " };
        match self.snapshot.age_ns(oldest) {
            Some(age_ns) => format!("{states}, {longest}for {}", ms(age_ns)),
            None => format!("{states}, {longest}since before the attach"),
        }
    }

    /// What a task waits for, and what that waits for. `passed` are the tasks on the way here.
    fn below(&self, text: &mut String, task: &SnapshotTask, level: usize, passed: &mut HashSet<u64>) {
        let indent = "  ".repeat(level);
        if let Some(note) = task.note {
            let _ = writeln!(text, "{indent}[{}]", note.meaning());
        }
        let Some(stack) = self.snapshot.stack_of(task) else { return };
        if stack.frames.is_empty() {
            let _ = writeln!(text, "{indent}[{}]", stack.cut.as_deref().unwrap_or("nothing is awaited"));
        }
        passed.extend(task.id);
        let width = stack.frames.iter().map(|frame| shown(frame).width() + 2 * depth(frame)).max().unwrap_or(0);
        let mut awaited = self.awaited_by_frame(task, &stack.frames);
        for (number, frame) in stack.frames.iter().enumerate() {
            let line = format!("{}{}", "  ".repeat(depth(frame)), shown(frame));
            let place = place(frame);
            let padding = if place.is_empty() { 0 } else { width.saturating_sub(line.width()) + 2 };
            let line = format!("{indent}{line}{}{}", " ".repeat(padding), paint(&place, Look::Faint, self.colours));
            let groups = awaited.remove(&number).unwrap_or_default();
            if groups.is_empty() {
                let _ = writeln!(text, "{line}");
            }
            for ids in groups {
                let listed: Vec<String> = ids.iter().map(u64::to_string).collect();
                let _ = writeln!(text, "{line} ({} {})", if ids.len() == 1 { "task" } else { "tasks" }, listed.join(", "));
                if let Some(id) = ids.first() {
                    self.awaited(text, *id, level + depth(frame) + 1, passed);
                }
            }
        }
        if task.awaited.more > 0 && !task.awaited.ids.is_empty() {
            let _ = writeln!(text, "{indent}[it waits for {} more]", plural(task.awaited.more, "task"));
        }
    }

    /// The tasks that a task waits for, by the frame of its stack that stands for them: one for each type. Those that wait alike are one group.
    fn awaited_by_frame(&self, task: &SnapshotTask, frames: &[SnapshotFrame]) -> HashMap<usize, Vec<Vec<u64>>> {
        let mut places: HashMap<usize, Vec<Vec<u64>>> = HashMap::new();
        let tasks = || frames.iter().enumerate().filter(|(_, frame)| frame.kind == TASK_FRAME);
        let stack = |id: &u64| self.by_id.get(id).map(|task| (task.stack, task.state));
        for id in &task.awaited.ids {
            let name = self.by_id.get(id).and_then(|task| self.snapshot.type_of(task)).map(|known| &known.name);
            // One that is not listed, or whose type its frame does not tell, stands at the first.
            let place = tasks().find(|(_, frame)| Some(&frame.name) == name).or_else(|| tasks().next());
            let Some((place, _)) = place else { continue };
            let groups = places.entry(place).or_default();
            match groups.iter_mut().find(|group| group.first().map(stack) == Some(stack(id))) {
                Some(group) => group.push(*id),
                None => groups.push(vec![*id]),
            }
        }
        places
    }

    /// The stack of a task that another one waits for.
    fn awaited(&self, text: &mut String, id: u64, level: usize, passed: &mut HashSet<u64>) {
        let indent = "  ".repeat(level);
        let Some(task) = self.by_id.get(&id) else {
            let _ = writeln!(text, "{indent}[it has ended, or is not listed]");
            return;
        };
        if passed.contains(&id) || passed.len() >= CHAIN {
            let _ = writeln!(text, "{indent}[and so on]");
            return;
        }
        if task.stack.is_none() && task.note.is_none() {
            let _ = writeln!(text, "{indent}[{}]", task.state.name());
        }
        self.below(text, task, level, passed);
    }
}

fn depth(frame: &SnapshotFrame) -> usize {
    usize::try_from(frame.depth).unwrap_or(usize::MAX).min(64)
}

fn shown(frame: &SnapshotFrame) -> String {
    let name = end(&printable(shortened(&without_blocks(&frame.name)).as_bytes()), NAME_WIDTH);
    match frame.kind.as_str() {
        "cut" => format!("[{name}]"),
        TASK_FRAME => format!("task {name}"),
        _ => name,
    }
}

/// Without the compiler's word for an `impl` block, `{impl#0}`: which one it is nobody can tell.
fn without_blocks(name: &str) -> String {
    let mut parts = name.split("::{impl#");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| shown + part.split_once('}').map_or(part, |(_, rest)| rest))
}

/// The last folder and the file, which is what tells one `mod.rs` from another, and the line.
fn place(frame: &SnapshotFrame) -> String {
    let (Some(file), Some(line)) = (&frame.file, frame.line) else { return String::new() };
    let mut parts = file.rsplitn(3, '/');
    let (name, folder) = (parts.next().unwrap_or_default(), parts.next());
    let short = folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"));
    format!("{}:{line}", printable(short.as_bytes()))
}

fn examples(group: &Group<'_>) -> String {
    let named: Vec<String> = group
        .tasks
        .iter()
        .take(EXAMPLES)
        .map(|task| {
            let id = task.id.map_or_else(|| "of unknown id".to_owned(), |id| id.to_string());
            match &task.request {
                Some(request) => format!("{id} of request {}", request.shown()),
                None => id,
            }
        })
        .collect();
    let more = if group.tasks.len() > EXAMPLES { ", ..." } else { "" };
    format!("{} {}{more}", if group.tasks.len() == 1 { "task" } else { "tasks" }, named.join(", "))
}

#[cfg(test)]
mod tests;
