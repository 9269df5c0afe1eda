//! What was lost, clamped or not seen: the footer of every table.

use std::collections::BTreeMap;

use super::grid::{Cell, Colours, Grid, Look};

/// The counters above zero, each with the sentence that says what it means; nothing if there are none.
///
/// `meaning` knows the counters of this build; of another one's (a report from a file) only name and count are shown.
#[must_use]
pub fn losses(lost: &BTreeMap<String, u64>, meaning: &dyn Fn(&str) -> Option<&'static str>, colours: Colours) -> String {
    let mut grid = Grid::default();
    for (name, &count) in lost.iter().filter(|&(_, &count)| count > 0) {
        let shown = crate::model::text::printable(name.as_bytes());
        grid.row(vec![
            Cell::text(shown).looking(Look::Alarm),
            Cell::number(count.to_string()),
            Cell::text(meaning(name).unwrap_or_default()),
        ]);
    }
    match grid.render("  ", colours) {
        lines if lines.is_empty() => lines,
        lines => format!("lost or not seen:\n{lines}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Filter, fixture, report};

    #[test]
    fn only_what_was_lost_is_shown_with_its_meaning() {
        let capture = fixture::capture();
        let mut report = report(&capture, &Filter::All);
        report.lost.insert("of_another_build".to_owned(), 12);
        let meaning = |name: &str| capture.losses.iter().find(|loss| loss.name == name).map(|loss| loss.meaning);
        assert_eq!(
            losses(&report.lost, &meaning, Colours::Off),
            "lost or not seen:
  of_another_build  12
  stale_polls        7  Polls whose end was not seen were closed.
"
        );
        assert_eq!(losses(&BTreeMap::from([("ring_full".to_owned(), 0)]), &meaning, Colours::Off), "");
    }
}
