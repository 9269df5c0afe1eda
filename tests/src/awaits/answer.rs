//! What the profiler answers to `waits --format json` and `tasks --awaits --format json`, read without the product's own types: a change of
//! the form shows here.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Result};

/// Where one request waited, or all tasks of a type.
#[derive(Clone, Debug, Deserialize)]
pub struct Waits {
    /// Which request.
    pub request: Option<Name>,
    /// Which type.
    pub task_type: Option<String>,
    /// `layouts`, `wakers` or `none`.
    pub source: String,
    /// A row for each await stack.
    pub waits: Vec<Row>,
    /// The request's suspended time.
    pub suspended_ns: u64,
    /// Its scheduled time.
    pub scheduled_ns: u64,
    /// The part of both that has no row.
    pub unknown_ns: u64,
}

/// A request's name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Name {
    /// Its id.
    pub id: String,
    /// 1 for the first of this id.
    pub instance: u64,
}

/// All waits in one await stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// The stack.
    pub stack: Vec<Frame>,
    /// Why it is not whole.
    pub cut: Option<String>,
    /// What is awaited, as it is shown to people.
    pub awaited: String,
    /// How often.
    pub count: u64,
    /// Both parts.
    pub total_ns: u64,
    /// The suspended part.
    pub suspended_ns: u64,
    /// The scheduled part.
    pub scheduled_ns: u64,
    /// The longest single wait.
    pub longest_ns: u64,
}

/// A frame of an await stack, in pre-order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Frame {
    /// How many frames it lies in.
    pub depth: u32,
    /// Its name as the compiler writes it.
    pub name: String,
    /// `async_fn`, `future`, `join` ..
    pub kind: String,
    /// The file of a coroutine's `.await`.
    #[serde(default)]
    pub file: Option<String>,
    /// The line of it.
    #[serde(default)]
    pub line: Option<u32>,
}

/// A live task.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// Tokio's id.
    pub id: Option<u64>,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it does now.
    pub state: String,
    /// Since when.
    pub since_ns: Option<u64>,
    /// Where it waits.
    #[serde(rename = "await")]
    pub awaits: Option<Awaits>,
}

/// Where a task waits.
#[derive(Clone, Debug, Deserialize)]
pub struct Awaits {
    /// The stack.
    pub stack: Vec<Frame>,
    /// Why it is not whole.
    pub cut: Option<String>,
}

/// Reads `waits --request ID --format json`: an entry for the one instance, and others for the tasks that it spawned.
pub fn waits(text: &str, request: &str) -> Result<Waits> {
    let all: Vec<Waits> = list(text, "waits")?;
    let of = |waits: &Waits| waits.request.as_ref().is_some_and(|name| name.id == request && name.instance == 1);
    let own: Vec<&Waits> = all.iter().filter(|waits| waits.request.is_some()).collect();
    let [one] = *own else { return Err(form("waits", format!("{} entries for {request}: {text}", own.len()))) };
    if of(one) { Ok(one.clone()) } else { Err(form("waits", format!("not of {request}, instance 1: {text}"))) }
}

/// Reads `waits --all --format json`: a list with one entry for each type of task.
pub fn all_waits(text: &str) -> Result<Vec<Waits>> {
    list(text, "waits --all")
}

/// All live tasks.
#[derive(Clone, Debug, Deserialize)]
pub struct Tasks {
    /// A row for each.
    pub tasks: Vec<Task>,
    /// What the list lacks, in sentences.
    pub notes: Vec<String>,
}

/// The tasks of `tasks --awaits --format json`.
pub fn tasks(text: &str) -> Result<Vec<Task>> {
    all_tasks(text).map(|all| all.tasks)
}

/// Reads `tasks --awaits --format json`.
pub fn all_tasks(text: &str) -> Result<Tasks> {
    serde_json::from_str(text).map_err(|error| form("tasks --awaits", format!("{error}: {text}")))
}

fn list<T: DeserializeOwned>(text: &str, what: &str) -> Result<Vec<T>> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| form(what, format!("{error}: {text}")))?;
    let items = match json {
        serde_json::Value::Array(items) => items,
        one => vec![one],
    };
    let read = |item: serde_json::Value| {
        let shown = item.to_string();
        serde_json::from_value(item).map_err(|error| form(what, format!("{error}: {shown}")))
    };
    items.into_iter().map(read).collect()
}

fn form(what: &str, why: String) -> Failure {
    Failure::Form { path: Path::new(&format!("{what} --format json")).to_owned(), why }
}
