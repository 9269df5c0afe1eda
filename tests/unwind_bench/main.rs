//! What unwinding costs and how often it succeeds: tables, the kernel side's walks, and the same fixture under perf and framehop.
//!
//! Prints a JSON report. `cargo xtask bench unwind` builds and runs this, and makes tables of it.

mod dumps;
mod measure;
mod perf;
mod report;
mod tables;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use profiler_tests::cells::{Cell, Debug, PROFILES};
use profiler_tests::{Failure, Result};

fn main() -> ExitCode {
    // cargo bench adds `--bench`.
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    let done = if has("--build") { build() } else { run(has("--quick")) };
    match done {
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

/// Builds the fixtures, so that whoever measures as root need not.
fn build() -> Result<String> {
    for profile in PROFILES {
        let _: PathBuf = Cell { profile, debug: Debug::None }.program()?;
    }
    Ok(String::new())
}

fn run(quick: bool) -> Result<String> {
    let report = report::Report { quick, tables: tables::all()?, stacks: measure::all(quick)? };
    serde_json::to_string_pretty(&report).map_err(|error| Failure::io("the report")(error.into()))
}
