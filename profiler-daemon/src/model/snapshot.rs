//! Every live task at one moment: what it does, since when, and through which futures it waits. A thread dump, of tasks.
//!
//! This is also what the control socket carries. Types and stacks are written once each, because a hundred thousand tasks wait in a few
//! dozen ways.

use serde::{Deserialize, Serialize};

use super::capture::{AwaitFrame, AwaitFrameKind, AwaitSource, AwaitStack, TaskKind, TaskType, TypeIndex};
use super::names::as_written;
use super::report::RequestName;
use super::states::State;

/// All tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken (ns, `CLOCK_MONOTONIC`).
    pub at_ns: u64,
    /// Where its await stacks come from.
    pub source: AwaitSource,
    /// Types of tasks; those that no task has are among them.
    pub types: Vec<SnapshotType>,
    /// Await stacks, each once.
    pub stacks: Vec<SnapshotStack>,
    /// The tasks, in no order.
    pub tasks: Vec<SnapshotTask>,
    /// What is not listed, or could not be told: a sentence each.
    pub notes: Vec<String>,
}

/// A type of task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotType {
    /// Its future's type.
    pub name: String,
    /// How it is run.
    pub kind: TaskKind,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTask {
    /// Tokio's task id. `None`: this version has none.
    pub id: Option<u64>,
    /// Place in [`Snapshot::types`].
    #[serde(rename = "type")]
    pub task_type: u32,
    /// What it does.
    pub state: State,
    /// Since when (ns, on the clock of [`Snapshot::at_ns`]). `None`: since before the attach.
    pub since_ns: Option<u64>,
    /// The request that it serves, or that spawned it.
    pub request: Option<RequestName>,
    /// Whether its spawn was seen.
    pub spawn_seen: bool,
    /// Place in [`Snapshot::stacks`] of what it waits for. `None`: it is being polled, or `note` says why.
    pub stack: Option<u32>,
    /// The tasks that it waits for.
    #[serde(default, skip_serializing_if = "AwaitedTasks::is_empty")]
    pub awaited: AwaitedTasks,
    /// Why there is no stack of a task that waits.
    pub note: Option<NoStack>,
}

/// The tasks that a task waits for, by `JoinHandle`s or in a `JoinSet`, in the order in which its await stack comes to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedTasks {
    /// Ids of the first few.
    pub ids: Vec<u64>,
    /// How many there are beyond those.
    pub more: u64,
}

impl AwaitedTasks {
    /// Whether it waits for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.more == 0
    }
}

/// Why a task that waits is without an await stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoStack {
    /// It was polled again at every try to read it.
    Changing,
    /// Its memory could not be read.
    Unreadable,
    /// There was no time to read it.
    Late,
    /// The program's debug information does not describe futures.
    NoLayouts,
    /// It runs no future (`spawn_blocking`).
    NoFuture,
    /// More different stacks than are kept.
    TooManyStacks,
}

impl NoStack {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changing => "changing",
            Self::Unreadable => "unreadable",
            Self::Late => "late",
            Self::NoLayouts => "no_layouts",
            Self::NoFuture => "no_future",
            Self::TooManyStacks => "too_many_stacks",
        }
    }

    /// For people: what stands where the stack would.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Changing => "it was polled again at every try to read its stack",
            Self::Unreadable => "its memory could not be read",
            Self::Late => "there was no time left to read its stack",
            Self::NoLayouts => "the program's debug information does not describe its futures",
            Self::NoFuture => "it runs a closure, no future",
            Self::TooManyStacks => "more different stacks than are kept",
        }
    }
}

/// An await stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotStack {
    /// Outermost first; a frame lies in the nearest one before it whose depth is smaller.
    pub frames: Vec<SnapshotFrame>,
    /// Why it is not whole, a name of [`profiler_common::awaits::AwaitEnd`].
    pub cut: Option<String>,
}

/// A frame of an await stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotFrame {
    /// How many frames it lies in.
    pub depth: u32,
    /// Its name, as it was written.
    pub name: String,
    /// What it is: a name of [`AwaitFrameKind`].
    pub kind: String,
    /// The source file of its `.await`.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

impl SnapshotStack {
    /// The stack; `types` are the types of tasks by their places.
    #[must_use]
    pub fn new(stack: &AwaitStack, types: &[TaskType]) -> Self {
        let frames = stack.frames.iter().map(|frame| SnapshotFrame::new(frame, types)).collect();
        Self { frames, cut: stack.cut.map(str::to_owned) }
    }
}

impl SnapshotFrame {
    fn new(frame: &AwaitFrame, types: &[TaskType]) -> Self {
        let (file, line) = frame.place.clone().unzip();
        let awaited = match frame.kind {
            AwaitFrameKind::Task(Some(TypeIndex(place))) => usize::try_from(place).ok().and_then(|place| types.get(place)),
            _ => None,
        };
        let name = awaited.map_or_else(|| as_written(&frame.name), |known| known.name.clone());
        Self { depth: frame.depth, name, kind: kind_name(frame.kind).to_owned(), file, line }
    }
}

/// The kind of a frame of another task, as [`SnapshotFrame::kind`] has it.
pub const TASK_FRAME: &str = "task";

const fn kind_name(kind: AwaitFrameKind) -> &'static str {
    match kind {
        AwaitFrameKind::AsyncFn => "async_fn",
        AwaitFrameKind::AsyncBlock => "async_block",
        AwaitFrameKind::AsyncClosure => "async_closure",
        AwaitFrameKind::Future => "future",
        AwaitFrameKind::Join => "join",
        AwaitFrameKind::Select => "select",
        AwaitFrameKind::Task(_) => TASK_FRAME,
        AwaitFrameKind::UnknownDyn => "unknown_dyn",
        AwaitFrameKind::Cut => "cut",
        AwaitFrameKind::Code(_) => "code",
    }
}

/// A task with all that is known of it in one object: the form of `tasks --awaits --format json`.
#[derive(Debug, Serialize)]
struct Told<'s> {
    id: Option<u64>,
    #[serde(rename = "type")]
    type_name: &'s str,
    kind: &'s str,
    state: State,
    since_ns: Option<u64>,
    age_ns: Option<u64>,
    request: Option<&'s RequestName>,
    spawn_seen: bool,
    #[serde(rename = "await")]
    awaits: Option<ToldAwait<'s>>,
    note: Option<NoStack>,
}

#[derive(Debug, Serialize)]
struct ToldAwait<'s> {
    stack: &'s [SnapshotFrame],
    cut: Option<&'s str>,
    /// The first of them.
    awaited_task: Option<u64>,
    awaited_tasks: &'s [u64],
    awaited_more: u64,
}

impl Snapshot {
    /// The type of a task.
    #[must_use]
    pub fn type_of(&self, task: &SnapshotTask) -> Option<&SnapshotType> {
        usize::try_from(task.task_type).ok().and_then(|place| self.types.get(place))
    }

    /// The await stack of a task.
    #[must_use]
    pub fn stack_of(&self, task: &SnapshotTask) -> Option<&SnapshotStack> {
        usize::try_from(task.stack?).ok().and_then(|place| self.stacks.get(place))
    }

    /// For how long the task has been in its state (ns).
    #[must_use]
    pub fn age_ns(&self, task: &SnapshotTask) -> Option<u64> {
        task.since_ns.map(|since_ns| self.at_ns.saturating_sub(since_ns))
    }

    /// Writes JSON for programs: `{"at_ns":..,"source":..,"tasks":[..],"notes":[..]}`, each task with its whole await stack. Written as it goes,
    /// because it is many times as long as this.
    pub fn write_json(&self, to: &mut dyn std::io::Write) -> std::io::Result<()> {
        write!(to, "{{\"at_ns\":{},\"source\":", self.at_ns)?;
        serde_json::to_writer(&mut *to, &self.source)?;
        to.write_all(b",\"tasks\":[")?;
        for (place, task) in self.tasks.iter().enumerate() {
            to.write_all(if place == 0 { b"" } else { b"," })?;
            serde_json::to_writer(&mut *to, &self.told(task))?;
        }
        to.write_all(b"],\"notes\":")?;
        serde_json::to_writer(&mut *to, &self.notes)?;
        to.write_all(b"}\n")
    }

    fn told<'s>(&'s self, task: &'s SnapshotTask) -> Told<'s> {
        let known = self.type_of(task);
        Told {
            id: task.id,
            type_name: known.map_or("?", |known| &known.name),
            kind: known.map_or(TaskKind::Unknown, |known| known.kind).name(),
            state: task.state,
            since_ns: task.since_ns,
            age_ns: self.age_ns(task),
            request: task.request.as_ref(),
            spawn_seen: task.spawn_seen,
            awaits: self.stack_of(task).map(|stack| ToldAwait {
                stack: &stack.frames,
                cut: stack.cut.as_deref(),
                awaited_task: task.awaited.ids.first().copied(),
                awaited_tasks: &task.awaited.ids,
                awaited_more: task.awaited.more,
            }),
            note: task.note,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> AwaitStack {
        let frame = |depth, name: &str, kind, place: Option<(&str, u32)>| AwaitFrame {
            depth,
            name: name.to_owned(),
            kind,
            place: place.map(|(file, line)| (file.to_owned(), line)),
            begins: None,
        };
        AwaitStack {
            frames: vec![
                frame(0, "orders::load::{async_fn#0}", AwaitFrameKind::AsyncFn, Some(("src/orders.rs", 41))),
                frame(1, "tokio::runtime::task::join::JoinHandle<u64>", AwaitFrameKind::Task(Some(TypeIndex(1))), None),
                frame(1, "tokio::runtime::task::join::JoinHandle<u64>", AwaitFrameKind::Task(None), None),
            ],
            cut: Some("bad_tag"),
            ..AwaitStack::default()
        }
    }

    /// Check that a task reads whole in JSON, with names as they were written, and that what goes over the socket comes back.
    #[test]
    fn a_task_reads_whole() {
        let types = ["orders::handle", "orders::child"].map(|name| TaskType { name: name.to_owned(), kind: TaskKind::Spawned });
        let task = SnapshotTask {
            id: Some(17),
            task_type: 0,
            state: State::Suspended,
            since_ns: Some(40),
            request: None,
            spawn_seen: true,
            stack: Some(0),
            awaited: AwaitedTasks { ids: vec![18, 19], more: 3 },
            note: None,
        };
        let older = SnapshotTask { since_ns: None, stack: None, note: Some(NoStack::Changing), ..task.clone() };
        let snapshot = Snapshot {
            at_ns: 100,
            source: AwaitSource::Layouts,
            types: types.iter().map(|of| SnapshotType { name: of.name.clone(), kind: of.kind }).collect(),
            stacks: vec![SnapshotStack::new(&stack(), &types)],
            tasks: vec![task, older],
            notes: vec!["1 runtime seen".to_owned()],
        };
        let again: Snapshot = serde_json::from_slice(&serde_json::to_vec(&snapshot).unwrap()).unwrap();
        assert_eq!(again, snapshot);
        let mut json = Vec::new();
        snapshot.write_json(&mut json).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected = serde_json::json!({
            "at_ns": 100,
            "source": "layouts",
            "tasks": [
                {
                    "id": 17, "type": "orders::handle", "kind": "spawned", "state": "suspended", "since_ns": 40, "age_ns": 60,
                    "request": null, "spawn_seen": true, "note": null,
                    "await": {
                        "stack": [
                            {"depth": 0, "name": "orders::load", "kind": "async_fn", "file": "src/orders.rs", "line": 41},
                            {"depth": 1, "name": "orders::child", "kind": "task", "file": null, "line": null},
                            {"depth": 1, "name": "tokio::runtime::task::join::JoinHandle<u64>", "kind": "task", "file": null, "line": null},
                        ],
                        "cut": "bad_tag", "awaited_task": 18, "awaited_tasks": [18, 19], "awaited_more": 3,
                    },
                },
                {
                    "id": 17, "type": "orders::handle", "kind": "spawned", "state": "suspended", "since_ns": null, "age_ns": null,
                    "request": null, "spawn_seen": true, "note": "changing", "await": null,
                },
            ],
            "notes": ["1 runtime seen"],
        });
        assert_eq!(told, expected);
    }

    /// Check that a snapshot whose places lead nowhere is told without them.
    #[test]
    fn places_that_lead_nowhere() {
        let task = SnapshotTask {
            id: None,
            task_type: 9,
            state: State::Running,
            since_ns: Some(u64::MAX),
            request: None,
            spawn_seen: false,
            stack: Some(9),
            awaited: AwaitedTasks::default(),
            note: None,
        };
        let mut json = Vec::new();
        Snapshot { tasks: vec![task], ..Snapshot::default() }.write_json(&mut json).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let task = &told["tasks"][0];
        assert_eq!((&task["type"], &task["await"], &task["age_ns"]), (&"?".into(), &serde_json::Value::Null, &0.into()));
    }
}
