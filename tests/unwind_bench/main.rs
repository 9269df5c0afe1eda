//! What unwinding costs and how often it succeeds: tables, the kernel side's walks, and the same fixture under perf and framehop.
//!
//! Prints a JSON report. `cargo xtask bench unwind` builds and runs this, and makes tables of it.

mod dumps;
mod measure;
mod perf;
mod report;
mod tables;
mod user;

use std::process::ExitCode;

use profiler_tests::{Failure, Result};

fn main() -> ExitCode {
    // cargo bench adds `--bench`.
    let quick = std::env::args().any(|word| word == "--quick");
    match run(quick) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(quick: bool) -> Result<String> {
    let report = report::Report { quick, tables: tables::all()?, stacks: measure::all(quick)? };
    serde_json::to_string_pretty(&report).map_err(|error| Failure::io("the report")(error.into()))
}
