//! Requests by route: how many, how long, and what their time was.

use super::grid::{Cell, Colours, Grid, Look, beginning};
use super::tasks::time_in;
use crate::export::numbers::{ms_number, percent};
use crate::model::report::Route;
use crate::model::text::printable;
use crate::model::{RequestId, State};

/// Columns of a route that are shown.
const ROUTE_WIDTH: usize = 48;
/// Columns of the worst request's id that are shown.
const ID_WIDTH: usize = 40;

/// A row each: the quantiles and the worst, then the states of all of them together. Nothing where nothing was folded.
#[must_use]
pub fn routes(rows: &[Route], colours: Colours) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut grid = Grid::default();
    let mut heading = vec![Cell::text("route")];
    heading.extend(["requests", "p50 ms", "p99 ms", "worst ms"].map(Cell::number));
    for state in State::ALL {
        heading.extend([Cell::number(state.name()), Cell::number("%")]);
    }
    heading.extend([Cell::number("polls"), Cell::text("the worst")]);
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for row in rows {
        let name = if row.rest { "(other routes)".to_owned() } else { beginning(&shown(&row.route), ROUTE_WIDTH) };
        let mut cells = vec![Cell::text(name), Cell::number(row.count.to_string())];
        cells.extend([row.p50_ns, row.p99_ns, row.worst_ns].map(|ns| Cell::number(ms_number(ns))));
        for state in State::ALL {
            let ns = row.times.states().of(state);
            cells.extend([time_in(ns, state), Cell::number(percent(ns, row.times.wall_ns)).looking(Look::Faint)]);
        }
        let worst = row
            .worst
            .as_ref()
            .map_or_else(String::new, |worst| format!("{} #{}", beginning(&worst.shown(), ID_WIDTH), worst.instance));
        cells.extend([Cell::number(row.polls.to_string()), Cell::text(worst)]);
        grid.row(cells);
    }
    grid.render("", colours)
}

/// A route for a terminal: it has the form that ids have, unless the report comes from somebody who writes others.
fn shown(route: &str) -> String {
    RequestId::from_text(route).map_or_else(|_| printable(route.as_bytes()), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report::{RequestName, Times};

    #[test]
    fn a_row_each_and_nothing_of_nothing() {
        let times = Times { wall_ns: 4_000_000, running_ns: 1_000_000, suspended_ns: 3_000_000, ..Times::default() };
        let route = Route {
            route: "order-*\u{1b}".to_owned(),
            rest: false,
            count: 2,
            p50_ns: 1_000_000,
            p99_ns: 3_000_000,
            worst_ns: 3_000_000,
            worst: Some(RequestName { id: "order-42".to_owned(), id_hex: None, instance: 1 }),
            times,
            polls: 4,
            longest_poll_ns: 500_000,
        };
        let rest = Route { route: String::new(), rest: true, worst: None, ..route.clone() };
        assert_eq!(
            routes(&[route, rest], Colours::Off),
            r"route           requests  p50 ms  p99 ms  worst ms  running       %  preempted      %  blocked      %  scheduled      %  suspended       %  polls  the worst
order-*\x1b            2   1.000   3.000     3.000    1.000  25.0 %      0.000  0.0 %    0.000  0.0 %      0.000  0.0 %      3.000  75.0 %      4  order-42 #1
(other routes)         2   1.000   3.000     3.000    1.000  25.0 %      0.000  0.0 %    0.000  0.0 %      0.000  0.0 %      3.000  75.0 %      4
"
        );
        assert_eq!(routes(&[], Colours::Off), "");
    }
}
