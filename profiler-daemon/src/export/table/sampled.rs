//! Tasks of a target without probes as a table. What is not known has `-` in its column, and is said below it.

use std::cmp::Reverse;

use super::foreign::UNKNOWN;
use super::grid::{Cell, Colours, Grid, Look, end};
use super::tasks::{NAME_WIDTH, TaskColumn, time_in};
use crate::model::State;
use crate::model::report::{SampledTask, SampledTasks, SampledTimes};
use crate::model::text::printable;

/// Tasks, sorted by a column; what is not known sorts nothing. Then threads outside of any task.
#[must_use]
pub(super) fn tasks(seen: &SampledTasks, sort: TaskColumn, colours: Colours) -> String {
    let mut rows: Vec<&SampledTask> = seen.tasks.iter().collect();
    sorted(&mut rows, sort);
    let mut grid = Grid::default();
    let left = [Cell::number("id"), Cell::text("type"), Cell::text("kind")];
    let right = ["running, sampled", "preempted", "blocked", "samples", "wall ms", "scheduled", "suspended", "polls"];
    grid.row(left.into_iter().chain(right.map(Cell::number)).map(|cell| cell.looking(Look::Heading)).collect());
    for row in &rows {
        let id = row.task.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let name = end(&printable(row.task.type_name.as_bytes()), NAME_WIDTH);
        grid.row(cells(Cell::number(id), Cell::text(name), Cell::text(row.task.kind.name()), &row.times));
    }
    if let Some(outside) = &seen.outside {
        let nothing = || Cell::text("-").looking(Look::Faint);
        grid.row(cells(Cell::number("-"), Cell::text("[outside of tasks]").looking(Look::Faint), nothing(), outside));
    }
    let mut text = grid.render("", colours);
    if rows.is_empty() {
        text.push_str("no task was seen\n");
    }
    text.push_str(UNKNOWN);
    text.push('\n');
    if let Some(period_ns) = seen.period_ns.filter(|period_ns| *period_ns > 0) {
        let whole = period_ns / 1_000_000;
        let rest = period_ns % 1_000_000 / 1000;
        text.push_str(&format!("a sample stands for {whole}.{rest:03} ms of running; preempted and blocked are exact\n"));
    }
    if let Some(why) = &seen.task_ids_why {
        text.push_str(&format!("tasks have no ids: {}\n", printable(why.as_bytes())));
    }
    text
}

fn cells(id: Cell, name: Cell, kind: Cell, times: &SampledTimes) -> Vec<Cell> {
    let exact = [(State::Running, times.sampled_ns), (State::Preempted, times.preempted_ns), (State::Blocked, times.blocked_ns)];
    let mut cells = vec![id, name, kind];
    cells.extend(exact.map(|(state, ns)| time_in(ns, state)));
    cells.push(Cell::number(times.samples.to_string()));
    cells.extend((0..4).map(|_| Cell::number("-").looking(Look::Faint)));
    cells
}

fn sorted(rows: &mut [&SampledTask], sort: TaskColumn) {
    match sort {
        TaskColumn::Id => rows.sort_by_key(|row| (row.task.id.is_none(), row.task.id)),
        TaskColumn::Type => rows.sort_by(|a, b| a.task.type_name.cmp(&b.task.type_name)),
        TaskColumn::Kind => rows.sort_by_key(|row| row.task.kind.name()),
        TaskColumn::In(State::Preempted) => rows.sort_by_key(|row| Reverse(row.times.preempted_ns)),
        TaskColumn::In(State::Blocked) => rows.sort_by_key(|row| Reverse(row.times.blocked_ns)),
        TaskColumn::In(State::Running) => rows.sort_by_key(|row| Reverse(row.times.sampled_ns)),
        TaskColumn::Count
        | TaskColumn::Wall
        | TaskColumn::In(State::Scheduled | State::Suspended)
        | TaskColumn::Polls
        | TaskColumn::Wakes
        | TaskColumn::LongestPoll => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::capture::TaskKind;
    use crate::model::report::TaskRef;

    fn seen() -> SampledTasks {
        let task = |id, sampled_ns, blocked_ns| SampledTask {
            task: TaskRef { id, type_name: "orders::handle".to_owned(), kind: TaskKind::Spawned },
            times: SampledTimes { samples: 3, sampled_ns, blocked_ns, ..SampledTimes::default() },
        };
        SampledTasks {
            period_ns: Some(10_101_010),
            task_ids: false,
            task_ids_why: Some("stripped\x1b".to_owned()),
            tasks: vec![task(Some(12), 30_303_030, 0), task(None, 1, 7_000_000)],
            outside: Some(SampledTimes { stretches: 5, blocked_ns: 90_000_000, ..SampledTimes::default() }),
        }
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_a_sentence() {
        assert_eq!(
            tasks(&seen(), TaskColumn::In(State::Blocked), Colours::Off),
            "\
id  type                kind     running, sampled  preempted  blocked  samples  wall ms  scheduled  suspended  polls
 -  orders::handle      spawned             0.000      0.000    7.000        3        -          -          -      -
12  orders::handle      spawned            30.303      0.000    0.000        3        -          -          -      -
 -  [outside of tasks]  -                   0.000      0.000   90.000        0        -          -          -      -
polls, wakes, scheduled, suspended and wall time are not known: there is no probe in the program (--mode sample)
a sample stands for 10.101 ms of running; preempted and blocked are exact
tasks have no ids: stripped\\x1b
"
        );
    }
}
