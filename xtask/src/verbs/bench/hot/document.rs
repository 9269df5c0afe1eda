//! The hot path's report as tables, and their place in docs/hot-path.md.

use super::super::grid::{grid, unknown};
use super::super::quartiles::Quartiles;
use super::report::{Kind, Program, Report};

/// The lines of docs/hot-path.md between which the tables stand.
const BEGIN: &str = "<!-- From here on written by `cargo xtask bench hot`. -->\n";
const END: &str = "<!-- Up to here written by `cargo xtask bench hot`. -->\n";

/// The tables with what was measured where; `setting` is the machine.
pub(super) fn section(report: &Report, setting: &str) -> String {
    let polls = &report.polls;
    format!(
        "Measured on {setting} {} rounds, slices of {} polls, {} of each attach. Medians, with the quartiles in brackets.\n\n{}",
        polls.rounds,
        polls.in_slice,
        polls.slices,
        tables(report)
    )
}

/// The document `text` with `section` in its place; nothing where it has none.
pub(super) fn placed(text: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{section}\n{END}{after}"))
}

/// The tables alone.
pub(super) fn tables(report: &Report) -> String {
    format!(
        "{}\nThe kernel's clock takes {} ns of each run here.\n\n{}",
        polls(&report.polls.kinds),
        report.runs.clock_ns,
        runs(&report.runs.programs)
    )
}

fn polls(kinds: &[Kind]) -> String {
    let head = ["attached", "a poll with its wake, ns", "added, ns", "by what empty programs add"];
    let rows = kinds.iter().map(|kind| {
        let is_bare = kind.name.starts_with("bare");
        vec![
            shown(&kind.name).to_owned(),
            spread(kind.poll, 1000.0, 0),
            spread(kind.added, 1000.0, 0),
            if is_bare { unknown() } else { spread(kind.of_floor, 1000.0, 2) },
        ]
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

/// What a kind of attach is called in the table.
fn shown(name: &str) -> &str {
    match name {
        "bare" => "nothing",
        "bare_again" => "nothing again",
        "floor" => "empty programs",
        "exact" => "ours, no awaits",
        "exact_awaits" => "ours",
        other => other,
    }
}

fn runs(programs: &[Program]) -> String {
    let head = ["program", "runs", "empty program, ns", "a run, ns", "with awaits walked, ns"];
    let rows = programs.iter().map(|program| {
        let of = |times: Quartiles| if times.median > 0.0 { spread(times, 1000.0, 0) } else { unknown() };
        vec![format!("`{}`", program.name), program.runs.to_string(), of(program.empty), of(program.run), of(program.with_awaits)]
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

/// `120 (118 to 125)`, in units of `by`.
fn spread(of: Quartiles, by: f64, decimals: usize) -> String {
    let [q1, median, q3] = [of.q1, of.median, of.q3].map(|value| format!("{:.decimals$}", value / by));
    format!("{median} ({q1} to {q3})")
}

#[cfg(test)]
mod tests {
    use super::super::report::{Polls, Runs};
    use super::*;

    fn about(median: f64) -> Quartiles {
        Quartiles { q1: median - 1000.0, median, q3: median + 1000.0, ..Quartiles::default() }
    }

    fn report() -> Report {
        let kind =
            |name: &str| Kind { name: name.to_owned(), poll: about(2_000_000.0), added: about(5000.0), of_floor: about(1250.0) };
        let program = Program { name: "poll_start".to_owned(), runs: 7, run: about(118_000.0), ..Program::default() };
        Report {
            quick: false,
            polls: Polls { rounds: 20, in_slice: 4000, slices: 4, kinds: vec![kind("bare"), kind("exact_awaits")] },
            runs: Runs { clock_ns: 28, programs: vec![program] },
        }
    }

    /// Check that the tables hold what was measured, and that what was not measured is no zero.
    #[test]
    fn rows() {
        let text = tables(&report());
        let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(cells[2][1..5], ["nothing", "2000 (1999 to 2001)", "5 (4 to 6)", "-"]);
        assert_eq!(cells[3][1..5], ["ours", "2000 (1999 to 2001)", "5 (4 to 6)", "1.25 (0.25 to 2.25)"]);
        assert_eq!(cells[9][1..6], ["`poll_start`", "7", "-", "118 (117 to 119)", "-"]);
    }

    /// Check that the tables take their old place and leave the rest, twice as well as once, and that a document without a place is told.
    #[test]
    fn the_tables_have_a_place() {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let section = section(&report(), "a machine.");
        let once = placed(&text, &section).unwrap();
        assert!(once.starts_with("before\n") && once.ends_with("after\n") && !once.contains("old"), "{once}");
        assert_eq!(placed(&once, &section), Some(once));
        assert_eq!(placed("nothing", &section), None);
    }

    /// Check that the document has the place.
    #[test]
    fn the_document_has_it() {
        let text = std::fs::read_to_string(crate::chore::place::repository().join("docs/hot-path.md")).unwrap();
        assert!(placed(&text, "").is_some());
    }
}
