//! What `family --format json` says, read without the product's own types: a change of the form shows here.

use serde::Deserialize;

use crate::report::{Times, is_of};
use crate::{Failure, Result};

/// One instance of a request.
#[derive(Clone, Debug, Deserialize)]
pub struct Family {
    /// The request, and the tasks that it spawned, in the order of a tree.
    pub tree: Vec<Member>,
    /// What its wall time consisted of.
    pub critical_path: CriticalPath,
}

/// The request itself, or a task of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// How deep it stands.
    pub depth: usize,
    /// Name of its type.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// How it is run; `None`: it is the request.
    pub kind: Option<String>,
    /// Whether its spawn was seen.
    pub spawn_seen: bool,
    /// Whether it is known who spawned it.
    pub parent_known: bool,
    /// Whether it went on after the request had ended.
    pub outlived: bool,
    /// How much of it is on the critical path.
    pub critical_ns: u64,
    /// Its times.
    #[serde(flatten)]
    pub times: Times,
}

/// The critical path.
#[derive(Clone, Debug, Deserialize)]
pub struct CriticalPath {
    /// The request's wall time.
    pub wall_ns: u64,
    /// Its parts.
    pub rows: Vec<PathRow>,
    /// Its parts in order of time; the report has none.
    #[serde(default)]
    pub steps: Vec<PathStep>,
    /// Time in tasks that were found by their wake.
    pub by_wake_ns: u64,
}

/// A part of it.
#[derive(Clone, Debug, Deserialize)]
pub struct PathRow {
    /// Who waited for whom.
    pub chain: Vec<Hop>,
    /// What was done.
    pub state: String,
    /// For how long.
    pub ns: u64,
}

/// A task that was awaited.
#[derive(Clone, Debug, Deserialize)]
pub struct Hop {
    /// Name of its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it was found by its wake.
    pub by_wake: bool,
}

/// A stretch of time.
#[derive(Clone, Debug, Deserialize)]
pub struct PathStep {
    /// After the request's start.
    pub after_ns: u64,
    /// Its length.
    pub ns: u64,
}

impl Family {
    /// The only instance in an answer, whose sums must hold.
    pub fn only(answer: &str) -> Result<Self> {
        let wrong = |why: String| Failure::Wrong(vec![why]);
        let all: Vec<Self> = serde_json::from_str(answer).map_err(|error| wrong(error.to_string()))?;
        let [one] = &all[..] else { return Err(wrong(format!("one instance expected, found {all:#?}"))) };
        crate::failure::all_right(one.broken())?;
        Ok(one.clone())
    }

    fn broken(&self) -> Vec<String> {
        let wall = self.critical_path.wall_ns;
        let mut wrong = self.critical_path.broken("the family");
        let critical: u64 = self.tree.iter().map(|member| member.critical_ns).sum();
        if critical != wall {
            wrong.push(format!("the members' critical times are {critical} ns, the wall time {wall}"));
        }
        match self.tree.first() {
            Some(root) if root.times.wall_ns == wall && root.depth == 0 => {}
            other => wrong.push(format!("the first member is {other:?}, the path has {wall} ns")),
        }
        let end = self.critical_path.steps.iter().fold(0, |at, step| if step.after_ns == at { at + step.ns } else { u64::MAX });
        if end != wall {
            wrong.push(format!("the steps of the path have gaps, or end at {end} and not at {wall}"));
        }
        wrong
    }

    /// The members whose type has the function `step` in its name.
    #[must_use]
    pub fn of(&self, step: &str) -> Vec<&Member> {
        let is = |member: &&Member| member.type_name.as_ref().is_some_and(|name| is_of(name, step));
        self.tree.iter().filter(is).collect()
    }

    /// Who spawned a member, by place: the nearest one before it that stands less deep.
    #[must_use]
    pub fn parent(&self, step: &str) -> Option<&Member> {
        let is = |member: &Member| member.type_name.as_ref().is_some_and(|name| is_of(name, step));
        let at = self.tree.iter().position(is)?;
        let depth = self.tree.get(at)?.depth;
        self.tree.get(..at)?.iter().rev().find(|before| before.depth < depth)
    }
}

impl CriticalPath {
    /// Whether the rows are the wall time, to the nanosecond.
    #[must_use]
    pub fn broken(&self, whose: &str) -> Vec<String> {
        let sum: u64 = self.rows.iter().map(|row| row.ns).sum();
        if sum == self.wall_ns {
            return Vec::new();
        }
        vec![format!("{whose}: the rows of the critical path are {sum} ns, the wall time {}", self.wall_ns)]
    }
}
