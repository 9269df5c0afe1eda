//! The benchmark's report as tables, and docs/overhead.md around them.

use super::super::grid::{grid, size, unknown};
use super::super::quartiles::Quartiles;
use super::report::{Check, Measured, Report, Row};

/// What stands before the tables.
const HEAD: &str = "\
# What profiling costs, measured

Written by `cargo xtask bench overhead`. Take ratios from it, not absolute times: they are those of the machine it ran on.

An axum service with one worker has a CPU of its own and answers as fast as it can; 32 connections on the other CPUs, where the profilers run
too, ask for a route of one poll, and one more asks for the one wanted request every ten milliseconds. Short slices alternate: bare,
somebody attached, bare, somebody else attached, bare, half a second behind each coming and going. Each number is a slice with a profiler against the bare slices on both sides of it, the median of all
with the quartiles, of the throughput also the ends.
";

/// What stands after the table of rows.
const ROWS: &str = "\
`aa` attaches nobody: what its quartiles span, the rig cannot tell apart from no difference at all, and a number whose distance from one is
smaller has a `~`: nothing is claimed of it. `ns/poll` is the CPU time that the service takes more, divided among its polls, whatever it goes to. `CPU` is that of the profiler's own
process, of one CPU, and `memory` the most it has had; of a profiler inside the service, its CPU time is in `CPU/request`, and `memory` is what the service has had
more than the plain one. `attach` is the time from the process id until everything is seen.

`floor` is what this way of measuring costs by itself: programs that do nothing, on the same sites as `exact`. A profiler inside the service was built into it, as its
documentation has it, and is compared with the service without; ours, perf and bpftrace come to the running service and go again.
";

/// What stands after the promises.
const TAIL: &str = "\
A promise is kept, or broken, only where the rig's own error does not reach over the limit; else it is not claimed. Cost as tasks and requests grow in number:
`cargo xtask bench scale`. What one wanted request pays: `cargo xtask bench request`.
";

/// The whole document; `setting` says on what it was measured.
pub(super) fn document(report: &Report, setting: &str) -> String {
    format!("{HEAD}\nMeasured on {setting}\n\n{}\n{ROWS}\n## Promises\n\n{}\n{TAIL}", rows(report), promises(&report.checks))
}

/// The tables alone.
pub(super) fn tables(report: &Report) -> String {
    format!("{}\n{}", rows(report), promises(&report.checks))
}

fn rows(report: &Report) -> String {
    let head = ["row", "throughput (min to max)", "CPU/request", "p50", "p99", "ns/poll", "CPU", "memory", "attach", "reports"];
    let cells: Vec<Vec<String>> = report.rows.iter().map(row).collect();
    let pairs = report.rows.iter().map(|row| row.pairs);
    let (fewest, most) = (pairs.clone().filter(|pairs| *pairs > 0).min().unwrap_or(0), pairs.max().unwrap_or(0));
    format!(
        "{}\n{fewest} to {most} slices of {} ms a row, {:.0} s in all; bare: {:.0} requests/s, {:.2} µs of CPU and {:.2} polls a request.\n",
        grid(&head, &cells),
        report.slice_ms,
        report.seconds,
        report.requests_per_second.median,
        report.cpu_per_request_ns.median / 1000.0,
        report.polls_per_request.median,
    )
}

fn row(row: &Row) -> Vec<String> {
    let mut cells = vec![row.name.clone()];
    match (&row.measured, &row.skipped) {
        (Some(measured), _) => cells.extend(numbers(measured)),
        (None, why) => {
            cells.push(format!("not measured: {}", why.as_deref().unwrap_or("no slice").lines().next().unwrap_or_default()));
            cells.resize(9, String::new());
        }
    }
    cells.push(row.reports.clone());
    cells
}

fn numbers(of: &Measured) -> Vec<String> {
    let claims = of.claims;
    let throughput = of.throughput_ratio;
    vec![
        format!("{} ({:.3} to {:.3})", ratio(throughput, claims.throughput), throughput.min, throughput.max),
        ratio(of.cpu_per_request_ratio, claims.cpu_per_request),
        ratio(of.p50_ratio, claims.p50),
        ratio(of.p99_ratio, claims.p99),
        format!("{:.0} [{:.0}, {:.0}]", of.ns_per_poll.median, of.ns_per_poll.q1, of.ns_per_poll.q3),
        of.observer_cpu.map_or_else(unknown, |cpu| format!("{:.1} %", cpu.median * 100.0)),
        of.observer_peak_bytes.map_or_else(unknown, size),
        of.attach_ms.map_or_else(unknown, |ms| format!("{ms:.0} ms")),
    ]
}

/// Marked where the rig cannot tell it from one.
fn ratio(of: Quartiles, is_claimed: bool) -> String {
    let mark = if is_claimed { "" } else { "~" };
    format!("{mark}{:.3} [{:.3}, {:.3}]", of.median, of.q1, of.q3)
}

fn promises(checks: &[Check]) -> String {
    let head = ["promise", "measured", "limit", "verdict", ""];
    let rows = checks.iter().map(|check| {
        let with_unit = |value: f64| format!("{value:.3} {}", check.unit).trim_end().to_owned();
        let measured = check.value.map_or_else(unknown, |value| match check.error {
            0.0 => with_unit(value),
            error => format!("{} ± {error:.3}", with_unit(value)),
        });
        vec![check.promise.clone(), measured, with_unit(check.limit), check.verdict.word().to_owned(), check.how.clone()]
    });
    grid(&head, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::report::{Claims, Verdict};
    use super::*;

    fn about(median: f64) -> Quartiles {
        Quartiles { min: median - 0.2, q1: median - 0.1, median, q3: median + 0.1, max: median + 0.2 }
    }

    /// Check that what is not claimed is marked, that a row without numbers has its reason, and that a verdict is told.
    #[test]
    fn rows_and_promises() {
        let measured = Measured {
            throughput_ratio: about(0.9),
            cpu_per_request_ratio: about(1.1),
            claims: Claims { throughput: true, ..Claims::default() },
            ..Measured::default()
        };
        let exact = Row { name: "exact".to_owned(), pairs: 5, measured: Some(measured), ..Row::default() };
        let dial9 = Row { name: "dial9".to_owned(), skipped: Some("not built".to_owned()), ..Row::default() };
        let check = Check { value: Some(1.2), error: 0.05, limit: 1.3, verdict: Verdict::NotClaimed, ..Check::default() };
        let text = tables(&Report { rows: vec![exact, dial9], checks: vec![check], ..Report::default() });
        for part in [
            "| 0.900 [0.800, 1.000] (0.700 to 1.100)",
            "~1.100 [1.000, 1.200]",
            "not measured: not built",
            "1.200 ± 0.050",
            "not claimed",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let width = |line: &str| line.matches('|').count();
        let lines: Vec<&str> = text.lines().take(4).collect();
        assert!(lines.iter().all(|line| width(line) == width(lines[0])), "{text}");
    }

    /// Check that the report's form is read, a skipped row included.
    #[test]
    fn a_report_is_read() {
        let quartiles = r#"{"min": 1.0, "q1": 1.0, "median": 1.0, "q3": 1.0, "max": 1.0}"#;
        let ratios = ["throughput_ratio", "cpu_per_request_ratio", "p50_ratio", "p99_ratio", "ns_per_poll"]
            .map(|name| format!("\"{name}\": {quartiles}"));
        let claims = r#""claims": {"throughput": false, "cpu_per_request": true, "p50": false, "p99": false}"#;
        let text = format!(
            r#"{{"rows": [{{"name": "aa", "reports": "", "skipped": null, "pairs": 3, {}, {claims}}}, {{"name": "dial9", "reports": "", "skipped": "why", "pairs": 0}}],
                "checks": [{{"promise": "p", "unit": "", "limit": 1.0, "value": null, "error": 0.0, "verdict": "not_measured", "how": ""}}]}}"#,
            ratios.join(", ")
        );
        let report: Report = serde_json::from_str(&text).unwrap();
        assert!(report.rows[0].measured.as_ref().unwrap().claims.cpu_per_request);
        assert!(report.rows[1].measured.is_none());
    }
}
