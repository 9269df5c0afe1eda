//! Where suspended tasks waited: await stacks, and the time spent in each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ScopeSeq, TypeIndex};

/// Index into [`super::Capture::await_stacks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AwaitIndex(pub u32);

/// Where await stacks come from in this target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwaitSource {
    /// Layouts of futures in the debug information: exact.
    Layouts,
    /// The stack at the last moment when a leaf stored its waker: what it waits for, unless it stored none for this wait.
    Wakers,
    /// Nowhere: a suspended task is known by its type alone.
    #[default]
    None,
}

/// A future, and what it waits for: frames in pre-order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AwaitStack {
    /// Outermost first; a frame lies in the nearest one before it whose depth is smaller. A chain, unless several futures are awaited at
    /// once. Of [`AwaitSource::Wakers`] a chain of [`AwaitFrameKind::Code`].
    pub frames: Vec<AwaitFrame>,
    /// Why it is not whole, a name of [`profiler_common::awaits::AwaitEnd`]. `None`: it is.
    pub cut: Option<&'static str>,
    /// Where it comes from.
    pub source: AwaitSource,
}

/// One frame of an await stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AwaitFrame {
    /// How many frames it lies in.
    pub depth: u32,
    /// As the compiler writes it: a coroutine's function (`orders::load::{async_fn#0}`), another future's type
    /// (`tokio::time::timeout::Timeout<orders::load::{async_fn_env#0}>`), a macro (`tokio::select!`).
    pub name: String,
    /// What it is.
    pub kind: AwaitFrameKind,
    /// Where a coroutine waits: file and line of its `.await`.
    pub place: Option<(String, u32)>,
    /// Where the coroutine itself begins, if its `.await` stands in another file: inside a macro (`select!`, `join!`).
    pub begins: Option<(String, u32)>,
}

/// What a frame of an await stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwaitFrameKind {
    /// An `async fn`.
    AsyncFn,
    /// An `async` block.
    AsyncBlock,
    /// An `async` closure's body.
    AsyncClosure,
    /// Any other future or stream.
    Future,
    /// Several futures of which all are awaited.
    Join,
    /// Several futures of which one is awaited.
    Select,
    /// Another task, awaited through its `JoinHandle`; its type, where it is known.
    Task(#[serde(skip)] Option<TypeIndex>),
    /// A boxed future of unknown type; its name is the symbol of its drop glue or its vtable's address.
    UnknownDyn,
    /// The branch goes on, but could not be followed; its name is the reason.
    Cut,
    /// A function on the stack when a waker was stored: its address. `name` is empty.
    Code(#[serde(skip)] u64),
}

/// Whose wait it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AwaitOwner {
    /// A request's root scope.
    Scope(ScopeSeq),
    /// A task that a request spawned, by id, and that request.
    Child {
        /// Tokio's task id. `None`: it could not be read.
        task_id: Option<u64>,
        /// The request.
        request: ScopeSeq,
    },
}

/// One wait of a wanted request, or of a task that it spawned: from the end of a poll to the start of the next, or to the window's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwaitSpan {
    /// Whose.
    pub owner: AwaitOwner,
    /// The type of the task.
    pub task_type: Option<TypeIndex>,
    /// Where it waited. `None`: it could not be walked, or nothing was walked.
    pub stack: Option<AwaitIndex>,
    /// Id of the task that it waited for through a `JoinHandle`.
    pub awaited_task: Option<u64>,
    /// When it began.
    pub start_ns: u64,
    /// The first part of it.
    pub suspended_ns: u64,
    /// The second part.
    pub scheduled_ns: u64,
    /// It had not ended when the capture was made.
    pub open: bool,
}

/// The waits of all tasks of one type in one await stack, where every task's were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwaitSum {
    /// The type.
    pub task_type: TypeIndex,
    /// Where.
    pub stack: AwaitIndex,
    /// How often.
    pub count: u64,
    /// The suspended part of all of them.
    pub suspended_ns: u64,
    /// The scheduled part.
    pub scheduled_ns: u64,
    /// The longest one, both parts.
    pub longest_ns: u64,
}

/// Every walk of awaits since the attach, counted by the kernel side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwaitWalks {
    /// Walks, those included that were not taken because nothing had changed.
    pub walks: u64,
    /// Those.
    #[serde(default)]
    pub unchanged: u64,
    /// Steps taken by them.
    pub steps: u64,
    /// Words kept by them, or kept before where nothing had changed.
    pub words: u64,
    /// Time they took, estimated: one walk in sixteen is timed.
    pub walk_ns: u64,
    /// How many ended how, by [`profiler_common::awaits::AwaitEnd::name`]; ends that did not occur are not in it.
    pub ends: BTreeMap<String, u64>,
}
