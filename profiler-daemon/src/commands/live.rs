//! `tasks`: asks a running daemon again and again.

use std::thread;

use anyhow::{Context as _, Result};
use profiler_daemon::{
    cli::{
        Exit,
        color::Color,
        command::Tasks,
        form::{Listing, SortColumn},
    },
    control::{Client, Request},
    export::table::{self, TaskColumn},
    model::{Snapshot, State},
};
use terminal_size::{Height, Width, terminal_size};

use super::{
    ask::{connect, print_line, report},
    colours_if, print, print_by,
};
use crate::failure::Failure;

/// Cursor to the first column of the first line.
const HOME: &str = "\x1b[H";
/// Erase from the cursor to the end of the line.
const ERASE_LINE: &str = "\x1b[K";
/// Erase from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\x1b[J";

/// `tasks`.
pub(super) fn tasks(tasks: &Tasks, color: Color) -> Result<Exit> {
    let mut client = connect(&tasks.daemon)?;
    loop {
        match tasks.format {
            _ if tasks.awaits => awaits(&mut client, tasks, color)?,
            Listing::Json => print_line(client.ask(&Request::Tasks)?)?,
            Listing::Table => {
                let text = table::tasks(&report(&mut client)?, column(tasks.sort), colours_if(color.stdout));
                print(if tasks.live { redrawn(&text, terminal_size()) } else { text }.as_bytes())?
            }
        };
        let Some(interval) = tasks.refresh else { return Ok(Exit::Success) };
        thread::sleep(interval);
    }
}

/// `tasks --awaits`.
fn awaits(client: &mut Client, tasks: &Tasks, color: Color) -> Result<Exit> {
    let answer = client.ask(&Request::Snapshot)?;
    let snapshot: Snapshot =
        serde_json::from_slice(&answer).context(Failure::new(Exit::DaemonFailed, "the daemon's answer is of another version"))?;
    drop(answer);
    match tasks.format {
        Listing::Json => print_by(|to| snapshot.write_json(to)),
        Listing::Table => print(table::awaits(&snapshot, tasks.top, colours_if(color.stdout)).as_bytes()),
    }
}

const fn column(sort: SortColumn) -> TaskColumn {
    match sort {
        SortColumn::Id => TaskColumn::Id,
        SortColumn::Type => TaskColumn::Type,
        SortColumn::Kind => TaskColumn::Kind,
        SortColumn::Count => TaskColumn::Count,
        SortColumn::Wall => TaskColumn::Wall,
        SortColumn::Running => TaskColumn::In(State::Running),
        SortColumn::Preempted => TaskColumn::In(State::Preempted),
        SortColumn::Blocked => TaskColumn::In(State::Blocked),
        SortColumn::Scheduled => TaskColumn::In(State::Scheduled),
        SortColumn::Suspended => TaskColumn::In(State::Suspended),
        SortColumn::Polls => TaskColumn::Polls,
        SortColumn::Wakes => TaskColumn::Wakes,
        SortColumn::LongestPoll => TaskColumn::LongestPoll,
    }
}

/// Text over what stands on the screen; each line erases the rest of the one it covers, so nothing flickers.
fn redrawn(text: &str, size: Option<(Width, Height)>) -> String {
    let fitted = match size {
        // One line is left for the cursor.
        Some((Width(columns), Height(lines))) => table::fit(text, usize::from(columns), usize::from(lines).saturating_sub(1)),
        None => text.to_owned(),
    };
    let mut screen = String::from(HOME);
    for line in fitted.lines() {
        screen.push_str(line);
        screen.push_str(ERASE_LINE);
        screen.push('\n');
    }
    screen.push_str(ERASE_BELOW);
    screen
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn a_shorter_table_leaves_nothing_of_a_longer_one() {
        assert_eq!(redrawn("a\nb\n", None), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        let small = Some((Width(2), Height(3)));
        assert_eq!(redrawn("abc\nb\nc\n", small), "\x1b[Hab\x1b[K\n..\x1b[K\n\x1b[J");
    }

    /// The names on the command line are the table's own, and every column of it can be sorted by.
    #[test]
    fn the_columns_are_the_tables() {
        let sorts = SortColumn::value_variants();
        assert_eq!(sorts.len(), TaskColumn::ALL.len());
        for sort in sorts {
            let name = sort.to_possible_value().unwrap();
            assert_eq!(name.get_name(), column(*sort).name());
        }
    }
}
