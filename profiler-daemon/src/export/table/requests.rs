//! Requests: one in full, or many as a table.

use super::foreign;
use super::grid::{Cell, Colours, Grid, Look, beginning, end};
use super::routes::routes;
use super::tasks::time_in;
use super::unfollowed;
use super::waits::{worst, worst_points};
use crate::export::numbers::{ms, ms_number, percent, plural};
use crate::model::report::{Child, Foreign, Request, TaskRef, Times};
use crate::model::text::printable;
use crate::model::{ForeignSource, Report, State};

/// Columns of a request id that are shown.
const ID_WIDTH: usize = 40;
/// Columns of a type's name that are shown.
const NAME_WIDTH: usize = 48;
/// Columns of an await point that are shown.
const POINT_WIDTH: usize = 64;
/// Length of the bar of a state that takes all the time.
const BAR_WIDTH: u64 = 40;
/// Await points that are told of a request; `waits` has all.
const AWAITS_SHOWN: usize = 3;

/// One request: its wall time, its five states in ms and percent, what is not known about it, the tasks it spawned.
#[must_use]
pub fn request(row: &Request, colours: Colours) -> String {
    let mut heading = Grid::default();
    heading.row(vec![Cell::text(format!("request {}", name(row))).looking(Look::Heading), Cell::text(place(row))]);
    let mut text = heading.render("", colours);
    text.push('\n');
    text.push_str(&states(&row.times).render("  ", colours));
    text.push('\n');
    for line in remarks(row) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    if !row.children.is_empty() {
        text.push_str("\n  spawned tasks, in time of their own\n\n");
        text.push_str(&children(&row.children).render("  ", colours));
    }
    text
}

/// All requests of a report, a row each, the tasks they spawned below them.
#[must_use]
pub fn requests(report: &Report, colours: Colours) -> String {
    let mut grid = Grid::default();
    let mut heading = vec![Cell::text("request"), Cell::text(""), Cell::number("wall ms")];
    for state in State::ALL {
        heading.push(Cell::number(state.name()));
        heading.push(Cell::number("%"));
    }
    heading.extend([Cell::number("polls"), Cell::number("wakes")]);
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for row in &report.requests {
        let ended = if row.complete { "ended" } else { "running" };
        grid.row(table_row(name(row), ended, &row.times, row.counts.polls, row.counts.wakes));
        for (point, count, ns) in worst_points(&row.waits, AWAITS_SHOWN) {
            let point = format!("  [await] {}", end(&point, POINT_WIDTH));
            grid.row(vec![Cell::text(point), Cell::text(plural(count, "time")), Cell::number(ms_number(ns))]);
        }
        for child in &row.children {
            let name = format!("  + {}", task(&child.task));
            let ended = if child.complete { "ended" } else { "running" };
            grid.row(table_row(name, ended, &child.times, child.counts.polls, child.counts.wakes));
        }
    }
    let mut text = routes(&report.routes, colours);
    if !text.is_empty() {
        text.push_str("\nthe slowest of them, and the worst of each route\n\n");
    }
    text.push_str(&grid.render("", colours));
    if report.requests.is_empty() && !report.foreign.is_empty() {
        return foreign::all(&report.foreign, colours);
    }
    if report.requests.is_empty() {
        text.push_str("no request was seen\n");
    }
    let is_told =
        |row: &&Foreign| row.source == ForeignSource::TaskLocal && report.requests.iter().any(|own| own.name.id == row.id);
    let others: Vec<Foreign> = report.foreign.iter().filter(|row| !is_told(row)).cloned().collect();
    let others = foreign::all(&others, colours);
    if !others.is_empty() {
        text.push('\n');
        text.push_str(&others);
    }
    text
}

fn table_row(name: String, ended: &str, times: &Times, polls: u64, wakes: u64) -> Vec<Cell> {
    let mut cells = vec![Cell::text(name), Cell::text(ended), Cell::number(ms_number(times.wall_ns))];
    for state in State::ALL {
        let ns = times.states().of(state);
        cells.push(time_in(ns, state));
        cells.push(Cell::number(percent(ns, times.wall_ns)).looking(Look::Faint));
    }
    cells.extend([Cell::number(polls.to_string()), Cell::number(wakes.to_string())]);
    cells
}

fn states(times: &Times) -> Grid {
    let mut grid = Grid::default();
    let heading = [Cell::text("state"), Cell::number("ms"), Cell::number("%")];
    grid.row(heading.map(|cell| cell.looking(Look::Heading)).into());
    for state in State::ALL {
        let ns = times.states().of(state);
        let (share, bar) = (percent(ns, times.wall_ns), bar(ns, times.wall_ns));
        grid.row(vec![Cell::text(state.name()), time_in(ns, state), Cell::number(share), Cell::text(bar)]);
    }
    let all = percent(times.wall_ns, times.wall_ns);
    grid.row(vec![Cell::text("wall"), Cell::number(ms_number(times.wall_ns)), Cell::number(all)]);
    grid
}

fn bar(part: u64, whole: u64) -> String {
    let eighths = (u128::from(part) * u128::from(BAR_WIDTH) * 8).checked_div(u128::from(whole)).unwrap_or(0);
    let eighths = usize::try_from(eighths).unwrap_or(0);
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8).copied().unwrap_or_default();
    format!("{}{rest}", "█".repeat(eighths / 8))
}

fn name(row: &Request) -> String {
    format!("{} #{}", beginning(&row.name.shown(), ID_WIDTH), row.name.instance)
}

fn task(task: &TaskRef) -> String {
    let name = end(&printable(task.type_name.as_bytes()), NAME_WIDTH);
    match task.id {
        Some(id) => format!("{name} (task {id})"),
        None => name,
    }
}

fn place(row: &Request) -> String {
    let ended = if row.complete { "ended" } else { "still running" };
    match &row.task {
        None if row.kept_times => format!("{ended}, its times kept by itself"),
        Some(polled_by) => format!("{ended}, in {}", task(polled_by)),
        // Its wakes are known and its task is not: it has a waker of its own, where no task is seen.
        None if row.scheduled_known => format!("{ended}, its task is not seen"),
        None => format!("{ended}, outside of any task"),
    }
}

/// Counts, and everything about the row that is not known: nothing of it is folded away in silence.
fn remarks(row: &Request) -> Vec<String> {
    let counts = &row.counts;
    let longest = ms(counts.longest_poll_ns);
    if row.kept_times {
        return kept_times(row);
    }
    let mut lines = worst(&row.waits, row.times.wall_ns, AWAITS_SHOWN);
    lines.push(format!("{}, the longest {longest}; {}", plural(counts.polls, "poll"), plural(counts.wakes, "wake")));
    lines.extend(sampled(row));
    lines.extend(behind(row));
    if row.times.stopped_ns > 0 {
        lines.push(format!("of blocked, {} were spent stopped or traced", ms(row.times.stopped_ns)));
    }
    if counts.wake_unseen > 0 {
        lines.push(format!("{} without a wake seen before", plural(counts.wake_unseen, "poll")));
    }
    if row.times.unseen_ns > 0 {
        lines.push(format!("of suspended, {} may have been another state: an event was not seen", ms(row.times.unseen_ns)));
    }
    if !row.scheduled_known {
        lines.push("scheduled is not known outside of a task: it is in suspended".to_owned());
    }
    if !row.start_seen {
        lines.push("the first poll was not seen: wall starts at the first that was".to_owned());
    }
    lines.extend(row.unfollowed.and_then(unfollowed::sentence));
    lines
}

/// The same of a request that has kept its times itself.
fn kept_times(row: &Request) -> Vec<String> {
    let counts = &row.counts;
    let (polls, wakes) = (plural(counts.polls, "poll"), plural(counts.wakes, "wake"));
    let mut lines = vec![format!("{polls}, the longest {}; {wakes}", ms(counts.longest_poll_ns))];
    if row.times.stopped_ns > 0 {
        lines.push(format!("of blocked, {} were spent stopped or traced", ms(row.times.stopped_ns)));
    }
    if counts.wake_unseen > 0 {
        lines.push(format!("{} without a wake of its own before", plural(counts.wake_unseen, "poll")));
    }
    if !row.start_seen {
        lines.push("the first poll was not seen: wall starts at the first that was".to_owned());
    }
    lines.push(
        "no stacks, awaits or tasks are known of it: --mode process has them, and --slower-than catches one like it".to_owned(),
    );
    lines
}

/// What the shape of its running time rests on.
fn sampled(row: &Request) -> Option<String> {
    match row.sampled.scale {
        _ if row.times.running_ns == 0 => None,
        None => Some("no sample fell into running: it was too short for one, or there was no sampling".to_owned()),
        Some(scale) => {
            let (count, time) = (plural(row.sampled.samples, "sample"), ms(row.sampled.sampled_ns));
            Some(format!("{count} of running for {time}, scaled by {scale:.3}"))
        }
    }
}

/// Types of task that are told one by one of those that a request waited behind.
const BEHIND_SHOWN: usize = 2;

/// What held the workers while it was ready.
fn behind(row: &Request) -> Vec<String> {
    let mut lines: Vec<String> = row
        .scheduled_behind
        .iter()
        .take(BEHIND_SHOWN)
        .map(|part| {
            let (polls, longest) = (plural(part.polls, "poll"), ms(part.longest_ns));
            let name = end(&printable(part.task.type_name.as_bytes()), NAME_WIDTH);
            format!("waited for a worker behind {name}: {} ({polls}, the longest {longest})", ms(part.ns))
        })
        .collect();
    let others = row.scheduled_behind.iter().skip(BEHIND_SHOWN);
    let others_ns = others.fold(0_u64, |sum, part| sum.saturating_add(part.ns));
    if others_ns > 0 {
        lines.push(format!("waited for a worker behind other tasks: {}", ms(others_ns)));
    }
    if row.scheduled_unrecorded_ns > 0 && !lines.is_empty() {
        lines.push(format!("waited for a worker behind no recorded poll: {}", ms(row.scheduled_unrecorded_ns)));
    }
    lines
}

fn children(rows: &[Child]) -> Grid {
    let mut grid = Grid::default();
    let mut heading = vec![Cell::text("type"), Cell::text(""), Cell::number("wall ms")];
    heading.extend(State::ALL.map(|state| Cell::number(state.name())));
    heading.push(Cell::number("polls"));
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for row in rows {
        let later = if row.spawn_seen { "" } else { "+" };
        let mut cells = vec![
            Cell::text(task(&row.task)),
            Cell::text(if row.complete { "ended" } else { "running" }),
            Cell::number(format!("{later}{}", ms_number(row.times.wall_ns))),
        ];
        cells.extend(State::ALL.map(|state| time_in(row.times.states().of(state), state)));
        cells.push(Cell::number(row.counts.polls.to_string()));
        grid.row(cells);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Filter, fixture, report};

    fn made() -> Report {
        report(&fixture::capture(), &Filter::All)
    }

    #[test]
    fn one_request_in_full() {
        assert_eq!(
            request(&made().requests[0], Colours::Off),
            "\
request order-42 #1  ended, in orders::handle (task 12)

  state          ms        %
  running     5.000   19.0 %  ███████▌
  preempted   0.250    1.0 %  ▍
  blocked     1.000    3.8 %  █▌
  scheduled   0.060    0.2 %
  suspended  20.000   76.0 %  ██████████████████████████████▍
  wall       26.310  100.0 %

  4 polls, the longest 3.000 ms; 3 wakes
  3 samples of running for 3.000 ms, scaled by 1.667
  of suspended, 3.000 ms may have been another state: an event was not seen

  spawned tasks, in time of their own

  type                            wall ms  running  preempted  blocked  scheduled  suspended  polls
  orders::audit (task 13)  ended    9.000    2.000      0.000    0.000      0.000      7.000      2
"
        );
    }

    #[test]
    fn what_held_the_workers_is_told_and_a_request_too_short_for_a_sample() {
        let made = report(&fixture::blocked(), &Filter::All);
        let text = request(&made.requests[0], Colours::Off);
        for remark in [
            "  waited for a worker behind orders::audit: 0.030 ms (1 poll, the longest 0.030 ms)\n",
            "  waited for a worker behind no recorded poll: 0.020 ms\n",
        ] {
            assert!(text.contains(remark), "{text}");
        }
        let text = request(&made.requests[2], Colours::Off);
        assert!(text.contains("  no sample fell into running: it was too short for one, or there was no sampling\n"), "{text}");
        assert!(!text.contains("waited for"), "{text}");
    }

    #[test]
    fn the_worst_await_points_stand_under_the_states() {
        let made = report(&fixture::awaits(), &Filter::All);
        let text = request(&made.requests[0], Colours::Off);
        let first = "  awaited tokio::sync::semaphore::Semaphore::acquire (orders.rs:41): 8.030 ms, 30.5 % of wall (2 times, the longest 5.020 ms)\n";
        assert!(
            text.contains(&format!("100.0 %\n\n{first}  awaited tokio::join! of load, price (orders.rs:14): 4.010 ms")),
            "{text}"
        );
        assert!(text.contains("1 time, the longest 2.000 ms)\n  4 polls,"), "three are told: {text}");
        let table = requests(&made, Colours::Off);
        let row = table.lines().nth(2).unwrap();
        assert!(row.starts_with("  [await] ") && row.contains("acquire (orders.rs:41)  2 times    8.030"), "{table}");
        assert_eq!(table.lines().filter(|line| line.starts_with("  [await]")).count(), 4);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut row = made().requests[1].clone();
        row.counts.wake_unseen = 2;
        row.start_seen = false;
        row.times.stopped_ns = 400_000;
        let text = request(&row, Colours::Off);
        let heading = "request <script>;\\x1b[31m\\xff\"'\\x0a 7 #1  ended, outside of any task\n";
        assert!(text.starts_with(heading), "{text}");
        for remark in [
            "  of blocked, 0.400 ms were spent stopped or traced\n",
            "  2 polls without a wake seen before\n",
            "  scheduled is not known outside of a task: it is in suspended\n",
            "  the first poll was not seen: wall starts at the first that was\n",
        ] {
            assert!(text.contains(remark), "{text}");
        }
    }

    #[test]
    fn many_requests_with_their_tasks() {
        assert_eq!(
            requests(&made(), Colours::Off),
            r#"request                                    wall ms  running       %  preempted      %  blocked      %  scheduled      %  suspended       %  polls  wakes
order-42 #1                       ended     26.310    5.000  19.0 %      0.250  1.0 %    1.000  3.8 %      0.060  0.2 %     20.000  76.0 %      4      3
  + orders::audit (task 13)       ended      9.000    2.000  22.2 %      0.000  0.0 %    0.000  0.0 %      0.000  0.0 %      7.000  77.8 %      2      1
<script>;\x1b[31m\xff"'\x0a 7 #1  ended     26.310    5.000  19.0 %      0.250  1.0 %    1.000  3.8 %      0.060  0.2 %     20.000  76.0 %      4      3
order-42 #2                       running    0.940    0.040   4.3 %      0.000  0.0 %    0.000  0.0 %      0.000  0.0 %      0.900  95.7 %      1      0
"#
        );
    }

    #[test]
    fn a_terminal_sees_no_escape_that_is_not_ours() {
        let mut row = made().requests[0].clone();
        "evil\x1b[2J\u{202e}".clone_into(&mut row.name.id);
        "evil\x1b]0;title\x07".clone_into(&mut row.children[0].task.type_name);
        let plain = request(&row, Colours::Off);
        assert!(!plain.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{plain:?}");
        let coloured = request(&row, Colours::On);
        let ours = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m"];
        let without = ours.iter().fold(coloured, |text, escape| text.replace(escape, ""));
        assert_eq!(without, plain);
    }

    #[test]
    fn no_request_is_said() {
        let mut report = made();
        report.requests.clear();
        assert!(requests(&report, Colours::Off).ends_with("no request was seen\n"));
    }
}
