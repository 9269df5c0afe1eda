//! What profiling one request costs the others: an axum service at full load, by turns with the profiler attached and without.
//!
//! Prints a JSON report. `cargo xtask bench request` builds and runs this.

mod rows;
mod wanted;

use std::process::ExitCode;

use profiler_tests::answer::answer;
use profiler_tests::rig::{rival, service};
use profiler_tests::{Failure, Result};

fn main() -> ExitCode {
    answer(|words| {
        Some(match *words {
            ["--build"] => build(),
            [] => run(rows::WHOLE),
            ["--quick"] => run(rows::QUICK),
            _ => return None,
        })
    })
}

/// The service, and the same with others inside, of which one that cannot be built is not measured.
fn build() -> Result<String> {
    service::program()?;
    for rival in rival::TRACERS {
        if let Err(failure) = rival.program() {
            eprintln!("{}: {failure}", rival.name);
        }
    }
    Ok(String::new())
}

fn run(length: rows::Length) -> Result<String> {
    let report = rows::measure(length)?;
    serde_json::to_string_pretty(&report).map_err(|error| Failure::io("the report")(error.into()))
}
