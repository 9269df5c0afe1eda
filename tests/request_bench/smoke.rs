//! The request benchmark itself, as far as a test can hold it: one round of short slices, and every promised number there and finite. What the
//! numbers are is not asserted.

#![expect(dead_code, reason = "what builds and measures the whole is called by main.rs")]

mod rows;
mod wanted;

use std::time::Duration;

use profiler_tests::{Failure, Result, needs_root};
use rows::Length;
use serde_json::Value;

const SHORT: Length = Length { slice: Duration::from_millis(100), rounds: 1, idle_rounds: 1 };

/// Check that each row has each ratio, and the modes their costs.
#[test]
fn every_number_is_there() -> Result<()> {
    needs_root!();
    let report = serde_json::to_value(rows::measure(SHORT)?).map_err(|error| Failure::io("the report")(error.into()))?;
    let ratios = ["throughput_ratio", "cpu_per_request_ratio", "p99_ratio"];
    let rows = ["aa", "request_mode", "all_requests_mode", "process_mode"];
    let ratios = rows.into_iter().flat_map(|row| ratios.into_iter().map(move |ratio| format!("/{row}/{ratio}")));
    let costs = ["/request_mode/wanted_cost_us".to_owned(), "/all_requests_mode/ns_per_poll".to_owned()];
    let missing: Vec<String> = ratios
        .chain(costs)
        .flat_map(|name| ["q1", "median", "q3"].map(|quarter| format!("{name}/{quarter}")))
        .filter(|name| !report.pointer(name).and_then(Value::as_f64).is_some_and(f64::is_finite))
        .collect();
    assert_eq!(missing, [""; 0], "{report}");
    Ok(())
}
