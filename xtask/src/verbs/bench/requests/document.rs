//! The benchmark's report as tables, and docs/request-costs.md around them.

use super::super::grid::grid;
use super::super::quartiles::Quartiles;
use super::report::{Ratios, Report};

/// What stands before the tables.
const HEAD: &str = "\
# What a profiled request costs, measured

Written by `cargo xtask bench request`. Take ratios from it, not absolute times: shared machines drift.

An axum service with one worker has a CPU of its own and answers as fast as it can; 32 connections ask for a route of one poll, and one more
asks for the wanted request, which has four polls, again and again with a pause between. The load and the profiler share the other CPU. The rows say
what is attached. A round is four slices, without it, with it, with it and without, half a second behind each coming and going. Rounds that follow
one another are put together, so many as is said below the table; each number is what the slices with it come to against those without, the median of
all with its quartiles. `nothing` attaches nothing: what its quartiles span, the rig cannot tell apart from no difference at all. Throughput, CPU
time and p99 are those of the unwanted requests (CPU time: of all, of which the wanted are one in some ten thousand).
";

/// What stands after the tables.
const TAIL: &str = "\
The wanted request's own cost is CPU time of the service while it answers nothing but such requests, one after another, attached less detached: a
request of four polls and three wakes, on warm caches, 12 traps. In `all requests` a scope keeps its own times: what a poll pays is what a
request of 101 polls pays more than one of a single poll, divided by a hundred; what a request pays once (memory, the trap at its end, the
daemon's part in the scheduler's events) is in the other number. These polls wake themselves, which needs no clock; the first wake from elsewhere
between two polls reads it once more, half of what two readings take.
";

pub(super) fn document(report: &Report, setting: &str) -> String {
    format!("{HEAD}\nMeasured on {setting}\n\n{}\n{TAIL}", tables(report))
}

pub(super) fn tables(report: &Report) -> String {
    let head = ["attached", "rounds", "throughput", "CPU per request", "p99"];
    let rows = [
        ("nothing", &report.aa),
        ("one request", &report.request_mode.ratios),
        ("all requests", &report.all_requests_mode.ratios),
        ("every poll", &report.process_mode),
    ]
    .into_iter()
    .zip(report.rounds)
    .map(|((name, ratios), rounds)| row(name, rounds, ratios))
    .collect::<Vec<_>>();
    let claim = claim(report).map(|sentence| format!("\n{sentence}\n")).unwrap_or_default();
    format!(
        "{}\nSlices of {} ms, {} rounds together; a pause of {} ms behind each wanted request; {:.0} requests/s and {:.2} µs of CPU a \
         request without the profiler.\n{claim}\n{}",
        grid(&head, &rows),
        report.slice_ms,
        report.rounds_together,
        report.wanted_every_ms,
        report.requests_per_second,
        report.cpu_per_request_ns.median / 1000.0,
        sentences(report)
    )
}

/// What a rig says that cannot be trusted.
pub(super) const fn claim(report: &Report) -> Option<&'static str> {
    match (report.claims, report.claims_p99) {
        (true, true) => None,
        (true, false) => Some("The quartiles of `nothing` lie more than 0.03 apart in p99: of that this run claims nothing."),
        (false, _) => Some("The quartiles of `nothing` lie more than 0.03 apart: this run claims nothing."),
    }
}

fn row(name: &str, rounds: usize, ratios: &Ratios) -> Vec<String> {
    let shown = |of: &Quartiles| format!("{:.3} ({:.3} to {:.3})", of.median, of.q1, of.q3);
    vec![
        name.to_owned(),
        rounds.to_string(),
        shown(&ratios.throughput_ratio),
        shown(&ratios.cpu_per_request_ratio),
        shown(&ratios.p99_ratio),
    ]
}

fn sentences(report: &Report) -> String {
    let (wanted, poll) = (report.request_mode.wanted_cost_us, report.all_requests_mode.ns_per_poll);
    let request = report.all_requests_mode.ns_per_request;
    format!(
        "The wanted request pays {:.1} µs ({:.1} to {:.1}); {} of them were seen.\nIn all-requests mode a poll pays {:.0} ns ({:.0} to \
         {:.0}), two readings of the clock take {:.0} ns; a request of one poll pays {:.0} ns in all ({:.0} to {:.0}); {} of them were seen.\n",
        wanted.median,
        wanted.q1,
        wanted.q3,
        report.request_mode.wanted_seen,
        poll.median,
        poll.q1,
        poll.q3,
        report.two_clock_reads_ns,
        request.median,
        request.q1,
        request.q3,
        report.all_requests_mode.requests_seen,
    ) + &rivals(&report.all_requests_mode.rivals)
}

/// What others pay for the same, where they could be built.
fn rivals(rivals: &[(String, Quartiles)]) -> String {
    let of = |(name, poll): &(String, Quartiles)| format!("{name} {:.0} ns ({:.0} to {:.0})", poll.median, poll.q1, poll.q3);
    match rivals {
        [] => String::new(),
        some => format!(
            "The same poll, of the service with a profiler inside: {}.\n",
            some.iter().map(of).collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every row is there, and that a noisy rig says so.
    #[test]
    fn a_noisy_rig_claims_nothing() {
        let text = tables(&Report::default());
        for name in ["nothing", "one request", "all requests", "every poll", "claims nothing"] {
            assert!(text.contains(name), "{name} in {text}");
        }
        assert!(!text.contains("inside"));
        let mut with = Report::default();
        with.all_requests_mode.rivals = vec![("dial9".to_owned(), Quartiles::default())];
        assert!(tables(&with).contains("inside: dial9 0 ns"), "{}", tables(&with));
        assert!(!tables(&Report { claims: true, claims_p99: true, ..Report::default() }).contains("claims nothing"));
    }
}
