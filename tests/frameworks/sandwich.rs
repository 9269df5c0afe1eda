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
        return Err(Failure::Wrong(vec![format!("{} scopes were seen from outside, {} from inside", outside.len(), inside.len())]));
    }
    Ok(both)
}

/// Holds every request of the report against its two sides.
pub(crate) fn compare(report: &Report, pairs: &BTreeMap<&str, Pair<'_>>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut known = BTreeSet::new();
    for row in &report.requests {
        match pairs.get(row.id.as_str()) {
            Some(pair) if known.insert(row.id.as_str()) => {
                verdict.wrong.extend(between(row, pair));
                verdict.compared += 1;
                let open = pair.outside.ended_ns - pair.outside.begun_ns - (pair.inside.ended_ns - pair.inside.begun_ns);
                verdict.open_ns.push(open);
                verdict.wall_ns += row.times.wall_ns;
                let cpu = [pair.inside.cpu_ns, row.times.running_ns, pair.outside.cpu_ns];
                verdict.cpu_ns.iter_mut().zip(cpu).for_each(|(sum, time)| *sum += time);
            }
            Some(_) => verdict.wrong.push(format!("{} has a second instance", row.id)),
            None => verdict.wrong.push(format!("{} is no request of the service", row.id)),
        }
    }
    verdict.missing = pairs.keys().filter(|id| !known.contains(*id)).map(|id| (*id).to_owned()).collect();
    verdict.open_ns.sort_unstable();
    verdict
}

/// Everything in which a row lies outside of its two sides.
fn between(row: &Request, Pair { outside, inside }: &Pair<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{}: {what}: {row:?}, from outside {outside:?}, from inside {inside:?}", row.id));
        }
    };
    let (start, end) = (row.start_ns, row.start_ns + row.times.wall_ns);
    let in_order = |times: [u64; 3]| times.is_sorted_by(|a, b| *a <= b + CLOCKS_NS);
    must(row.complete && row.start_seen, "it was seen from its first poll to its end");
    must(in_order([outside.begun_ns, start, inside.begun_ns]), "it begins between the two");
    must(in_order([inside.ended_ns, end, outside.ended_ns]), "it ends between the two");
    must(row.polls == outside.polls, "a scope is polled as often as the future around it");
    let in_polls = row.times.running_ns + row.times.preempted_ns + row.times.blocked_ns;
    let clocks = CLOCKS_NS * row.polls;
    must(inside.polls_ns <= in_polls + clocks && in_polls <= outside.polls_ns + clocks, "its time in polls lies between the two");
    wrong
}

impl Verdict {
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
