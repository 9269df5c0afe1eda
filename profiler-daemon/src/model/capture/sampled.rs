//! Tasks of a target that has no probe in it: what threads were found doing in them, and outside of any.
//!
//! What is not known (polls, wakes, time between polls, and so wall time) has no field here.

use super::TypeIndex;
use crate::collect::Sightings;

/// Whether a sample knows its task's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskIds {
    /// It does.
    Read,
    /// It does not, for this reason: tasks are told by their types.
    Unknown(String),
}

/// Whose a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampledOwner {
    /// One task's.
    Task(u64),
    /// That of tasks that are not told apart: without ids, or too many.
    Tasks,
    /// Threads' outside of any task: waiting for work, mostly.
    Outside,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledRow {
    /// Whose it is.
    pub owner: SampledOwner,
    /// The task's type. `None`: no stack has told it, or there is no task.
    pub task_type: Option<TypeIndex>,
    /// What was seen of it; `first_ns` is 0 where only time outside of any task was.
    pub sum: Sightings,
}

/// Every task that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Whether they are told by their ids.
    pub task_ids: TaskIds,
    /// By id; then those that are not told apart; then what was outside of any.
    pub rows: Vec<SampledRow>,
}

impl Sampled {
    /// The row of one task.
    #[must_use]
    pub fn task(&self, id: u64) -> Option<&SampledRow> {
        self.rows.iter().find(|row| row.owner == SampledOwner::Task(id))
    }

    /// Ids of all.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().filter_map(|row| if let SampledOwner::Task(id) = row.owner { Some(id) } else { None })
    }
}
