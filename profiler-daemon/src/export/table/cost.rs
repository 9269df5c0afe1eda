//! What the kernel side's own programs took.

use super::grid::{Cell, Colours, Grid, Look};
use crate::export::numbers::ms_number;
use crate::model::{Cost, text::printable};

/// A row a program that ran, and what of it is the clock's. Nothing where it was not asked for.
#[must_use]
pub fn cost(cost: Option<&Cost>, colours: Colours) -> String {
    let Some(cost) = cost else { return String::new() };
    let mut grid = Grid::default();
    let heading = ["runs", "ms", "ns a run", "without clock", "skipped"].map(Cell::number);
    let heading = std::iter::once(Cell::text("program")).chain(heading);
    grid.row(heading.map(|cell| cell.looking(Look::Heading)).collect());
    for row in cost.programs.iter().filter(|row| row.runs > 0 || row.recursion_misses > 0) {
        let numbers = [
            row.runs.to_string(),
            ms_number(row.total_ns),
            row.run_ns.to_string(),
            row.run_ns.saturating_sub(cost.clock_ns).to_string(),
            row.recursion_misses.to_string(),
        ];
        let cells = numbers.into_iter().map(Cell::number);
        grid.row(std::iter::once(Cell::text(printable(row.program.as_bytes()))).chain(cells).collect());
    }
    let clock = cost.clock_ns;
    format!(
        "programs of the kernel side ({clock} ns of each run are the clock that times it, and counting costs every run of any program about as much again):\n{}",
        grid.render("  ", colours)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProgramCost;

    #[test]
    fn what_ran_is_shown_with_and_without_the_clock() {
        let told = Cost {
            clock_ns: 28,
            programs: vec![ProgramCost::new("poll_start", 1000, 118_000, 2), ProgramCost::new("scope_end", 0, 0, 0)],
        };
        let text = cost(Some(&told), Colours::Off);
        assert!(text.ends_with(
            "  program     runs     ms  ns a run  without clock  skipped\n  poll_start  1000  0.118       118             90        2\n"
        ), "{text}");
        assert_eq!(cost(None, Colours::Off), "");
    }
}
