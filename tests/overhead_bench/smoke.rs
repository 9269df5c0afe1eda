//! The overhead benchmark itself, as far as a test can hold it: one pair of short slices a row, every promised name with finite numbers. What the numbers are
//! is not asserted. The unit tests of its parts run here too.

#![expect(dead_code, reason = "what builds and measures the whole is called by main.rs")]

mod bpftrace;
mod checks;
mod inside;
mod limits;
mod observe;
mod observer;
mod ours;
mod perf;
mod report;
mod rotation;
mod rows;
mod scale;
mod used;

use std::time::Duration;

use profiler_tests::{Failure, Result, needs_root};
use rows::Length;
use serde_json::Value;

/// How this program is made a profiler that is told when to come and go.
pub(crate) const OBSERVE: &[&str] = &["be_a_profiler", "--exact", "--ignored", "--nocapture"];

const SHORT: Length =
    Length { slice: Duration::from_millis(100), pairs: 1, other_pairs: 1, within: Duration::MAX, ..Length::QUICK };

/// Not a test: what the tests here start.
#[test]
#[ignore = "what other tests start"]
fn be_a_profiler() -> Result<()> {
    observe::until_the_end()
}

fn json(of: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(of).map_err(|error| Failure::io("the report")(error.into()))
}

/// Check that each required row is there with finite numbers, or, of what a build lacks, with its reason; and so are the others.
#[test]
#[ignore = "takes minutes and a quiet machine"]
fn every_row_has_numbers_or_a_reason() -> Result<()> {
    needs_root!();
    let report = json(&rows::measure(SHORT, true, &[])?)?;
    let rows = report.get("rows").and_then(Value::as_array).ok_or_else(|| Failure::Wrong(vec!["no rows".to_owned()]))?;
    let named = |name: &str| rows.iter().find(|row| row.get("name").and_then(Value::as_str) == Some(name));
    let mut wrong = Vec::new();
    for name in ["aa", "floor", "exact", "exact_no_wakes", "sample", "request", "all_requests"] {
        for number in ["throughput_ratio", "cpu_per_request_ratio", "p50_ratio", "p99_ratio", "ns_per_poll"] {
            for quarter in ["min", "q1", "median", "q3", "max"] {
                let found = named(name).and_then(|row| row.pointer(&format!("/{number}/{quarter}"))).and_then(Value::as_f64);
                if !found.is_some_and(f64::is_finite) {
                    wrong.push(format!("{name}: {number}.{quarter} is {found:?}"));
                }
            }
        }
    }
    for name in ["console_subscriber", "dial9", "tracing_flame", "tokio_metrics", "pprof_rs", "perf_fp", "perf_dwarf", "bpftrace"]
    {
        let has = |part: &str| named(name).is_some_and(|row| row.get(part).is_some_and(|part| !part.is_null()));
        if has("skipped") == has("throughput_ratio") {
            wrong.push(format!("{name}: neither or both of numbers and a reason"));
        }
    }
    for name in ["exact", "exact_no_wakes", "request", "all_requests"] {
        let seen = |part: &str| named(name).and_then(|row| row.get(part)).and_then(Value::as_u64).unwrap_or(0);
        if seen("polls_seen") + seen("requests_seen") == 0 {
            wrong.push(format!("{name}: saw nothing"));
        }
    }
    profiler_tests::failure::all_right(wrong)
}

/// Check that growing crowds are measured, each of whose members has a row in the end.
#[test]
#[ignore = "takes minutes and a quiet machine"]
fn crowds_have_rows() -> Result<()> {
    needs_root!();
    let report = json(&scale::measure((1, SHORT.slice), &[50, 100], &[50])?)?;
    let kept = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    // The first series is that of empty programs, which keep nothing.
    let found = [kept("/series/1/points/0/kept"), kept("/series/1/points/1/kept"), kept("/series/2/points/0/kept")];
    if found[0] >= 50 && found[1] >= 100 && found[2] >= 50 {
        Ok(())
    } else {
        Err(Failure::Wrong(vec![format!("{found:?} rows: {report:#}")]))
    }
}

/// Check that promises beyond the rows are told too, measured or not.
#[test]
#[ignore = "takes minutes and a quiet machine"]
fn limits_are_told() -> Result<()> {
    needs_root!();
    let checks = limits::all(limits::QUICK)?;
    if checks.len() == 4 && checks.iter().take(2).all(|check| check.value.is_some()) {
        return Ok(());
    }
    Err(Failure::Wrong(vec![format!("{checks:?}")]))
}
