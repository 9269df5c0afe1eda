//! Await points, a row each: what was waited for, where, how often and how long.

use std::fmt::Write as _;

use super::grid::{Cell, Colours, Grid, Look, beginning, end};
use crate::export::numbers::{ms, ms_number, percent, plural};
use crate::model::names::{file_name, last_segment};
use crate::model::text::printable;
use crate::model::{AwaitSource, Wait, Waits, Whose, WokenBy};

/// Columns of a name that are shown.
const NAME_WIDTH: usize = 56;
/// Columns of a request id that are shown.
const ID_WIDTH: usize = 40;

/// What each request, or each type of task, waited for: at most `top` rows of each.
#[must_use]
pub fn waits(told: &[Waits], top: usize, colours: Colours) -> String {
    let mut text = String::new();
    for one in told.iter().filter(|one| matches!(one.whose, Whose::Request(_)) || between_polls(one) > 0) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&heading(one));
        text.push_str(&table(one, top, colours));
    }
    if text.is_empty() {
        text.push_str("no task has waited\n");
    }
    for remark in remarks(told) {
        text.push('\n');
        text.push_str(&remark);
        text.push('\n');
    }
    text
}

/// The worst `most` await points of a request: what is awaited with its place, how often, how long.
pub(super) fn worst_points(rows: &[Wait], most: usize) -> Vec<(String, u64, u64)> {
    as_read(rows).iter().take(most).map(|row| (row.point(), row.count, row.total_ns)).collect()
}

/// The same as a sentence each.
pub(super) fn worst(rows: &[Wait], wall_ns: u64, most: usize) -> Vec<String> {
    let rows = as_read(rows);
    let shown = rows.iter().take(most).map(|row| {
        let (times, longest) = (plural(row.count, "time"), ms(row.longest_ns));
        format!(
            "awaited {}: {}, {} of wall ({times}, the longest {longest})",
            row.point(),
            ms(row.total_ns),
            percent(row.total_ns, wall_ns)
        )
    });
    shown.collect()
}

/// Waits that read the same: their stacks differ in what is not shown.
#[derive(Clone, Debug, Default)]
struct Row {
    what: String,
    place: String,
    function: String,
    count: u64,
    total_ns: u64,
    longest_ns: u64,
    woken_by: Vec<WokenBy>,
}

impl Row {
    fn of(wait: &Wait) -> Self {
        let place = wait.file.as_deref().zip(wait.line).map(|(file, line)| format!("{}:{line}", shown(file_name(file))));
        Self {
            what: shown(&wait.what()),
            place: place.unwrap_or_else(|| "-".to_owned()),
            function: wait.function().map_or_else(|| "-".to_owned(), |name| shown(&name)),
            count: wait.count,
            total_ns: wait.total_ns,
            longest_ns: wait.longest_ns,
            woken_by: wait.woken_by.clone(),
        }
    }

    fn reads_as(&self, other: &Self) -> bool {
        (&self.what, &self.place, &self.function) == (&other.what, &other.place, &other.function)
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
        for by in &other.woken_by {
            match self.woken_by.iter_mut().find(|known| known.name == by.name) {
                Some(known) => known.count = known.count.saturating_add(by.count),
                None => self.woken_by.push(by.clone()),
            }
        }
    }

    fn point(&self) -> String {
        if self.place == "-" { self.what.clone() } else { format!("{} ({})", self.what, self.place) }
    }
}

/// Rows that read differently, the most time first.
fn as_read(waits: &[Wait]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for row in waits.iter().map(Row::of) {
        match rows.iter_mut().find(|known| known.reads_as(&row)) {
            Some(known) => known.add(&row),
            None => rows.push(row),
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.total_ns));
    rows
}

fn table(told: &Waits, top: usize, colours: Colours) -> String {
    let rows = as_read(&told.waits);
    if rows.is_empty() && told.unknown_ns == 0 {
        return "nothing was awaited\n".to_owned();
    }
    let mut grid = Grid::default();
    let mut heading: Vec<Cell> = ["await point", "place", "in function"].map(Cell::text).into();
    heading.extend(["times", "total ms", "longest ms", "% of wall"].map(Cell::number));
    heading.push(Cell::text("woken by"));
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for row in rows.iter().take(top) {
        grid.row(vec![
            Cell::text(format!("[await] {}", end(&row.what, NAME_WIDTH))),
            Cell::text(end(&row.place, NAME_WIDTH)),
            Cell::text(end(&row.function, NAME_WIDTH)),
            Cell::number(row.count.to_string()),
            Cell::number(ms_number(row.total_ns)).looking(Look::Alarm),
            Cell::number(ms_number(row.longest_ns)),
            Cell::number(percent(row.total_ns, told.wall_ns)),
            Cell::text(woken_by(&row.woken_by)),
        ]);
    }
    if told.unknown_ns > 0 {
        let mut cells: Vec<Cell> = ["[unknown]", "", ""].map(Cell::text).into();
        cells.extend([Cell::number(""), Cell::number(ms_number(told.unknown_ns)), Cell::number("")]);
        cells.push(Cell::number(percent(told.unknown_ns, told.wall_ns)));
        grid.row(cells.into_iter().map(|cell| cell.looking(Look::Faint)).collect());
    }
    let mut text = grid.render("", colours);
    let more = rows.len().saturating_sub(top);
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "... and {} more", plural(more as u64, "await point"));
    }
    text
}

/// `request order-42 #1: 20.060 ms between its polls, of 26.310 ms`.
fn heading(told: &Waits) -> String {
    let whose = match &told.whose {
        Whose::Request(name) => format!("request {} #{}", beginning(&name.shown(), ID_WIDTH), name.instance),
        Whose::Spawned { type_name, tasks, .. } => {
            format!("{} that it spawned, {}", plural(*tasks, "task"), end(&shown(type_name), NAME_WIDTH))
        }
        Whose::TaskType(name) => format!("tasks {}", end(&shown(name), NAME_WIDTH)),
    };
    format!("{whose}: {} between polls, of {} in all\n\n", ms(between_polls(told)), ms(told.wall_ns))
}

const fn between_polls(told: &Waits) -> u64 {
    told.suspended_ns.saturating_add(told.scheduled_ns)
}

/// `mid 3, leaf 1`.
fn woken_by(rows: &[WokenBy]) -> String {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| (other.count, &one.name).cmp(&(one.count, &other.name)));
    let each = rows.iter().map(|by| format!("{} {}", end(&shown(last_segment(&by.name)), NAME_WIDTH), by.count));
    each.collect::<Vec<_>>().join(", ")
}

fn remarks(told: &[Waits]) -> Vec<String> {
    let source = match told.first().map(|one| one.source) {
        Some(AwaitSource::None) => {
            Some("what is awaited is not known in this program: `profiler-daemon inspect` says what is missing".to_owned())
        }
        Some(AwaitSource::Wakers) => Some(
            "told by the last waker that was stored, which may be older than the wait: the program has no layouts of its futures"
                .to_owned(),
        ),
        Some(AwaitSource::Layouts) | None => None,
    };
    let clamped = told.iter().fold(0_u64, |sum, one| sum.saturating_add(one.clamped_ns));
    let cut = (clamped > 0).then(|| {
        let by = ms(clamped);
        format!("waits were longer than the time between polls by {by}, and are cut by that: an event was not seen")
    });
    let of_types = told.iter().all(|one| matches!(one.whose, Whose::TaskType(_)) && one.waits.is_empty());
    let known = told.first().is_some_and(|one| one.source != AwaitSource::None);
    let unkept = (of_types && known).then(|| {
        "what all tasks of a type awaited is kept while every task is measured: this daemon measures requests".to_owned()
    });
    source.into_iter().chain(unkept).chain(cut).collect()
}

fn shown(text: &str) -> String {
    printable(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{self, Names};
    use crate::model::{Capture, Keep, Selection, waits as ask};

    fn told(capture: &Capture, selection: &Selection) -> Vec<Waits> {
        ask(capture, selection, Keep::Own, &mut Names).unwrap()
    }

    fn order_42() -> Selection {
        Selection::Request { id: "order-42".into() }
    }

    #[test]
    fn a_requests_await_points() {
        assert_eq!(
            waits(&told(&fixture::awaits(), &order_42()), 3, Colours::Off),
            "\
request order-42 #1: 20.060 ms between polls, of 26.310 ms in all

await point                                         place         in function     times  total ms  longest ms  % of wall  woken by
[await] tokio::sync::semaphore::Semaphore::acquire  orders.rs:41  orders::query       2     8.030       5.020     30.5 %
[await] tokio::join! of load, price                 orders.rs:14  orders::handle      1     4.010       4.010     15.2 %  load 1
[await] tokio::time::sleep::Sleep                   orders.rs:35  orders::price       1     2.000       2.000      7.6 %
[unknown]                                                                                   5.010                 19.0 %
... and 1 await point more

1 task that it spawned, orders::audit: 7.000 ms between polls, of 9.000 ms in all

await point                        place         in function    times  total ms  longest ms  % of wall  woken by
[await] tokio::time::sleep::Sleep  orders.rs:60  orders::audit      1     6.000       6.000     66.7 %
[unknown]                                                                 1.000                 11.1 %

request order-42 #2: 0.900 ms between polls, of 0.940 ms in all

await point                                         place         in function    times  total ms  longest ms  % of wall  woken by
[await] tokio::sync::semaphore::Semaphore::acquire  orders.rs:41  orders::query      1     0.900       0.900     95.7 %
"
        );
    }

    #[test]
    fn all_tasks_and_what_was_cut() {
        let text = waits(&told(&fixture::awaits(), &Selection::All), 20, Colours::Off);
        assert!(text.starts_with("tasks orders::handle: 994.000 ms between polls, of 1000.000 ms in all\n"), "{text}");
        assert!(text.ends_with("by 10.020 ms, and are cut by that: an event was not seen\n"), "{text}");
        assert!(!text.contains("tasks orders::audit"), "it was never between polls: {text}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let text = waits(&told(&fixture::capture(), &order_42()), 20, Colours::Off);
        assert!(text.contains("\n[unknown]                                 20.060                 76.2 %\n"), "{text}");
        assert!(text.ends_with("`profiler-daemon inspect` says what is missing\n"), "{text}");
        let text = waits(&told(&fixture::wakers(), &order_42()), 20, Colours::Off);
        assert!(text.contains("[await] std::thread::sleep  -      orders::load      2"), "{text}");
        assert!(text.contains("told by the last waker"), "{text}");
        assert_eq!(waits(&[], 20, Colours::Off), "no task has waited\n");
        let mut capture = fixture::awaits();
        capture.await_sums.clear();
        let text = waits(&told(&capture, &Selection::All), 20, Colours::Off);
        assert!(text.ends_with("while every task is measured: this daemon measures requests\n"), "{text}");
    }

    #[test]
    fn rows_that_read_the_same_are_one_and_nothing_steers_a_terminal() {
        let mut all = told(&fixture::awaits(), &order_42());
        let mut again = all[0].waits[0].clone();
        let mut frames = again.stack.to_vec();
        frames[0].line = Some(13);
        again.stack = frames.into();
        again.woken_by = vec![WokenBy { name: "a::\u{1b}[2J".into(), count: 2 }];
        all[0].waits.push(again);
        all[0].waits[1].awaited = "\u{1b}]0;x\u{7}".into();
        let text = waits(&all, 20, Colours::Off);
        assert!(text.contains(" orders::query       4    16.060       5.020     61.0 %  \\x1b[2J 2\n"), "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        let lines = worst(&all[0].waits, all[0].wall_ns, 1);
        assert_eq!(
            lines,
            [
                "awaited tokio::sync::semaphore::Semaphore::acquire (orders.rs:41): 16.060 ms, 61.0 % of wall (4 times, the longest 5.020 ms)"
            ]
        );
    }
}
