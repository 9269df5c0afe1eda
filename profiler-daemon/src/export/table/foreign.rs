//! Ids of other libraries: one in full, or many as a table. What is not known of them is said, and no column stands for it.

use super::grid::{Cell, Colours, Grid, Look, beginning};
use super::tasks::time_in;
use crate::export::numbers::{ms, ms_number, plural};
use crate::model::report::Foreign;
use crate::model::text::printable;
use crate::model::{ForeignSource, State};

/// Columns of an id that are shown.
const ID_WIDTH: usize = 40;

/// One id: what was seen of it, and what cannot be.
#[must_use]
pub fn foreign(row: &Foreign, colours: Colours) -> String {
    let mut heading = Grid::default();
    let whose = if matches!(row.source, ForeignSource::Scope | ForeignSource::TaskLocal) { "" } else { " of another library" };
    let seen = match row.wall_ns {
        Some(ns) => format!("{}{whose}, seen for {}", row.source.name(), ms(ns)),
        None => format!("{}{whose}, seen without probes", row.source.name()),
    };
    heading.row(vec![Cell::text(format!("request {}", name(row))).looking(Look::Heading), Cell::text(seen)]);
    let mut text = heading.render("", colours);
    text.push('\n');
    let mut grid = Grid::default();
    grid.row([Cell::text("state"), Cell::number("ms")].map(|cell| cell.looking(Look::Heading)).into());
    for (state, ns) in times(row) {
        grid.row(vec![Cell::text(state.name()), time_in(ns, state)]);
    }
    text.push_str(&grid.render("  ", colours));
    let lines = [
        format!("running by {}; blocked and preempted exact, of {}", plural(row.samples, "sample"), stretches(row.stretches)),
        if row.wall_ns.is_some() {
            "polls, scheduled and suspended are not known: its library sets it inside a poll, where no probe stands".to_owned()
        } else {
            UNKNOWN.to_owned()
        },
        format!("seen in {}", plural(row.tasks.len() as u64, "task")),
    ];
    text.push('\n');
    for line in lines.into_iter().chain(row.trace_id.iter().filter(|id| **id != row.id).map(|id| format!("trace id {id}"))) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What the mode without probes cannot tell.
pub(super) const UNKNOWN: &str =
    "polls, wakes, scheduled, suspended and wall time are not known: there is no probe in the program (--mode sample)";

/// All ids of other libraries, a row each; nothing where there are none.
#[must_use]
pub(super) fn all(rows: &[Foreign], colours: Colours) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut grid = Grid::default();
    let probed = rows.iter().any(|row| row.wall_ns.is_some());
    let inside = rows.iter().all(|row| row.source == ForeignSource::TaskLocal);
    let first = if inside { "seen inside polls" } else { "id of another library" };
    let heading = [if probed { first } else { "request" }, "source"].map(Cell::text).into_iter();
    let numbers = ["seen for ms", "running, sampled", "preempted", "blocked", "samples", "tasks"].map(Cell::number);
    grid.row(heading.chain(numbers).map(|cell| cell.looking(Look::Heading)).collect());
    for row in rows {
        let mut cells = vec![
            Cell::text(name(row)),
            Cell::text(row.source.name()),
            Cell::number(row.wall_ns.map_or_else(|| "-".to_owned(), ms_number)),
        ];
        cells.extend(times(row).map(|(state, ns)| time_in(ns, state)));
        cells.extend([row.samples, row.tasks.len() as u64].map(|count| Cell::number(count.to_string())));
        grid.row(cells);
    }
    let unknown = if probed { "polls, scheduled and suspended are not known of these" } else { UNKNOWN };
    format!("{}{unknown}\n", grid.render("", colours))
}

const fn times(row: &Foreign) -> [(State, u64); 3] {
    [(State::Running, row.sampled_ns), (State::Preempted, row.preempted_ns), (State::Blocked, row.blocked_ns)]
}

fn stretches(count: u64) -> String {
    if count == 1 { "1 stretch off the CPU".to_owned() } else { format!("{count} stretches off the CPU") }
}

fn name(row: &Foreign) -> String {
    let id = if row.id_hex.is_some() { row.id.clone() } else { printable(row.id.as_bytes()) };
    beginning(&id, ID_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Foreign {
        Foreign {
            id: "order-\u{1b}42".to_owned(),
            id_hex: None,
            source: ForeignSource::Attribute,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            first_ns: 5,
            wall_ns: Some(48_000_000),
            samples: 3,
            sampled_ns: 3_000_000,
            stretches: 2,
            blocked_ns: 20_000_000,
            preempted_ns: 1_000_000,
            stopped_ns: 0,
            tasks: vec![12],
        }
    }

    /// Check that an id is harmless, that exact and estimated times are told apart, and that what is unknown is said and not zero.
    #[test]
    fn what_is_seen_and_what_is_not() {
        let text = foreign(&row(), Colours::Off);
        assert!(text.starts_with("request order-\\x1b42"), "{text}");
        for part in
            ["running", "3.000", "blocked", "20.000", "3 samples", "not known", "trace id 4bf92f3577b34da6a3ce929d0e0e4736"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(" 0.000"), "{text}");
        let table = all(&[row()], Colours::Off);
        assert!(table.contains("attribute") && table.contains("48.000"), "{table}");
        assert_eq!(all(&[], Colours::Off), "");
    }
}
