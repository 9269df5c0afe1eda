//! Which features work in a cell: the profiler's report held against what the program counted of itself.
//!
//! A feature that is not there is `no`: the profiler says so and shows nothing. A number that is not the program's is `WRONG`, which no
//! cell may have.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the program counted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Truth {
    /// Tasks and polls by the future's name.
    pub(crate) kinds: BTreeMap<String, Kind>,
    /// The request.
    pub(crate) request: Request,
}

/// What one kind of task came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Kind {
    /// How many there were.
    pub(crate) tasks: u64,
    /// How often they were polled.
    pub(crate) polls: u64,
}

/// What the request came to.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Request {
    /// How often it was polled.
    pub(crate) polls: u64,
    /// Its wall time was no more than this (ns).
    pub(crate) at_most_ns: u64,
}

/// The features, in the order of the table's columns.
pub(crate) const FEATURES: [&str; 8] = ["polls", "names", "wakes", "spawns", "local spawns", "requests", "awaits", "stacks"];

/// What became of one.
pub(crate) type Verdicts = BTreeMap<String, String>;

/// All features have it that are not there or not right.
const WRONG: &str = "WRONG";

/// The kinds that tasks of a `LocalSet` have.
const LOCAL: &str = "stays";
/// A kind each of whose waits ends with exactly one wake.
const WOKEN: &str = "sleeps";
/// The request lasts at least as long as the timer that it sets (ns).
const TIMER_NS: u64 = 29_000_000;
/// A request that is polled but once found its timer over, because its thread had lost its CPU: nothing was awaited.
const WAITED_POLLS: u64 = 2;

/// Judges a report and the wall flamegraph of it as folded stacks.
pub(crate) fn judge(truth: &Truth, report: &Value, folded: &str) -> Result<Verdicts> {
    let rows = rows(truth, report)?;
    let verdicts = [
        polls(truth, &rows, lost(report)),
        names(truth, &rows),
        wakes(truth, &rows),
        spawns(truth, &rows, false),
        spawns(truth, &rows, true),
        request(truth, report),
        awaits(report),
        stacks(report, folded),
    ];
    Ok(FEATURES.iter().map(|name| (*name).to_owned()).zip(verdicts).collect())
}

/// Whether the program's request had nothing to wait for, so that it says nothing of awaits.
pub(crate) fn is_void(truth: &Truth) -> bool {
    truth.request.polls < WAITED_POLLS
}

/// The verdicts that no cell may have, as words.
pub(crate) fn wrong(verdicts: &Verdicts) -> Vec<String> {
    verdicts
        .iter()
        .filter(|(_, verdict)| verdict.starts_with(WRONG))
        .map(|(name, verdict)| format!("{name}: {verdict}"))
        .collect()
}

/// A row of finished tasks.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    #[serde(rename = "type")]
    type_name: String,
    kind: String,
    count: u64,
    finished: bool,
    spawn_seen: bool,
    polls: u64,
    wakes: u64,
    wake_unseen: u64,
    wall_ns: u64,
    running_ns: u64,
    preempted_ns: u64,
    blocked_ns: u64,
    scheduled_ns: u64,
    suspended_ns: u64,
}

impl Row {
    fn is(&self, kind: Kind) -> bool {
        (self.count, self.polls) == (kind.tasks, kind.polls)
    }

    fn sum(&self) -> u64 {
        self.running_ns + self.preempted_ns + self.blocked_ns + self.scheduled_ns + self.suspended_ns
    }
}

/// The rows of what is no blocking task: those are the runtime's own. Where a stripped file does not tell blocking tasks from others, they are
/// of types whose tasks are all polled once. Of a type, and not of a row: where no end is seen each task has a row, and on a busy machine a task of
/// ours may find its timer over at its first poll.
fn rows(truth: &Truth, report: &Value) -> Result<Vec<Row>> {
    let tasks = report.get("tasks").context("the report has no tasks")?.clone();
    let rows: Vec<Row> = serde_json::from_value(tasks).context("the report's tasks have another form")?;
    if let Some(row) = rows.iter().find(|row| row.sum() != row.wall_ns) {
        bail!("the states of {} do not add up to its wall time", row.type_name);
    }
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry(row.type_name.clone()).or_default();
        (sum.0, sum.1) = (sum.0 + row.count, sum.1 + row.polls);
    }
    let is_ours = |sum: (u64, u64)| truth.kinds.values().any(|kind| sum == (kind.tasks, kind.polls));
    let is_runtimes = |row: &Row| {
        let sum = sums.get(&row.type_name).copied().unwrap_or_default();
        row.kind == "blocking" || row.kind == "unknown" && sum.0 == sum.1 && !is_ours(sum)
    };
    Ok(rows.into_iter().filter(|row| !is_runtimes(row) && row.polls > 0).collect())
}

/// Tasks that the report counts as lost: where no end of a task is seen, the next one at its address takes its row.
fn lost(report: &Value) -> u64 {
    ["address_reused", "task_unseen"].iter().filter_map(|name| report.pointer(&format!("/lost/{name}"))?.as_u64()).sum()
}

/// The counts are the program's, kind by kind, under whatever name.
fn polls(truth: &Truth, rows: &[Row], lost: u64) -> String {
    let expected: BTreeSet<(u64, u64)> = truth.kinds.values().map(|kind| (kind.tasks, kind.polls)).collect();
    let found: BTreeSet<(u64, u64)> = rows.iter().map(|row| (row.count, row.polls)).collect();
    if rows.iter().all(|row| row.finished) && found == expected && rows.len() == truth.kinds.len() {
        return yes();
    }
    // In a file without names, kinds that share their code are one row.
    let sums =
        |counts: &mut dyn Iterator<Item = (u64, u64)>| counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    let whole = sums(&mut truth.kinds.values().map(|kind| (kind.tasks, kind.polls)));
    let ours = sums(&mut rows.iter().map(|row| (row.count, row.polls)));
    if ours == whole {
        return "in sum".to_owned();
    }
    // Shown and lost make up all, and no more is shown than there was.
    if lost > 0 && ours.0 + lost == whole.0 && ours.1 < whole.1 {
        return "but for lost, counted".to_owned();
    }
    format!("{WRONG}: {ours:?} tasks and polls, not {whole:?}")
}

/// Each kind goes by its name. Where the compiler has merged the code that names them, one may go by another's: that is told, for a program
/// without debug information cannot say more.
fn names(truth: &Truth, rows: &[Row]) -> String {
    let named = |(name, kind): &(&String, &Kind)| rows.iter().any(|row| row.is(**kind) && has_word(&row.type_name, name));
    let is_false = |row: &&Row| truth.kinds.iter().any(|(name, kind)| has_word(&row.type_name, name) && !row.is(*kind));
    let (right, wrong) = (truth.kinds.iter().filter(named).count(), rows.iter().filter(is_false).count());
    match (right, wrong) {
        (0, 0) => no(),
        (right, 0) if right == truth.kinds.len() => yes(),
        (right, 0) => format!("{right} of {}", truth.kinds.len()),
        (right, wrong) => format!("{right} of {}, {wrong} false", truth.kinds.len()),
    }
}

/// Every wait of a timer ends with one wake, and all are seen.
fn wakes(truth: &Truth, rows: &[Row]) -> String {
    let Some(kind) = truth.kinds.get(WOKEN) else { return no() };
    let Some(row) = rows.iter().find(|row| row.is(*kind)) else { return no() };
    let expected = kind.polls - kind.tasks;
    match row.wakes {
        0 => no(),
        wakes if wakes == expected && row.wake_unseen == 0 => yes(),
        wakes => format!("{WRONG}: {wakes}, not {expected}"),
    }
}

fn spawns(truth: &Truth, rows: &[Row], local: bool) -> String {
    let kinds: Vec<Kind> = truth.kinds.iter().filter(|(name, _)| (*name == LOCAL) == local).map(|(_, kind)| *kind).collect();
    let seen = kinds.iter().filter(|kind| rows.iter().any(|row| row.is(**kind) && row.spawn_seen)).count();
    if seen == kinds.len() {
        yes()
    } else if seen == 0 {
        no()
    } else {
        format!("{seen} of {}", kinds.len())
    }
}

/// The request is there once, from its first poll to its end, with the program's polls.
fn request(truth: &Truth, report: &Value) -> String {
    let rows = report.get("requests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [row] = rows else { return if rows.is_empty() { no() } else { format!("{WRONG}: {} requests", rows.len()) } };
    let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or(0);
    let is = |key: &str| row.get(key).and_then(Value::as_bool).unwrap_or(false);
    let states = ["running_ns", "preempted_ns", "blocked_ns", "scheduled_ns", "suspended_ns"];
    let sum: u64 = states.iter().map(|state| number(state)).sum();
    let in_bounds = (TIMER_NS..=truth.request.at_most_ns).contains(&number("wall_ns"));
    if number("polls") != truth.request.polls || sum != number("wall_ns") || !in_bounds || !is("complete") || !is("start_seen") {
        return format!("{WRONG}: {} polls, {} ns", number("polls"), number("wall_ns"));
    }
    if is("scheduled_known") { yes() } else { "without scheduled".to_owned() }
}

/// Where the request waited: by layouts, with the line; by stored wakers, with the code; or nowhere.
fn awaits(report: &Value) -> String {
    let waits = report.pointer("/requests/0/waits").and_then(Value::as_array).cloned().unwrap_or_default();
    let source = report.pointer("/awaits/source").and_then(Value::as_str).unwrap_or_default();
    let longest = waits.iter().max_by_key(|wait| wait.get("total_ns").and_then(Value::as_u64));
    let Some(wait) = longest else { return no() };
    // Each stack stands once in a report, and a wait has the place of its own.
    let place = wait.get("stack").and_then(Value::as_u64);
    let Some(stack) = place.and_then(|place| report.pointer(&format!("/await_stacks/{place}"))) else {
        return format!("{WRONG}: the longest wait has no stack in the report's list of them");
    };
    // How long it was is the timer's business: a thread that loses its CPU before it waits, waits less.
    let is_right = stack.to_string().contains("queries");
    match (source, is_right) {
        ("layouts", true) => yes(),
        ("layouts", false) => format!("{WRONG}: the longest wait is not in its function"),
        ("wakers", true) => "by wakers".to_owned(),
        ("wakers", false) => "by wakers, unnamed".to_owned(),
        _ => no(),
    }
}

/// Whether the stack of the function that works is whole, and has its names.
fn stacks(report: &Value, folded: &str) -> String {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let (walks, whole) = (number("/stacks/walks"), number("/stacks/ends/poll") + number("/stacks/ends/root"));
    let named = folded.lines().any(|line| {
        let frames: Vec<&str> = line.split(';').collect();
        let at = |name: &str| {
            frames.iter().position(|frame| has_word(frame, name) && !frame.starts_with("task ") && !frame.starts_with("request "))
        };
        matches!((at("handles"), at("burns")), (Some(outer), Some(inner)) if outer < inner)
    });
    let burns = folded.lines().any(|line| line.split(';').skip(1).any(|frame| has_word(frame, "burns")));
    match (walks, named, burns) {
        (0, _, _) => no(),
        // Nine of ten: a walk may be cut in the C library.
        _ if whole * 10 < walks * 9 => format!("{WRONG}: {whole} of {walks} are whole"),
        (_, true, _) => yes(),
        // Where `handles` is inlined and nothing says so.
        (_, false, true) => "without inlined".to_owned(),
        _ => "unnamed".to_owned(),
    }
}

/// Whether `text` holds `word` as a whole word.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|found| found == word)
}

fn yes() -> String {
    "yes".to_owned()
}

fn no() -> String {
    "no".to_owned()
}

#[cfg(test)]
mod tests;
