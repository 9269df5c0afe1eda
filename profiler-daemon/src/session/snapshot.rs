//! A snapshot of all live tasks with their await stacks: rows from the kernel side, older tasks from the runtimes' own lists, stacks from
//! the target's memory. The target is not stopped, and the session is let go while its memory is read.

mod cells;
#[cfg(test)]
mod fake;
mod in_time;
mod lists;
mod met;
mod passes;
mod program;
mod shapes;
mod told;
mod walks;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Session, SessionError};
use crate::attach::monotonic_ns;
use crate::collect::{LiveRow, LiveTask};
use crate::inspect::awaits::LoadedTable;
use crate::model::awaits::AwaitNames;
use crate::model::gather::gather;
use crate::model::report::{RequestName, request_name};
use crate::model::{Snapshot, TaskType};
use crate::target::TargetError;
use crate::target::memory::TargetMemory;
pub(super) use in_time::snapshot_in_time;
use lists::{KnownTasks, Owned, Runtime, owned_tasks};
use passes::{All, Passes};
use program::ProgramFacts;
pub(super) use program::Snapshots;
use shapes::TaskShapes;
use walks::{Reader, Stacks};

/// Tasks of one snapshot, at most. A row takes some 200 bytes on its way to who asked.
const MOST_TASKS: usize = 1_000_000;
/// Time to read memory. What has not been read by then is said to be.
const TIME: Duration = Duration::from_secs(10);

/// What a session knows at the begin of a snapshot.
struct Known {
    rows: Vec<LiveTask>,
    /// Requests by the numbers of their scopes, and by the task in which they run.
    requests: HashMap<u64, RequestName>,
    carried: HashMap<u64, u64>,
    types: Vec<TaskType>,
    shapes: TaskShapes,
    program: Arc<ProgramFacts>,
    /// Runtimes that were seen before.
    runtimes: Vec<Runtime>,
    /// Whether this version of Tokio has ids.
    has_ids: bool,
    memory: TargetMemory,
    /// The layouts of futures and what they are called. `None`: the program does not tell.
    table: Option<Arc<LoadedTable>>,
    names: AwaitNames,
    /// Why there are no layouts.
    no_awaits: Option<String>,
}

/// Takes a snapshot.
fn snapshot(session: &Mutex<Session>) -> Result<Snapshot, SessionError> {
    let lock = || -> MutexGuard<'_, Session> { session.lock().unwrap_or_else(PoisonError::into_inner) };
    let deadline = Instant::now() + TIME;
    let mut known = lock().known()?;
    let owned = known.owned(deadline);
    let with_rows: HashSet<u64> = known.rows.iter().map(|live| live.header).collect();
    let older: Vec<(u64, u64)> = owned.tasks.iter().copied().filter(|(header, _)| !with_rows.contains(header)).collect();
    let mut stacks = Stacks::default();
    let rows = std::mem::take(&mut known.rows);
    let mut refreshed = |headers: &[u64]| lock().rows_of(headers);
    let reader = Reader { memory: &known.memory, shapes: &known.shapes, table: known.table.as_deref() };
    lock().snapshots.runtimes.clone_from(&owned.runtimes);
    let passes = Passes { reader, rows: &mut refreshed, stacks: &mut stacks, deadline, all: All::default() };
    let all = passes.read(&rows, &older)?;
    if known.memory.is_gone() {
        return Err(SessionError::Target(TargetError::Exited { pid: known.memory.pid() }));
    }
    Ok(told::snapshot(&known, &owned, &all, stacks, monotonic_ns()))
}

impl Known {
    /// The tasks in the lists of the runtimes that own the tasks with rows.
    fn owned(&self, deadline: Instant) -> Owned {
        let Ok(lists) = &self.program.lists else { return Owned::default() };
        let headers: Vec<u64> = self.rows.iter().map(|live| live.header).collect();
        let known = KnownTasks { headers: &headers, runtimes: &self.runtimes };
        owned_tasks(&self.memory, &self.shapes, lists, known, MOST_TASKS, &|| Instant::now() > deadline)
    }
}

impl Session {
    fn known(&mut self) -> Result<Known, SessionError> {
        let at_ns = if self.closed { self.setting.window.end_ns } else { monotonic_ns() };
        let program = self.program_facts()?;
        let collected = self.collector.collect_rows(&mut self.attached, at_ns)?;
        let requests = gather(&self.setting, &collected).requests;
        Ok(Known {
            requests: requests.iter().map(|row| (row.scope.0, request_name(row))).collect(),
            carried: collected.live_requests.iter().map(|(scope, row)| (row.task, *scope)).collect(),
            types: self.setting.types.clone(),
            shapes: TaskShapes::of(&self.inspection, program.bias, self.await_table.as_deref()),
            program,
            runtimes: self.snapshots.runtimes.clone(),
            has_ids: self.setting.ids_known,
            memory: TargetMemory::of(&self.target)
                .map_err(|source| SessionError::Runtime { what: "read the target's memory", source })?,
            rows: collected.tasks,
            table: self.await_table.clone(),
            names: self.setting.awaits.clone(),
            no_awaits: self.awaits.why.clone(),
        })
    }

    fn rows_of(&mut self, headers: &[u64]) -> Result<Vec<LiveRow>, SessionError> {
        Ok(self.collector.live_tasks(&mut self.attached, headers, monotonic_ns())?)
    }
}
