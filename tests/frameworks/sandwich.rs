//! What the profiler says of a request lies between what two clocks of the service say: one around the request's scope, one in it.
//!
//! All three read `CLOCK_MONOTONIC`, the outer one first and last. So on a machine of whatever load the bounds are exact, and what they
//! leave open is what lies between the two clocks: the framework's own work, the probes, and whatever took the CPU away in there.
//! The kernel side reads the clock by `ktime_get_mono_fast_ns` (kernel/time/timekeeping.c), which may be off by as much as one update of
//! the clock's slope changes it; [`CLOCKS_NS`] is for that.

use std::collections::{BTreeMap, BTreeSet};

use profiler_tests::report::{Report, Request};
use profiler_tests::{Failure, Result};

use crate::service::Seen;

/// By how much two ways to read one clock may differ.
const CLOCKS_NS: u64 = 1_000;

/// A request's two sides.
pub(crate) struct Pair<'s> {
    pub(crate) outside: &'s Seen,
    pub(crate) inside: &'s Seen,
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Everything that is wrong.
    pub(crate) wrong: Vec<String>,
    /// Requests that the service saw and the profiler did not.
    pub(crate) missing: Vec<String>,
    /// Requests whose first poll the profiler says it did not see: what it has of them is no more than there was.
    pub(crate) late: u64,
    /// Requests that were compared.
    pub(crate) compared: u64,
    /// The distance between the two sides of each: how much the bounds leave open (ns), the least first.
    open_ns: Vec<u64>,
    /// Sum of their wall times (ns).
    wall_ns: u64,
    /// Sums of CPU time: inside, `running` of the profiler, outside (ns).
    cpu_ns: [u64; 3],
}

/// The two sides of each request, which must have been there once each and have ended.
pub(crate) fn pairs(seen: &[Seen]) -> Result<BTreeMap<&str, Pair<'_>>> {
    let (mut outside, mut inside) = (BTreeMap::new(), BTreeMap::new());
    for side in seen {
        let sides = if side.outside { &mut outside } else { &mut inside };
        if sides.insert(side.id.as_str(), side).is_some() || !side.complete {
            return Err(Failure::Wrong(vec![format!("the service saw this twice, or not to its end: {side:?}")]));
        }
    }
    let both: BTreeMap<_, _> =
        outside.iter().filter_map(|(id, outside)| Some((*id, Pair { outside, inside: inside.get(id)? }))).collect();
    if both.len() != outside.len() || both.len() != inside.len() {
        return Err(Failure::Wrong(vec![format!(
            "{} scopes were seen from outside, {} from inside",
            outside.len(),
            inside.len()
        )]));
    }
    Ok(both)
}

/// Holds every request of the report against its two sides.
pub(crate) fn compare(report: &Report, pairs: &BTreeMap<&str, Pair<'_>>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut known = BTreeSet::new();
    for row in &report.requests {
        let Some(pair) = pairs.get(row.id.as_str()) else {
            verdict.wrong.push(format!("{} is no request of the service", row.id));
            continue;
        };
        if !known.insert(row.id.as_str()) {
            verdict.wrong.push(format!("{} has a second instance", row.id));
        }
        if row.start_seen {
            verdict.note(row, pair);
        } else {
            verdict.wrong.extend(within(row, pair));
            verdict.late += 1;
        }
    }
    verdict.missing = pairs.keys().filter(|id| !known.contains(*id)).map(|id| (*id).to_owned()).collect();
    verdict.open_ns.sort_unstable();
    verdict
}

/// Everything in which a row lies outside of its two sides.
fn between(row: &Request, pair: &Pair<'_>) -> Vec<String> {
    let Pair { outside, inside } = pair;
    let (start, end) = (row.start_ns, row.start_ns + row.times.wall_ns);
    let clocks = CLOCKS_NS * row.polls;
    let mut wrong = within(row, pair);
    wrong.extend(broken(
        row,
        pair,
        &[
            (start <= inside.begun_ns + CLOCKS_NS, "it begins before its handler does"),
            (inside.ended_ns <= end + CLOCKS_NS, "it ends after its handler has"),
            (row.polls == outside.polls, "a scope is polled as often as the future around it"),
            (inside.polls_ns <= in_polls(row) + clocks, "its time in polls is that of its handler or more"),
        ],
    ));
    wrong
}

/// Everything in which a row has more than there was.
fn within(row: &Request, pair: &Pair<'_>) -> Vec<String> {
    let outside = pair.outside;
    let end = row.start_ns + row.times.wall_ns;
    let clocks = CLOCKS_NS * row.polls;
    broken(
        row,
        pair,
        &[
            (row.complete, "it was seen to its end"),
            (outside.begun_ns <= row.start_ns + CLOCKS_NS, "it does not begin before its scope does"),
            (end <= outside.ended_ns + CLOCKS_NS, "it does not end after its scope has"),
            (row.polls <= outside.polls, "it is not polled more often than the future around it"),
            (in_polls(row) <= outside.polls_ns + clocks, "its time in polls is no more than there was"),
        ],
    )
}

fn in_polls(row: &Request) -> u64 {
    row.times.running_ns + row.times.preempted_ns + row.times.blocked_ns
}

fn broken(row: &Request, Pair { outside, inside }: &Pair<'_>, rules: &[(bool, &str)]) -> Vec<String> {
    let broken = rules.iter().filter(|(holds, _)| !holds);
    broken
        .map(|(_, rule)| format!("{}, not so: {rule}: {row:?}, from outside {outside:?}, from inside {inside:?}", row.id))
        .collect()
}

impl Verdict {
    fn note(&mut self, row: &Request, pair: &Pair<'_>) {
        let Pair { outside, inside } = pair;
        self.wrong.extend(between(row, pair));
        self.compared += 1;
        self.open_ns.push(outside.ended_ns - outside.begun_ns - (inside.ended_ns - inside.begun_ns));
        self.wall_ns += row.times.wall_ns;
        let cpu = [inside.cpu_ns, row.times.running_ns, outside.cpu_ns];
        self.cpu_ns.iter_mut().zip(cpu).for_each(|(sum, time)| *sum += time);
    }

    /// How far the two sides lie apart, for people.
    pub(crate) fn apart(&self) -> String {
        let at = |thousandths: usize| self.open_ns.get(self.open_ns.len() * thousandths / 1000).copied().unwrap_or_default();
        format!("{} ns at the median, {} at the 99th percentile", at(500), at(990))
    }

    /// Refuses bounds that would let pass anything: of most requests they leave open less than a twentieth of the wall time, and the sums
    /// of their CPU time lie between those of the two sides, as far as a thread's CPU clock tells (it may leave out interrupts).
    pub(crate) fn is_tight(&self) -> Result<()> {
        let open = self.open_ns.get(self.open_ns.len() / 2).copied().unwrap_or(u64::MAX);
        let wall = self.wall_ns / self.compared.max(1);
        let [inside, running, outside] = self.cpu_ns;
        if open < wall / 20 && running >= inside - inside / 50 && running <= outside + outside / 10 {
            return Ok(());
        }
        Err(Failure::Wrong(vec![format!("bounds {} apart, walls of {wall} ns; cpu: {:?}", self.apart(), self.cpu_ns)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(outside: bool, begun_ns: u64, ended_ns: u64, polls_ns: u64) -> Seen {
        Seen { id: "a".to_owned(), outside, begun_ns, ended_ns, polls: 2, polls_ns, cpu_ns: polls_ns, complete: true }
    }

    /// A request that took from 1 to 9 ms and was polled twice, for 2 ms, with one thing changed.
    fn row(field: &str, value: u64) -> Request {
        let mut row = serde_json::json!({
            "id": "a", "instance": 1, "complete": true, "start_seen": true, "start_ns": 1_000_000, "wall_ns": 8_000_000,
            "running_ns": 2_000_000, "preempted_ns": 0, "blocked_ns": 0, "scheduled_ns": 0, "suspended_ns": 6_000_000, "polls": 2,
            "wakes": 1, "scheduled_known": true, "samples": 0, "sampled_ns": 0, "scale": null, "scheduled_behind": [],
            "scheduled_unrecorded_ns": 0, "children": [], "critical_path": { "wall_ns": 0, "rows": [], "by_wake_ns": 0 },
        });
        if !field.is_empty() {
            row[field] = value.into();
        }
        serde_json::from_value(row).unwrap()
    }

    /// Check that what lies between the two sides passes, and that a few microseconds of anybody else's do not.
    #[test]
    fn bounds_are_exact() {
        let (outside, inside) = (side(true, 998_000, 9_003_000, 2_006_000), side(false, 1_004_000, 8_995_000, 1_990_000));
        let pair = Pair { outside: &outside, inside: &inside };
        assert_eq!(between(&row("", 0), &pair), Vec::<String>::new());
        let changes = [
            ("start_ns", 990_000),
            ("start_ns", 1_010_000),
            ("wall_ns", 7_990_000),
            ("wall_ns", 8_010_000),
            ("polls", 3),
            ("polls", 1),
            ("running_ns", 2_010_000),
            ("running_ns", 1_980_000),
            ("blocked_ns", 10_000),
        ];
        for (field, value) in changes {
            assert!(!between(&row(field, value), &pair).is_empty(), "{field} {value}");
        }
    }
}
