//! What the fixture prints: one [`Event`] a line, as JSON.

use serde::{Deserialize, Serialize};

/// One line of output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Set up; waits for commands.
    Ready {
        /// Process id.
        pid: u32,
    },
    /// A case stays where it is (mode `park`).
    Parked(Parked),
    /// A case has ended.
    Case(Case),
    /// A round is over.
    Done,
}

/// Where a request waited, and how long.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The request's id: the name, from the second round on with the round's number behind it.
    pub request: String,
    /// Tokio's id of its task.
    pub task_id: Option<u64>,
    /// From before its spawn to after its end.
    pub wall_ns: u64,
    /// Where it waited, in order of the first time.
    pub waits: Vec<Wait>,
    /// The same of each task that it spawned.
    pub children: Vec<Vec<Wait>>,
}

/// A case that stays where it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Parked {
    /// Its name, which is its request's id.
    pub name: String,
    /// Tokio's id of its task.
    pub task_id: Option<u64>,
    /// All that it waits for.
    pub branches: Vec<Branch>,
}

/// All the time in which the same things were awaited.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Wait {
    /// What was awaited at once, sorted, each once.
    pub branches: Vec<Branch>,
    /// How long, altogether.
    pub total_ns: u64,
    /// In how many stretches.
    pub count: u64,
}

/// One thing that was awaited.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Branch {
    /// The awaits that led there, outermost first: the first stands in the request's own future, the last is of the thing itself.
    pub chain: Vec<Place>,
    /// A part of the name of what the last one awaits; more than one with bars between them where it may be called differently: a task that is
    /// awaited by its handle's type or by its own.
    pub label: String,
}

/// An `.await` in a source file.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    /// The function that it stands in, by its whole path, without the parts of it that have no name (closures, blocks, impls).
    pub function: String,
    /// The file, from the root of the repository.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The end of the path of another file where the `.await` is written in truth: that of the macro whose call stands on the line. rustc
    /// gives a suspend point the place of its `await` token (`compiler/rustc_ast_lowering/src/expr.rs`, `lower_expr_await`).
    pub in_macro: Option<String>,
}
