//! What is said to be unknown: a table of it, and for which cases that may be.

use profiler_tests::awaits::cells::Cell;
use profiler_tests::awaits::verdict::Unknown;

/// A case that may be unknown.
struct Allowed {
    case: &'static str,
    /// In which profile; `None`: in each.
    cell: Option<Cell>,
    /// Why it cannot be told, as the documents of the users say it.
    #[expect(dead_code, reason = "it is for whoever reads the list")]
    reason: &'static str,
}

/// All that may be unknown. A case that is here and is known is a failure too, so that the list stays true.
const ALLOWED: &[Allowed] = &[];

fn is_allowed(cell: Cell, case: &str) -> bool {
    ALLOWED.iter().any(|allowed| allowed.case == case && allowed.cell.is_none_or(|only| only == cell))
}

/// What was unknown in one run.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(Cell, String, Unknown)>,
    compared: Vec<(Cell, String)>,
}

impl Table {
    /// Notes a case. A later note of the same case replaces what the earlier one said.
    pub(crate) fn note(&mut self, cell: Cell, case: &str, unknown: &[Unknown]) {
        self.rows.retain(|(of, name, _)| *of != cell || name != case);
        self.rows.extend(unknown.iter().map(|unknown| (cell, case.to_owned(), unknown.clone())));
        self.compared.push((cell, case.to_owned()));
    }

    /// Prints the table, and says what must not be in it and what must.
    pub(crate) fn verdict(&self, what: &str) -> Vec<String> {
        let mut cases = self.compared.clone();
        cases.sort_by(|one, other| (one.0.name(), &one.1).cmp(&(other.0.name(), &other.1)));
        cases.dedup();
        eprintln!("{what}: {} of {} cases with something unknown", self.cases(), cases.len());
        for (cell, case, unknown) in &self.rows {
            eprintln!("  {:8} {case:20} {:>10} us  {}", cell.name(), unknown.ns / 1000, unknown.why);
        }
        let wrong = self.rows.iter().filter(|(cell, case, _)| !is_allowed(*cell, case));
        let mut wrong: Vec<String> = wrong
            .map(|(cell, case, unknown)| {
                format!(
                    "{what}: {cell}: {case}: {} ns unknown ({}), and it is not in the list:\n{}",
                    unknown.ns, unknown.why, unknown.stack
                )
            })
            .collect();
        let known = cases.iter().filter(|(cell, case)| is_allowed(*cell, case));
        wrong.extend(
            known
                .filter(|(cell, case)| !self.rows.iter().any(|(of, name, _)| of == cell && name == case))
                .map(|(cell, case)| format!("{what}: {cell}: {case} is in the list of the unknown, and is known")),
        );
        wrong
    }

    fn cases(&self) -> usize {
        let mut names: Vec<_> = self.rows.iter().map(|(cell, case, _)| (cell.name(), case)).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}
