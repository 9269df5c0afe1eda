//! What the compilation of layouts yields: plain data, in the addresses of the ELF file itself.

use profiler_common::awaits::{Edge, Node};
use serde::{Deserialize, Serialize};

use super::error::AwaitNote;
use super::keys::TaskLocalKey;

/// The layout table of one program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwaitLayouts {
    /// The nodes; a node's place is its number.
    pub nodes: Vec<Node>,
    /// What the nodes' `first` and `aux` point into.
    pub edges: Vec<Edge>,
    /// Of each node that is shown ([`profiler_common::awaits::node::FRAME`], and of each [`profiler_common::awaits::NodeKind::Task`]) what it
    /// is. As long as `nodes`; `None` for nodes that are only passed through.
    pub frames: Vec<Option<FrameLayout>>,
    /// Source files that suspend points refer to.
    pub files: Vec<String>,
    /// For each task vtable (its address, [`super::super::TaskType::vtable`]) the node to begin at, at the task's header.
    pub tasks: Vec<(u64, u32)>,
    /// For each vtable of a `dyn Future` or `dyn Stream` the node of what it is the vtable of.
    pub dynamic: Vec<(u64, u32)>,
    /// For each poll function of a future that an annotation's scope wraps the node of that future.
    pub scopes: Vec<(u64, u32)>,
    /// The program's task-local keys, by name.
    pub keys: Vec<TaskLocalKey>,
    /// The compiler, as the debug information names it: `rustc version 1.95.0 (..)`.
    pub producer: Option<String>,
    /// What was left out.
    pub notes: Vec<AwaitNote>,
}

/// A node that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameLayout {
    /// What it is called, as the compiler writes it. Of a coroutine its function (`orders::load::{async_fn#0}`), of another future its type
    /// (`tokio::time::timeout::Timeout<orders::load::{async_fn_env#0}>`), of a macro's its name (`tokio::select!`).
    pub name: String,
    /// What it is.
    pub kind: FrameKind,
    /// Where a coroutine waits, by state; of state 0 where it begins.
    pub points: Vec<SuspendPoint>,
}

/// What a shown node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// An `async fn`.
    AsyncFn,
    /// An `async` block.
    AsyncBlock,
    /// An `async` closure's body.
    AsyncClosure,
    /// Any other future or stream.
    Future,
    /// Several futures of which all are awaited (`join!`, `JoinAll`, `FuturesUnordered`).
    Join,
    /// Several futures of which one is awaited (`select!`, `Select`, `SelectAll`).
    Select,
    /// A `JoinHandle`.
    Task,
}

/// Where a coroutine waits in one of its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendPoint {
    /// The state: the value of its tag.
    pub state: u32,
    /// Place in [`AwaitLayouts::files`].
    pub file: u32,
    /// Line of the `.await`.
    pub line: u32,
}
