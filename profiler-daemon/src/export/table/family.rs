//! A request's family: its tree of tasks, and what its wall time consisted of.

use std::fmt::Write as _;

use super::grid::{Cell, Colours, Grid, Look, beginning, end};
use super::tasks::time_in;
use crate::export::numbers::{ms, ms_number, percent, plural};
use crate::model::names::file_name;
use crate::model::report::RequestName;
use crate::model::text::printable;
use crate::model::{AwaitSource, CriticalPath, Family, Hop, Member, PathRow, PathState, State};

/// Columns of a type's name that are shown.
const NAME_WIDTH: usize = 48;
/// Columns of a request id that are shown.
const ID_WIDTH: usize = 40;
/// Columns of what is awaited that are shown.
const AWAIT_WIDTH: usize = 64;
/// Steps of the tree that are indented; deeper ones stand below one another, with their depth.
const DEPTH_SHOWN: u32 = 16;

/// Each instance of a request: the tree, and the critical path in at most `top` rows, or step by step.
#[must_use]
pub fn families(told: &[Family], top: usize, steps: bool, colours: Colours) -> String {
    let mut text = String::new();
    for one in told {
        if !text.is_empty() {
            text.push('\n');
        }
        let ended = if one.complete { "ended" } else { "still running" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "request {}: {}, {ended}\n", name(&one.request), ms(one.critical_path.wall_ns));
        text.push_str(&members(one, colours));
        let _ = writeln!(text, "\ncritical path: what these {} consisted of\n", ms(one.critical_path.wall_ns));
        text.push_str(&if steps { in_time(&one.critical_path, colours) } else { parts(&one.critical_path, top, colours) });
        for remark in remarks(one) {
            let _ = writeln!(text, "\n{remark}");
        }
    }
    text
}

fn members(family: &Family, colours: Colours) -> String {
    let mut grid = Grid::default();
    let mut heading = vec![Cell::text("task"), Cell::text("kind"), Cell::text("")];
    heading.extend(["after ms", "wall ms"].map(Cell::number));
    heading.extend(State::ALL.map(|state| Cell::number(state.name())));
    heading.extend(["polls", "critical ms"].map(Cell::number));
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for member in &family.tree {
        let mut cells = vec![
            Cell::text(format!("{}{}", indent(member.depth), task(member.type_name.as_deref(), member.id))),
            Cell::text(member.kind.map_or("request", crate::model::TaskKind::name)),
            Cell::text(how(member)),
            Cell::number(ms_number(member.after_ns)),
            Cell::number(ms_number(member.times.wall_ns)),
        ];
        cells.extend(State::ALL.map(|state| time_in(member.times.states().of(state), state)));
        cells.extend([Cell::number(member.counts.polls.to_string()), Cell::number(ms_number(member.critical_ns))]);
        grid.row(cells);
    }
    grid.render("", colours)
}

fn indent(depth: u32) -> String {
    match depth {
        0 => String::new(),
        shown if shown <= DEPTH_SHOWN => "  ".repeat(usize::try_from(shown).unwrap_or(0)),
        deep => format!("{}({deep}) ", "  ".repeat(usize::try_from(DEPTH_SHOWN).unwrap_or(0))),
    }
}

fn how(member: &Member) -> String {
    let mut words = vec![if member.complete { "ended" } else { "running" }];
    if member.outlived {
        words.push("after the request");
    }
    if !member.spawn_seen && member.kind.is_some() {
        words.push("(spawn not seen)");
    } else if !member.parent_known {
        words.push("(parent not known)");
    }
    words.join(" ")
}

/// Rows by who waited for whom, in the order in which they came; in each the most time first.
fn parts(path: &CriticalPath, top: usize, colours: Colours) -> String {
    let mut largest: Vec<usize> = (0..path.rows.len()).collect();
    let ns = |place: &usize| path.rows.get(*place).map_or(0, |row| row.ns);
    largest.sort_by_key(|place| std::cmp::Reverse(ns(place)));
    let rest = largest.split_off(top.min(largest.len()));
    let mut order: Vec<(usize, &PathRow)> = largest.iter().filter_map(|&place| Some((place, path.rows.get(place)?))).collect();
    let first = |row: &PathRow| path.rows.iter().position(|other| other.chain == row.chain);
    order.sort_by_key(|(place, row)| (first(row), std::cmp::Reverse(row.ns), *place));
    let mut grid = Grid::default();
    grid.row(heading(&["whose time", "state"], &["ms", "%", "times"], &["at", "awaited from"]));
    let mut before: Option<&[Hop]> = None;
    for (_, row) in order {
        let again = before.replace(&row.chain) == Some(&row.chain[..]);
        let (whose, from) = if again { <(String, String)>::default() } else { (whose(&row.chain), from(&row.chain)) };
        grid.row(vec![
            Cell::text(whose),
            state(row.state),
            Cell::number(ms_number(row.ns)),
            Cell::number(percent(row.ns, path.wall_ns)),
            Cell::number(row.count.to_string()),
            Cell::text(at(row)),
            Cell::text(from),
        ]);
    }
    if !rest.is_empty() {
        let left = rest.iter().fold(0_u64, |sum, place| sum.saturating_add(ns(place)));
        let more = format!("... and {} more", plural(rest.len() as u64, "part"));
        grid.row(vec![
            Cell::text(more),
            Cell::text(""),
            Cell::number(ms_number(left)),
            Cell::number(percent(left, path.wall_ns)),
        ]);
    }
    let all = percent(path.wall_ns, path.wall_ns);
    grid.row(vec![Cell::text("wall"), Cell::text(""), Cell::number(ms_number(path.wall_ns)), Cell::number(all)]);
    grid.render("", colours)
}

/// Every step, in order of time.
fn in_time(path: &CriticalPath, colours: Colours) -> String {
    let mut grid = Grid::default();
    let mut cells = heading(&[], &["after ms", "ms"], &["state", "whose time", "at"]);
    cells.truncate(5);
    grid.row(cells);
    for step in &path.steps {
        let Some(row) = path.rows.get(step.row) else { continue };
        grid.row(vec![
            Cell::number(ms_number(step.after_ns)),
            Cell::number(ms_number(step.ns)),
            state(row.state),
            Cell::text(whose(&row.chain)),
            Cell::text(at(row)),
        ]);
    }
    grid.render("", colours)
}

fn heading(before: &[&str], numbers: &[&str], after: &[&str]) -> Vec<Cell> {
    let text = |words: &[&str]| words.iter().map(|word| Cell::text(*word)).collect::<Vec<_>>();
    let mut cells = text(before);
    cells.extend(numbers.iter().map(|word| Cell::number(*word)));
    cells.extend(text(after));
    cells.into_iter().map(|cell| cell.looking(Look::Heading)).collect()
}

fn state(state: PathState) -> Cell {
    let cell = Cell::text(state.name());
    match state {
        PathState::Blocked | PathState::Preempted => cell.looking(Look::Alarm),
        PathState::Unknown => cell.looking(Look::Faint),
        _ => cell,
    }
}

/// `request`, or the awaited task, with an arrow for each that it was awaited by.
fn whose(chain: &[Hop]) -> String {
    match chain.last() {
        None => "request".to_owned(),
        Some(hop) => format!("{}> {}", "  ".repeat(chain.len().saturating_sub(1)), task(Some(&hop.type_name), hop.id)),
    }
}

/// Where the one before awaits it.
fn from(chain: &[Hop]) -> String {
    match chain.last() {
        None => String::new(),
        Some(Hop { file: Some(file), line: Some(line), .. }) => format!("{}:{line}", shown(file_name(file))),
        Some(Hop { by_wake: true, .. }) => "told by its wake".to_owned(),
        Some(_) => "-".to_owned(),
    }
}

fn at(row: &PathRow) -> String {
    if let Some(why) = row.unknown {
        return format!("[{}]", why.meaning());
    }
    let Some(awaited) = &row.awaited else { return String::new() };
    let awaited = format!("[await] {}", end(&shown(awaited), AWAIT_WIDTH));
    match (&row.file, row.line) {
        (Some(file), Some(line)) => format!("{awaited} ({}:{line})", shown(file_name(file))),
        _ => awaited,
    }
}

fn task(type_name: Option<&str>, id: Option<u64>) -> String {
    let name = type_name.map_or_else(|| "outside of any task".to_owned(), |name| end(&shown(name), NAME_WIDTH));
    match id {
        Some(id) => format!("{name} (task {id})"),
        None => name,
    }
}

fn remarks(family: &Family) -> Vec<String> {
    let path = &family.critical_path;
    let mut lines = Vec::new();
    if family.source != AwaitSource::Layouts {
        lines.push(
            "the program has no layouts of its futures: which task was awaited is told by the wakes alone, where they tell it"
                .to_owned(),
        );
    }
    if path.by_wake_ns > 0 {
        let time = ms(path.by_wake_ns);
        lines.push(format!("{time} lie in tasks that were found by the wake that they caused, not by the await stack"));
    }
    if path.divided_ns > 0 {
        let time = ms(path.divided_ns);
        lines.push(format!("{time} lie in parts of polls whose stretches off the CPU are not known: divided as the whole poll"));
    }
    lines
}

fn name(name: &RequestName) -> String {
    // A report's id is text already, or the printable form of bytes: only the former needs escaping.
    let id = if name.id_hex.is_some() { name.id.clone() } else { shown(&name.id) };
    format!("{} #{}", beginning(&id, ID_WIDTH), name.instance)
}

fn shown(text: &str) -> String {
    printable(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{self, Names};
    use crate::model::{Keep, Selection, families as ask};

    const TREE: &str = "\
request order-42 #1: 7.600 ms, ended

task                                     kind             after ms  wall ms  running  preempted  blocked  scheduled  suspended  polls  critical ms
orders::handle (task 12)                 request   ended     0.000    7.600    1.500      0.000    0.000      0.100      6.000      2        1.700
  orders::audit (task 13)                spawned   ended     0.500    6.400    2.000      0.000    0.000      0.500      3.900      2        2.500
    orders::hash::{closure 0} (task 14)  blocking  ended     2.000    3.400    1.000      0.000    2.000      0.400      0.000      1        3.400

critical path: what these 7.600 ms consisted of

";

    const PARTS: &str = "\
whose time                               state         ms        %  times  at                                         awaited from
request                                  running    1.500   19.7 %      2
                                         suspended  0.100    1.3 %      1  [await] task orders::audit (orders.rs:16)
                                         scheduled  0.100    1.3 %      1
> orders::audit (task 13)                running    2.000   26.3 %      2                                             orders.rs:16
                                         suspended  0.500    6.6 %      1  [await] task orders::audit (orders.rs:16)
  > orders::hash::{closure 0} (task 14)  blocked    2.000   26.3 %      1                                             orders.rs:16
                                         running    1.000   13.2 %      2
                                         scheduled  0.400    5.3 %      1
wall                                                7.600  100.0 %
";

    const STEPS: &str = "\
after ms     ms  state      whose time                               at
   0.000  1.000  running    request
   1.000  1.000  running    > orders::audit (task 13)
   2.000  0.400  scheduled    > orders::hash::{closure 0} (task 14)
   2.400  0.500  running      > orders::hash::{closure 0} (task 14)
   2.900  2.000  blocked      > orders::hash::{closure 0} (task 14)
   4.900  0.500  running      > orders::hash::{closure 0} (task 14)
   5.400  0.500  suspended  > orders::audit (task 13)                [await] task orders::audit (orders.rs:16)
   5.900  1.000  running    > orders::audit (task 13)
   6.900  0.100  suspended  request                                  [await] task orders::audit (orders.rs:16)
   7.000  0.100  scheduled  request
   7.100  0.500  running    request
";

    fn told() -> Vec<Family> {
        ask(&fixture::family(), &Selection::Request { id: "order-42".into() }, Keep::Own, &mut Names).unwrap()
    }

    #[test]
    fn a_family_in_full() {
        assert_eq!(families(&told()[..1], 20, false, Colours::Off), format!("{TREE}{PARTS}"));
    }

    #[test]
    fn parts_that_are_not_shown_are_summed() {
        let text = families(&told()[..1], 2, false, Colours::Off);
        assert!(text.contains("... and "), "{text}");
        assert!(text.contains("wall "), "{text}");
    }

    #[test]
    fn step_by_step() {
        assert_eq!(families(&told()[..1], 20, true, Colours::Off), format!("{TREE}{STEPS}"));
    }

    #[test]
    fn a_terminal_sees_no_escape_that_is_not_ours() {
        let mut all = told();
        "evil\x1b[2J\u{202e}".clone_into(&mut all[0].request.id);
        all[0].tree[1].type_name = Some("evil\x1b]0;title\x07".to_owned());
        for row in &mut all[0].critical_path.rows {
            row.awaited = Some("evil\x1b[1m".to_owned());
            row.file = Some("evil\x1b[1m".to_owned());
        }
        for steps in [false, true] {
            let text = families(&all, 20, steps, Colours::Off);
            assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        }
    }
}
