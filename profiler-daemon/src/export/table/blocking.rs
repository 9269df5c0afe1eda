//! What holds workers: blocking places and long polls, a row each.

use std::fmt::Write as _;

use super::grid::{Cell, Colours, Grid, Look, beginning, end};
use crate::export::numbers::{ms, ms_number, percent, plural};
use crate::model::blocking::{Code, LongPolls, Place, SampledStack};
use crate::model::report::RequestName;
use crate::model::text::printable;
use crate::model::{Blocking, TaskKind, names};

/// Columns of a place or a type's name that are shown.
const NAME_WIDTH: usize = 56;
/// Columns of a request id that are shown.
const ID_WIDTH: usize = 32;

/// Both lists, and what they leave out; with the stack under each row if `stacks`.
#[must_use]
pub fn blocking(told: &Blocking, stacks: bool, colours: Colours) -> String {
    let mut text = String::from("places that blocked a worker, the most time first\n\n");
    text.push_str(&places(told, stacks, colours));
    // Writing to a String cannot fail.
    let _ = write!(text, "\npolls that ran {} or longer without yielding, by task\n\n", ms(told.threshold_ns));
    text.push_str(&long_polls(told, stacks, colours));
    let remarks = remarks(told);
    if !remarks.is_empty() {
        text.push('\n');
    }
    for remark in remarks {
        text.push_str(&remark);
        text.push('\n');
    }
    text
}

/// The worst `most` places, a line each; nothing if no worker was blocked.
#[must_use]
pub fn worst_places(told: &Blocking, most: usize, colours: Colours) -> String {
    let worst = Blocking { places: told.places.iter().take(most).cloned().collect(), ..told.clone() };
    if worst.places.is_empty() {
        return String::new();
    }
    format!("blocked a worker:\n{}", places_grid(&worst).render("  ", colours))
}

fn places(told: &Blocking, stacks: bool, colours: Colours) -> String {
    if told.places.is_empty() {
        return "no worker was blocked\n".to_owned();
    }
    let below = |row: usize| match told.places.get(row) {
        Some(place) if stacks => stack_lines(&place.stack, place.whole),
        _ => String::new(),
    };
    let mut text = with_stacks(&places_grid(told).render("", colours), below);
    text.push_str(&left_off(told.places.len(), told.places_known, "place"));
    text
}

fn places_grid(told: &Blocking) -> Grid {
    let mut grid = Grid::default();
    let mut heading: Vec<Cell> = ["where", "in", "task"].map(Cell::text).into();
    heading.extend(["times", "total ms", "longest ms"].map(Cell::number));
    heading.push(Cell::text("request"));
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for place in &told.places {
        grid.row(vec![
            Cell::text(place_of(place)),
            Cell::text(place.syscall.as_deref().map_or_else(|| "-".to_owned(), shown)),
            Cell::text(task(place.type_name.as_deref(), place.kind)),
            Cell::number(place.count.to_string()),
            Cell::number(ms_number(place.total_ns)).looking(Look::Alarm),
            Cell::number(ms_number(place.longest_ns)),
            Cell::text(request(place.request.as_ref())),
        ]);
    }
    grid
}

fn long_polls(told: &Blocking, stacks: bool, colours: Colours) -> String {
    if told.long_polls.is_empty() {
        return "no poll did\n".to_owned();
    }
    let mut grid = Grid::default();
    let mut heading = vec![Cell::text("task")];
    heading.extend(["polls", "total ms", "longest ms", "samples"].map(Cell::number));
    heading.extend(["mostly in", "request"].map(Cell::text));
    grid.row(heading.into_iter().map(|cell| cell.looking(Look::Heading)).collect());
    for row in &told.long_polls {
        grid.row(vec![
            Cell::text(task(row.type_name.as_deref(), row.kind)),
            Cell::number(row.count.to_string()),
            Cell::number(ms_number(row.total_ns)).looking(Look::Alarm),
            Cell::number(ms_number(row.longest_ns)),
            Cell::number(row.samples.to_string()),
            Cell::text(mostly(row)),
            Cell::text(request(row.request.as_ref())),
        ]);
    }
    let below = |row: usize| match told.long_polls.get(row) {
        Some(row) if stacks => row.stacks.iter().map(sampled).collect(),
        _ => String::new(),
    };
    let mut text = with_stacks(&grid.render("", colours), below);
    text.push_str(&left_off(told.long_polls.len(), told.long_polls_known, "task type"));
    text
}

/// The table's lines, each row with what stands below it.
fn with_stacks(table: &str, below: impl Fn(usize) -> String) -> String {
    let mut lines = table.lines();
    let mut text = lines.next().map(|heading| format!("{heading}\n")).unwrap_or_default();
    for (row, line) in lines.enumerate() {
        text.push_str(line);
        text.push('\n');
        text.push_str(&below(row));
    }
    text
}

fn stack_lines(stack: &[Code], whole: bool) -> String {
    let mut text = String::new();
    for line in stack {
        let _ = writeln!(text, "    at {}", code(line));
    }
    if !whole {
        text.push_str("    [the stack was cut here]\n");
    }
    text
}

fn sampled(row: &SampledStack) -> String {
    format!("    {}, {}:\n{}", plural(row.samples, "sample"), ms(row.sampled_ns), stack_lines(&row.stack, true))
}

fn left_off(listed: usize, known: u64, noun: &str) -> String {
    match known.saturating_sub(listed as u64) {
        0 => String::new(),
        more => format!("... and {} more\n", plural(more, noun)),
    }
}

fn remarks(told: &Blocking) -> Vec<String> {
    let mut lines = Vec::new();
    if !told.every_poll {
        lines.push(
            "places are known inside wanted requests and the tasks they spawned only: this daemon watches nothing else"
                .to_owned(),
        );
    }
    if told.threshold_ns < told.poll_record_ns {
        lines.push(format!("polls shorter than {} leave no record, so a lower threshold finds no more", ms(told.poll_record_ns)));
    }
    if told.polls_dropped > 0 {
        lines.push(format!("older polls that are no longer kept, and not counted here: {}", told.polls_dropped));
    }
    let stopped = told.places.iter().fold(0_u64, |sum, place| sum.saturating_add(place.stopped_ns));
    if stopped > 0 {
        lines.push(format!("of the blocked time, {} were spent stopped or traced", ms(stopped)));
    }
    if told.blocking_pool.count > 0 {
        let total = ms(told.blocking_pool.total_ns);
        lines.push(format!("not listed: {total} on threads of the blocking pool, where no task waits for them"));
    }
    lines
}

/// The line that somebody can change; without one, what is known of the stack.
fn place_of(place: &Place) -> String {
    own(place.own.as_ref(), &place.stack, place.whole)
}

/// A function without a symbol, which may be anybody's. The vDSO is the kernel's.
fn is_unnamed(code: &Code) -> bool {
    code.function.starts_with('[') && code.function.contains("+0x") && !code.function.starts_with("[vdso+")
}

fn own(own: Option<&Code>, stack: &[Code], whole: bool) -> String {
    match (own, stack.first()) {
        (Some(line), _) => format!("{}{}", end(&shown(&line.function), NAME_WIDTH), file_name(line)),
        (None, None) => "[no stack]".to_owned(),
        (None, Some(leaf)) => {
            let why = match whole {
                false => "the stack was cut",
                true if stack.iter().any(is_unnamed) => "its callers have no names",
                true => "only the runtime's code",
            };
            format!("{} [{why}]", end(&shown(&leaf.function), NAME_WIDTH))
        }
    }
}

fn mostly(row: &LongPolls) -> String {
    match (&row.own, row.stacks.first()) {
        (_, None) => "no sample".to_owned(),
        (None, Some(first)) => own(None, &first.stack, true),
        (Some(line), Some(_)) => {
            let name = own(Some(line), &[], true);
            format!("{name}, {} of samples", percent(row.own_samples, row.samples))
        }
    }
}

/// ` (orders.rs:12)`, of a dependency ` (flume-0.12.0/src/lib.rs:429)`: the folders of the user's own stand under `--stacks`.
fn file_name(line: &Code) -> String {
    let Some(file) = &line.file else { return String::new() };
    at_line(&end(&shown(names::file_name(file)), NAME_WIDTH), line.line)
}

/// `orders::load (src/orders.rs:12)`.
fn code(line: &Code) -> String {
    let place = line.file.as_ref().map(|file| at_line(&shown(names::without_home(file)), line.line));
    format!("{}{}", shown(&line.function), place.unwrap_or_default())
}

fn at_line(file: &str, line: Option<u32>) -> String {
    line.map_or_else(|| format!(" ({file})"), |number| format!(" ({file}:{number})"))
}

fn task(name: Option<&str>, kind: TaskKind) -> String {
    match name {
        Some(name) => end(&shown(name), NAME_WIDTH),
        None if kind == TaskKind::Unknown => "[no task]".to_owned(),
        None => "[unknown type]".to_owned(),
    }
}

fn request(name: Option<&RequestName>) -> String {
    let Some(name) = name else { return String::new() };
    format!("{} #{}", beginning(&name.shown(), ID_WIDTH), name.instance)
}

fn shown(text: &str) -> String {
    printable(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{self, Names};
    use crate::model::{Question, blocking as ask};

    fn told() -> Blocking {
        let mut capture = fixture::blocked();
        capture.samples = fixture::samples_in_the_long_poll();
        ask(&capture, Question::default(), &mut Names)
    }

    #[test]
    fn both_lists() {
        assert_eq!(
            blocking(&told(), false, Colours::Off),
            "\
places that blocked a worker, the most time first

where                        in               task            times  total ms  longest ms  request
syscall [the stack was cut]  futex            orders::audit      40     8.000       3.000
orders::load                 clock_nanosleep  orders::handle      2     0.900       0.600  order-42 #1

polls that ran 1.000 ms or longer without yielding, by task

task           polls  total ms  longest ms  samples  mostly in                       request
orders::audit      1     4.000       4.000        3  orders::tax, 66.7 % of samples  order-42 #2

of the blocked time, 0.500 ms were spent stopped or traced
not listed: 70.000 ms on threads of the blocking pool, where no task waits for them
"
        );
    }

    #[test]
    fn with_the_stack_under_each_row() {
        let mut told = told();
        told.places[1].stack[2].file = Some("src/orders.rs".to_owned());
        told.places[1].stack[2].line = Some(12);
        told.places[1].own = Some(told.places[1].stack[2].clone());
        assert_eq!(
            blocking(&told, true, Colours::Off),
            "\
places that blocked a worker, the most time first

where                        in               task            times  total ms  longest ms  request
syscall [the stack was cut]  futex            orders::audit      40     8.000       3.000
    at syscall
    at [unknown 0x73ff]
    [the stack was cut here]
orders::load (orders.rs:12)  clock_nanosleep  orders::handle      2     0.900       0.600  order-42 #1
    at __GI___clock_nanosleep
    at std::thread::sleep
    at orders::load (src/orders.rs:12)
    at orders::handle

polls that ran 1.000 ms or longer without yielding, by task

task           polls  total ms  longest ms  samples  mostly in                       request
orders::audit      1     4.000       4.000        3  orders::tax, 66.7 % of samples  order-42 #2
    2 samples, 2.000 ms:
    at orders::tax
    at orders::price
    1 sample, 1.000 ms:
    at <[u8; 8] as serde::Serialize>::serialize
    at orders::load

of the blocked time, 0.500 ms were spent stopped or traced
not listed: 70.000 ms on threads of the blocking pool, where no task waits for them
"
        );
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut told = told();
        (told.every_poll, told.threshold_ns, told.polls_dropped) = (false, 10_000, 1);
        (told.places_known, told.long_polls_known) = (9, 3);
        (told.long_polls[0].samples, told.long_polls[0].stacks) = (0, Vec::new());
        let text = blocking(&told, false, Colours::Off);
        for line in [
            "places are known inside wanted requests and the tasks they spawned only: this daemon watches nothing else\n",
            "polls shorter than 0.050 ms leave no record, so a lower threshold finds no more\n",
            "older polls that are no longer kept, and not counted here: 1\n",
            "... and 7 places more\n",
            "... and 2 task types more\n",
            "  no sample  ",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let nothing = blocking(&Blocking { every_poll: true, ..Blocking::default() }, false, Colours::Off);
        assert!(nothing.contains("\nno worker was blocked\n") && nothing.ends_with("\nno poll did\n"), "{nothing}");
        assert_eq!(worst_places(&Blocking::default(), 3, Colours::Off), "");
    }

    /// Check what stands for a line that nobody of ours is known for: the runtime's own sleep, a stripped program, a cut stack.
    #[test]
    fn stacks_without_a_line_say_why() {
        let code = |function: &str| Code { function: function.to_owned(), file: None, line: None };
        let of = |frames: &[&str], whole| own(None, &frames.iter().map(|frame| code(frame)).collect::<Vec<_>>(), whole);
        assert_eq!(of(&["epoll_wait", "[tokio]"], true), "epoll_wait [only the runtime's code]");
        assert_eq!(of(&["[vdso+0xbe1]", "[tokio]"], true), "[vdso+0xbe1] [only the runtime's code]");
        assert_eq!(of(&["clock_nanosleep", "[shop+0x1987f6]"], true), "clock_nanosleep [its callers have no names]");
        assert_eq!(of(&["read"], false), "read [the stack was cut]");
    }

    #[test]
    fn files_are_told_from_where_they_are_known() {
        let at = |file: &str| Code { function: "f".to_owned(), file: Some(file.to_owned()), line: Some(7) };
        let flume = at("/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/flume-0.12.0/src/lib.rs");
        assert_eq!(
            (file_name(&flume), code(&flume)),
            (" (flume-0.12.0/src/lib.rs:7)".into(), "f (flume-0.12.0/src/lib.rs:7)".into())
        );
        assert_eq!(code(&at("/rustc/59807616e1fa/library/core/src/pin.rs")), "f (library/core/src/pin.rs:7)");
        let own = at("/srv/shop/src/orders.rs");
        assert_eq!((file_name(&own), code(&own)), (" (orders.rs:7)".into(), "f (/srv/shop/src/orders.rs:7)".into()));
        assert_eq!(code(&Code { file: None, ..own }), "f");
    }

    #[test]
    fn a_terminal_sees_no_escape_that_is_not_ours() {
        let mut told = told();
        "evil\x1b[2J\u{202e}".clone_into(&mut told.places[1].stack[0].function);
        told.places[1].own = Some(told.places[1].stack[0].clone());
        told.places[1].type_name = Some("evil\x1b]0;title\x07".to_owned());
        let text = blocking(&told, true, Colours::Off);
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    }
}
