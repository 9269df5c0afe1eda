//! Walking from a future to what it waits for: what a layout table says, how a step is taken, how a walk ends, and what is kept of it.
//!
//! rustc's DWARF describes every coroutine as a tagged union; the daemon compiles that, and what it knows of structures that hold
//! futures, into a table of [`Node`]s and [`Edge`]s. The kernel side walks it over the target's memory at the end of a poll that returned
//! pending, before the task is released, so that nothing changes meanwhile. The result is a list of words ([`word`]) in pre-order: a chain
//! for most tasks, a tree where several futures are awaited at once. Both are plain code over plain data: a test, a replay and a fuzzer
//! run what the kernel runs.

pub mod basis;
pub mod end;
pub mod gap;
pub mod key;
pub mod node;
pub mod stack;
pub mod stored;
pub mod walk;
pub mod word;

pub use basis::Basis;
pub use end::{AwaitEnd, AwaitWalks};
pub use gap::{Awaiting, Gap};
pub use key::{KeyKind, KeyValue, RequestKey};
pub use node::{Edge, Node, NodeKind};
pub use stack::{AwaitKey, AwaitStack, AwaitSum};
pub use stored::{WakerKey, WakerShape};
pub use walk::{AwaitWalk, Step, Tables};
