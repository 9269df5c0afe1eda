//! What `--format json` prints: the ratios and costs that the benchmark is for, by names that do not change, and nothing else. All else is in
//! the tables.

use serde::Serialize;

use super::super::quartiles::Quartiles;
use super::report::{Ratios, Report};

/// The whole.
#[derive(Serialize)]
pub(super) struct Told {
    aa: Against,
    request_mode: RequestMode,
    all_requests_mode: AllRequestsMode,
    process_mode: Against,
}

/// Attached against detached.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the form")]
struct Against {
    throughput_ratio: Middle,
    cpu_per_request_ratio: Middle,
    p99_ratio: Middle,
}

#[derive(Serialize)]
struct Middle {
    q1: f64,
    median: f64,
    q3: f64,
}

#[derive(Serialize)]
struct RequestMode {
    #[serde(flatten)]
    against: Against,
    /// CPU time that a wanted request takes more: the median.
    wanted_cost_us: f64,
}

#[derive(Serialize)]
struct AllRequestsMode {
    #[serde(flatten)]
    against: Against,
    /// CPU time that a poll takes more: the median.
    ns_per_poll: f64,
}

impl Told {
    pub(super) fn of(report: &Report) -> Self {
        Self {
            aa: Against::of(&report.aa),
            request_mode: RequestMode {
                against: Against::of(&report.request_mode.ratios),
                wanted_cost_us: report.request_mode.wanted_cost_us.median,
            },
            all_requests_mode: AllRequestsMode {
                against: Against::of(&report.all_requests_mode.ratios),
                ns_per_poll: report.all_requests_mode.ns_per_poll.median,
            },
            process_mode: Against::of(&report.process_mode),
        }
    }
}

impl Against {
    fn of(ratios: &Ratios) -> Self {
        let middle = |of: &Quartiles| Middle { q1: of.q1, median: of.median, q3: of.q3 };
        Self {
            throughput_ratio: middle(&ratios.throughput_ratio),
            cpu_per_request_ratio: middle(&ratios.cpu_per_request_ratio),
            p99_ratio: middle(&ratios.p99_ratio),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn names(of: &Value) -> BTreeSet<&str> {
        of.as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// Check every name of the form, and that there is no other.
    #[test]
    fn the_form_is_what_was_promised() {
        const RATIOS: [&str; 3] = ["throughput_ratio", "cpu_per_request_ratio", "p99_ratio"];
        let told = serde_json::to_value(Told::of(&Report::default())).unwrap();
        let rows = [("aa", None), ("request_mode", Some("wanted_cost_us")), ("all_requests_mode", Some("ns_per_poll"))];
        let rows = rows.into_iter().chain([("process_mode", None)]).collect::<Vec<_>>();
        assert_eq!(names(&told), rows.iter().map(|(name, _)| *name).collect());
        for (name, cost) in rows {
            let row = &told[name];
            assert_eq!(names(row), RATIOS.into_iter().chain(cost).collect(), "{name}");
            for ratio in RATIOS {
                assert_eq!(names(&row[ratio]), BTreeSet::from(["q1", "median", "q3"]), "{name}: {ratio}");
            }
            assert!(cost.is_none_or(|cost| row[cost].is_f64()), "{name}");
        }
    }
}
