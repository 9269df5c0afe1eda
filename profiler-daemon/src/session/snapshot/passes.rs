//! Reading all tasks, and those that changed meanwhile again.
//!
//! The first pass is over all of them, so a busy task has time to be polled before its row is compared. Those are read again in small
//! groups, each compared at once.

use std::time::Instant;

use super::super::SessionError;
use super::walks::{NotRead, Reader, Reading, Seen, Stacks, Wanted};
use crate::collect::{Doing, LiveRow, LiveTask};
use crate::target::memory::Spans;

/// Tasks that are read close to one another in time, first and later.
const FIRST_GROUP: usize = 1024;
/// See [`FIRST_GROUP`].
const GROUP: usize = 64;
/// How often a task is read.
const PASSES: usize = 5;

/// Reads the rows of the tasks with these headers anew.
pub(super) type Rows<'r> = dyn FnMut(&[u64]) -> Result<Vec<LiveRow>, SessionError> + 'r;

/// A task and what is known of it in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Its header address.
    pub(super) header: u64,
    /// Its row. `None`: it has not been polled since the attach.
    pub(super) row: Option<LiveTask>,
    /// What was read of it.
    pub(super) outcome: Outcome,
}

/// What came of reading a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is polled, by its row.
    Polled,
    /// This.
    Read(Reading),
    /// It changed at every try.
    Changing,
    /// It cannot be read.
    Unreadable,
    /// There was no time.
    Late,
}

/// All tasks, and how many had ended by the time.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) tasks: Vec<Told>,
    /// Rows and members of lists that were no task any more.
    pub(super) gone: u64,
    /// Readings that were thrown away because the task changed.
    pub(super) again: u64,
}

/// One task that is to be read.
#[derive(Clone, Copy)]
struct Pending {
    header: u64,
    vtable: u64,
    row: Option<LiveTask>,
}

/// What a reading of all tasks needs and fills.
pub(super) struct Passes<'p, M> {
    pub(super) reader: Reader<'p, M>,
    pub(super) rows: &'p mut Rows<'p>,
    pub(super) stacks: &'p mut Stacks,
    /// What has not been read by then is not read.
    pub(super) deadline: Instant,
    pub(super) all: All,
}

impl<M: Spans> Passes<'_, M> {
    /// Reads the tasks with rows and those without.
    pub(super) fn read(mut self, with_rows: &[LiveTask], without: &[(u64, u64)]) -> Result<All, SessionError> {
        let without = without.iter().map(|(header, vtable)| Pending { header: *header, vtable: *vtable, row: None });
        let mut pending: Vec<Pending> = with_rows.iter().map(Pending::of_row).chain(without).collect();
        // One comparison for all in the first pass: most tasks of a crowd sleep.
        pending = self.group(&pending, FIRST_GROUP)?;
        for _ in 1..PASSES {
            let mut left = Vec::new();
            self.all.again += pending.len() as u64;
            for some in pending.chunks(GROUP) {
                let rows = self.rows_of(some.iter())?;
                let fresh: Vec<Pending> = some.iter().zip(rows).map(|(task, row)| task.with(&row)).collect();
                left.extend(self.group(&fresh, GROUP)?);
            }
            pending = left;
        }
        self.all.tasks.extend(pending.iter().map(|task| task.told(Outcome::Changing)));
        Ok(self.all)
    }

    /// The rows of these tasks, in their order.
    fn rows_of<'t>(&mut self, tasks: impl Iterator<Item = &'t Pending>) -> Result<Vec<LiveRow>, SessionError> {
        let headers: Vec<u64> = tasks.map(|task| task.header).collect();
        (self.rows)(&headers)
    }

    /// Reads tasks, `at_once` of them close to one another in time, and then compares all their rows. Those that changed are returned.
    fn group(&mut self, tasks: &[Pending], at_once: usize) -> Result<Vec<Pending>, SessionError> {
        let (polled, waiting): (Vec<&Pending>, Vec<&Pending>) =
            tasks.iter().partition(|task| task.row.as_ref().is_some_and(is_polled));
        self.all.tasks.extend(polled.iter().map(|task| task.told(Outcome::Polled)));
        let mut readings = Vec::with_capacity(waiting.len());
        for near in waiting.chunks(at_once) {
            if Instant::now() > self.deadline {
                break;
            }
            let wanted: Vec<Wanted> = near.iter().map(|task| task.wanted()).collect();
            readings.extend(self.reader.read(&wanted, self.stacks));
        }
        let after = self.rows_of(waiting.iter().copied())?;
        let mut changed = Vec::new();
        let mut readings = readings.into_iter();
        for (task, row) in waiting.into_iter().zip(after) {
            let now = task.with(&row);
            let outcome = match readings.next() {
                None => Outcome::Late,
                // It is being polled.
                Some(_) if row == LiveRow::Torn => {
                    changed.push(now);
                    continue;
                }
                Some(_) if !is_same_row(task.row.as_ref(), now.row.as_ref()) => {
                    // It was polled, or another task has taken its place; or it has ended, if nothing came after it.
                    match now.row {
                        None => self.all.gone += 1,
                        Some(_) => changed.push(now),
                    }
                    continue;
                }
                Some(Err(NotRead::Gone)) => {
                    self.all.gone += 1;
                    continue;
                }
                Some(Err(NotRead::Unreadable)) => Outcome::Unreadable,
                Some(Ok(reading)) if is_sound(&reading, now.row.as_ref()) => Outcome::Read(reading),
                Some(Ok(_)) => {
                    changed.push(now);
                    continue;
                }
            };
            self.all.tasks.push(now.told(outcome));
        }
        Ok(changed)
    }
}

/// Whether no poll began between two looks at a task's row. A task without a row has not been polled since the attach.
fn is_same_row(before: Option<&LiveTask>, after: Option<&LiveTask>) -> bool {
    let key = |live: &LiveTask| (live.row.vtable, live.row.id, live.row.generation, live.row.polls);
    before.map(key) == after.map(key)
}

/// Whether what was read between two looks at the same row is the task's memory between two polls, or says that it is polled.
fn is_sound(reading: &Reading, row: Option<&LiveTask>) -> bool {
    match (reading.seen, row) {
        (Seen::Waiting { .. }, row) => !row.is_some_and(is_polled),
        // By its row it was not polled, so it is by now; without a row it is in a poll that began before the attach.
        (Seen::Running, row) => row.is_none(),
        (Seen::Changed, _) => false,
    }
}

fn is_polled(live: &LiveTask) -> bool {
    matches!(live.doing, Doing::Running | Doing::Preempted | Doing::Blocked)
}

impl Pending {
    const fn of_row(live: &LiveTask) -> Self {
        Self { header: live.header, vtable: live.row.vtable, row: Some(*live) }
    }

    /// The same with its row as it is now; the old one, if that cannot be told.
    const fn with(&self, row: &LiveRow) -> Self {
        match row {
            LiveRow::Live(live) => Self::of_row(live),
            LiveRow::Torn => *self,
            LiveRow::Gone => Self { row: None, ..*self },
        }
    }

    fn wanted(&self) -> Wanted {
        let id = self.row.map_or(0, |live| live.row.id);
        Wanted { header: self.header, vtable: self.vtable, has_row: self.row.is_some(), id }
    }

    const fn told(&self, outcome: Outcome) -> Told {
        Told { header: self.header, row: self.row, outcome }
    }
}

#[cfg(test)]
mod tests;
