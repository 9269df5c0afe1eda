//! What profiling one request costs the others: an axum service at full load, by turns with the profiler attached and without.
//!
//! Prints a JSON report. `cargo xtask bench request` builds and runs this.

mod rows;
mod wanted;

use std::process::ExitCode;

use profiler_tests::{Failure, Result};

fn main() -> ExitCode {
    // cargo bench adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let done = match *words.iter().map(String::as_str).collect::<Vec<_>>() {
        ["--build"] => profiler_tests::rig::service::program().map(|_| String::new()),
        [] => run(false),
        ["--quick"] => run(true),
        _ => Err(Failure::Wrong(vec![format!("no such arguments: {words:?}")])),
    };
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

fn run(quick: bool) -> Result<String> {
    let report = rows::measure(quick)?;
    serde_json::to_string_pretty(&report).map_err(|error| Failure::io("the report")(error.into()))
}
