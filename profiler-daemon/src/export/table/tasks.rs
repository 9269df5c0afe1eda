//! Tasks as a table, a row each, sorted by any column.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::grid::{Cell, Colours, Grid, Look, end};
use super::sampled;
use crate::export::numbers::ms_number;
use crate::model::report::Task;
use crate::model::text::printable;
use crate::model::{Report, State};

/// Columns of a type's name that are shown.
pub(super) const NAME_WIDTH: usize = 48;

/// A column of the task table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskColumn {
    /// Tokio's task id, lowest first.
    Id,
    /// The type's name, by alphabet.
    Type,
    /// How it is run, by alphabet.
    Kind,
    /// How many tasks the row stands for, most first, as are all that follow.
    Count,
    /// Wall time.
    Wall,
    /// Time in one state.
    In(State),
    /// Polls.
    Polls,
    /// Wakes.
    Wakes,
    /// The longest poll.
    LongestPoll,
}

/// The text names no column.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no column \"{}\"; columns are {}", printable(.0.as_bytes()), names())]
pub struct UnknownColumn(pub String);

fn names() -> String {
    TaskColumn::ALL.map(TaskColumn::name).join(", ")
}

impl TaskColumn {
    /// Every column, from left to right.
    pub const ALL: [Self; 13] = [
        Self::Id,
        Self::Type,
        Self::Kind,
        Self::Count,
        Self::Wall,
        Self::In(State::Running),
        Self::In(State::Preempted),
        Self::In(State::Blocked),
        Self::In(State::Scheduled),
        Self::In(State::Suspended),
        Self::Polls,
        Self::Wakes,
        Self::LongestPoll,
    ];

    /// The column's name, as it is written on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "type",
            Self::Kind => "kind",
            Self::Count => "count",
            Self::Wall => "wall",
            Self::In(state) => state.name(),
            Self::Polls => "polls",
            Self::Wakes => "wakes",
            Self::LongestPoll => "longest-poll",
        }
    }

    fn sort(self, rows: &mut [&Task]) {
        // Equal rows stay in the report's order.
        match self {
            Self::Id => rows.sort_by_key(|row| (row.task.id.is_none(), row.task.id)),
            Self::Type => rows.sort_by(|a, b| a.task.type_name.cmp(&b.task.type_name)),
            Self::Kind => rows.sort_by_key(|row| row.task.kind.name()),
            Self::Count => rows.sort_by_key(|row| Reverse(row.count)),
            Self::Wall => rows.sort_by_key(|row| Reverse(row.times.wall_ns)),
            Self::In(state) => rows.sort_by_key(|row| Reverse(row.times.states().of(state))),
            Self::Polls => rows.sort_by_key(|row| Reverse(row.counts.polls)),
            Self::Wakes => rows.sort_by_key(|row| Reverse(row.counts.wakes)),
            Self::LongestPoll => rows.sort_by_key(|row| Reverse(row.counts.longest_poll_ns)),
        }
    }
}

impl fmt::Display for TaskColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TaskColumn {
    type Err = UnknownColumn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|column| column.name() == text).ok_or_else(|| UnknownColumn(text.to_owned()))
    }
}

/// The report's tasks. A finished row has no id and stands for `count` tasks, its times are their sum.
#[must_use]
pub fn tasks(report: &Report, sort: TaskColumn, colours: Colours) -> String {
    if let Some(seen) = &report.sampled {
        return sampled::tasks(seen, sort, colours);
    }
    let mut rows: Vec<&Task> = report.tasks.iter().collect();
    sort.sort(&mut rows);
    let mut grid = Grid::default();
    grid.row(heading());
    for row in &rows {
        grid.row(cells(row));
    }
    let mut text = grid.render("", colours);
    if rows.is_empty() {
        text.push_str("no task was polled\n");
    }
    if rows.iter().any(|row| !row.spawn_seen) {
        text.push_str("+ wall starts later than the spawn: at the attach, or at the first poll\n");
    }
    text
}

fn heading() -> Vec<Cell> {
    let left = ["id", "type", "kind", "state"].map(Cell::text);
    let right = ["count", "wall ms", "running", "preempted", "blocked", "scheduled", "suspended", "polls", "wakes"];
    let mut cells = Vec::from(left);
    if let Some(id) = cells.first_mut() {
        *id = Cell::number("id");
    }
    cells.extend(right.map(Cell::number));
    cells.push(Cell::number("longest poll"));
    cells.into_iter().map(|cell| cell.looking(Look::Heading)).collect()
}

fn cells(row: &Task) -> Vec<Cell> {
    let state = match (row.finished, row.state) {
        (true, _) => Cell::text("finished").looking(Look::Faint),
        (false, Some(state)) => Cell::text(state.name()),
        (false, None) => Cell::text("-").looking(Look::Faint),
    };
    let later = if row.spawn_seen { "" } else { "+" };
    let mut cells = vec![
        Cell::number(row.task.id.map_or_else(|| "-".to_owned(), |id| id.to_string())),
        Cell::text(end(&printable(row.task.type_name.as_bytes()), NAME_WIDTH)),
        Cell::text(row.task.kind.name()),
        state,
        Cell::number(row.count.to_string()),
        Cell::number(format!("{later}{}", ms_number(row.times.wall_ns))),
    ];
    cells.extend(State::ALL.map(|state| time_in(row.times.states().of(state), state)));
    cells.push(Cell::number(row.counts.polls.to_string()));
    cells.push(Cell::number(row.counts.wakes.to_string()));
    cells.push(Cell::number(ms_number(row.counts.longest_poll_ns)));
    cells
}

/// Blocked time stands out: a task that blocks its worker is what a reader wants to know first.
pub(super) fn time_in(ns: u64, state: State) -> Cell {
    Cell::number(ms_number(ns)).looking(match (ns, state) {
        (0, _) => Look::Faint,
        (_, State::Blocked) => Look::Alarm,
        _ => Look::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Filter, fixture, report};

    #[test]
    fn rows_line_up_under_their_heading() {
        let report = report(&fixture::capture(), &Filter::All);
        assert_eq!(
            tasks(&report, TaskColumn::Id, Colours::Off),
            "\
id  type                       kind      state      count   wall ms  running  preempted  blocked  scheduled  suspended  polls  wakes  longest poll
12  orders::handle             spawned   suspended      1  1000.000    6.000      0.000    0.000      0.000    994.000     40     41         3.000
 -  orders::audit              spawned   -              1    +2.000    0.000      0.000    2.000      0.000      0.000      1      0         0.000
 -  orders::hash::{closure 0}  blocking  finished       3     9.030    9.000      0.000    0.000      0.030      0.000      3      0         4.000
+ wall starts later than the spawn: at the attach, or at the first poll
"
        );
    }

    #[test]
    fn any_column_sorts_and_an_unknown_one_is_refused() {
        let report = report(&fixture::capture(), &Filter::All);
        let first = |column: &str| {
            let table = tasks(&report, column.parse().unwrap(), Colours::Off);
            table.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().to_owned()
        };
        for (column, expected) in [
            ("id", "orders::handle"),
            ("type", "orders::audit"),
            ("kind", "orders::hash::{closure"),
            ("count", "orders::hash::{closure"),
            ("wall", "orders::handle"),
            ("running", "orders::hash::{closure"),
            ("blocked", "orders::audit"),
            ("scheduled", "orders::hash::{closure"),
            ("suspended", "orders::handle"),
            ("longest-poll", "orders::hash::{closure"),
        ] {
            assert_eq!(first(column), expected, "by {column}");
        }
        let error = "wal\x1bl".parse::<TaskColumn>().unwrap_err().to_string();
        assert!(error.starts_with("there is no column \"wal\\x1bl\"; columns are id, type, kind, count, wall, running, "));
    }

    #[test]
    fn no_tasks_is_said() {
        let mut report = report(&fixture::capture(), &Filter::All);
        report.tasks.clear();
        assert!(tasks(&report, TaskColumn::Wall, Colours::Off).ends_with("longest poll\nno task was polled\n"));
    }
}
