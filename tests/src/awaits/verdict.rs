//! What the profiler says of a request's waits, held against what the request knows.
//!
//! A stack is right, wrong, or said to be unknown (cut, or time without a stack). Wrong ones are never excused. Times may be spoilt by another
//! tenant of the machine, so a comparison of times may be tried again ([`crate::expect::Attempts`]). Unknown ones are counted for whoever
//! decides whether that may be.

use await_fixture::truth::{Case, Parked, Wait};

use super::answer::{Frame, Row, Tasks, Waits};
use super::paths::{described, may_become, shows, told};

/// What a wait may be off by, beside 1 %: each stretch of it.
const PER_STRETCH_NS: u64 = 100_000;
/// Two awaits of one poll begin one after the other, and on a busy machine there may be a while in between, in which only the first is
/// noted and nothing is suspended. What is so short need not be seen.
const TRANSITION_NS: u64 = 1_000_000;
/// Kinds of frames that say that a branch could not be followed.
const UNFOLLOWED: [&str; 2] = ["cut", "unknown_dyn"];
/// "Unknown" below this is the time between two clock reads, and no wait's.
const LEAST_UNKNOWN_NS: u64 = PER_STRETCH_NS;

/// What became of a comparison.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Stacks that are not true, and sums that do not add up.
    pub wrong: Vec<String>,
    /// Times that are off.
    pub off: Vec<String>,
    /// What is said to be unknown.
    pub unknown: Vec<Unknown>,
}

/// Time whose stack is said to be unknown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    /// Why: the name of the cut, `unknown_ns`, `unseen`.
    pub why: String,
    /// How long.
    pub ns: u64,
    /// How far the stack went.
    pub stack: String,
}

/// A case's waits.
#[must_use]
pub fn waits(truth: &Case, seen: &Waits) -> Verdict {
    let mut verdict = Verdict { wrong: sums(&truth.name, seen), ..Verdict::default() };
    let mut alike = Alike::new(&truth.waits);
    for row in &seen.waits {
        let (stack, time) = (described(&row.stack), milliseconds(row.total_ns));
        if let Some(why) = unfollowed(&row.stack, row.cut.as_deref()) {
            if truth.waits.iter().any(|wait| may_become(&row.stack, &wait.branches)) {
                verdict.unknown.push(Unknown { why, ns: row.total_ns, stack });
            } else {
                verdict
                    .wrong
                    .push(format!("{}: {time} in a stack that was cut ({why}), and wrong before that:\n{stack}", truth.name));
            }
            continue;
        }
        if !alike.add(row) {
            verdict.wrong.push(format!("{}: {time} in a stack in which it never was:\n{stack}", truth.name));
        }
    }
    if seen.unknown_ns > LEAST_UNKNOWN_NS {
        verdict.unknown.push(Unknown { why: "unknown_ns".to_owned(), ns: seen.unknown_ns, stack: String::new() });
    }
    if !verdict.wrong.is_empty() {
        let waits = truth.waits.iter().map(|wait| format!("    {}:\n{}", milliseconds(wait.total_ns), told(&wait.branches)));
        verdict.wrong.push(format!("{}: in truth it waited\n{}", truth.name, waits.collect::<Vec<_>>().join("\n")));
    }
    verdict.off = off(&truth.name, &alike.groups, verdict.unknown.iter().map(|unknown| unknown.ns).sum());
    verdict
}

/// Waits of the truth, together where one stack shows both: two calls of a macro whose `.await` is written in the macro have one place.
struct Alike<'a> {
    groups: Vec<Group<'a>>,
}

/// Waits that no stack tells apart, and the time that was seen in them.
struct Group<'a> {
    waits: Vec<&'a Wait>,
    seen_ns: u64,
}

impl<'a> Alike<'a> {
    fn new(waits: &'a [Wait]) -> Self {
        Self { groups: waits.iter().map(|wait| Group { waits: vec![wait], seen_ns: 0 }).collect() }
    }

    /// Adds a row's time to the waits that its stack shows. False: there are none.
    fn add(&mut self, row: &Row) -> bool {
        let groups = std::mem::take(&mut self.groups);
        let is_shown = |group: &Group<'_>| group.waits.iter().any(|wait| shows(&row.stack, &wait.branches));
        let (shown, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_shown);
        self.groups = others;
        let is_some = !shown.is_empty();
        if is_some {
            let seen_ns = shown.iter().map(|group| group.seen_ns).sum::<u64>() + row.total_ns;
            self.groups.push(Group { waits: shown.into_iter().flat_map(|group| group.waits).collect(), seen_ns });
        }
        is_some
    }
}

impl Group<'_> {
    fn total_ns(&self) -> u64 {
        self.waits.iter().map(|wait| wait.total_ns).sum()
    }

    fn allowed_ns(&self) -> u64 {
        self.total_ns() / 100 + PER_STRETCH_NS * self.waits.iter().map(|wait| wait.count).sum::<u64>()
    }
}

/// What is wrong with the times of a case's waits. What is missing may lie in the unknown time, which is given out once.
fn off(name: &str, groups: &[Group<'_>], mut unknown: u64) -> Vec<String> {
    let mut off = Vec::new();
    for group in groups {
        let (seen, total, allowed) = (group.seen_ns, group.total_ns(), group.allowed_ns());
        let missing = if total < TRANSITION_NS { 0 } else { total.saturating_sub(seen + allowed) };
        let found = missing.min(unknown);
        unknown -= found;
        if missing > found || seen > total + allowed {
            let places: Vec<String> = group.waits.iter().map(|wait| told(&wait.branches)).collect();
            off.push(format!(
                "{name}: {} seen, {} measured by itself, {} apart allowed, at\n{}",
                milliseconds(seen),
                milliseconds(total),
                milliseconds(allowed),
                places.join("\n      and\n")
            ));
        }
    }
    off
}

/// Sums that do not add up to the nanosecond.
fn sums(name: &str, seen: &Waits) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_rows: u64 = seen.waits.iter().map(|row| row.total_ns).sum();
    let of_request = seen.suspended_ns + seen.scheduled_ns;
    if of_rows + seen.unknown_ns != of_request {
        wrong.push(format!("{name}: rows of {of_rows} ns and {} ns unknown, of {of_request} ns", seen.unknown_ns));
    }
    let uneven = |row: &&Row| {
        row.suspended_ns + row.scheduled_ns != row.total_ns
            || row.longest_ns > row.total_ns
            || row.count == 0
            || row.awaited.is_empty()
    };
    wrong.extend(seen.waits.iter().filter(uneven).map(|row| format!("{name}: a row that contradicts itself: {row:?}")));
    wrong
}

/// Why a stack is not whole.
fn unfollowed(stack: &[Frame], cut: Option<&str>) -> Option<String> {
    let frame = stack.iter().find(|frame| UNFOLLOWED.contains(&&*frame.kind));
    cut.map(str::to_owned).or_else(|| frame.map(|frame| format!("{} {}", frame.kind, frame.name)))
}

/// A case that stays where it is, in the list of all tasks.
#[must_use]
pub fn parked(truth: &Parked, all: &Tasks) -> Verdict {
    let mut verdict = Verdict::default();
    let name = &truth.name;
    let unknown = |why: String, stack: &[Frame]| Unknown { why, ns: 0, stack: described(stack) };
    let Some(task) = all.tasks.iter().find(|task| task.id.is_some() && task.id == truth.task_id) else {
        match all.notes.iter().find(|note| note.contains("not listed")) {
            Some(note) => verdict.unknown.push(unknown(note.clone(), &[])),
            None => verdict.wrong.push(format!("{name}: task {:?} is not in the list", truth.task_id)),
        }
        return verdict;
    };
    if task.state != "suspended" {
        verdict.wrong.push(format!("{name}: its state is {:?}", task.state));
    }
    match &task.awaits {
        None => verdict.unknown.push(unknown("unseen".to_owned(), &[])),
        Some(awaits) => match unfollowed(&awaits.stack, awaits.cut.as_deref()) {
            Some(why) if may_become(&awaits.stack, &truth.branches) => verdict.unknown.push(unknown(why, &awaits.stack)),
            None if shows(&awaits.stack, &truth.branches) => {}
            cut => verdict.wrong.push(format!(
                "{name}: a wrong stack (cut: {cut:?}):\n{}\n    in truth it waits\n{}",
                described(&awaits.stack),
                told(&truth.branches)
            )),
        },
    }
    verdict
}

fn milliseconds(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
}

#[cfg(test)]
mod tests;
