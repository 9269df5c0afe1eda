//! What await stacks cost: the walk in the kernel and in user space, the whole effect on a poll, and the layouts that a walk goes by.
//!
//! Prints a JSON report. `cargo xtask bench await` builds and runs this, and makes tables of it.

mod copied;
mod large;
mod layouts;
mod polls;
mod report;
mod stored;
mod user;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use profiler_tests::{Failure, Result};

fn main() -> ExitCode {
    // cargo bench adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let done = match *words.iter().map(String::as_str).collect::<Vec<_>>() {
        ["--build"] => layouts::build().map(|()| String::new()),
        ["--build-large"] => large_program(large::SERVICES).map(|path| path.display().to_string()),
        ["--layouts", file] => layouts::measure(Path::new(file)).and_then(|row| json(&row)),
        [] => run(false),
        ["--quick"] => run(true),
        // What stored wakers cost, alone.
        ["--stored"] => stored::all(polls::ROUNDS).and_then(|rows| json(&rows)),
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
    let polls = polls::all(quick)?;
    json(&report::Report {
        quick,
        rounds: polls.rounds,
        slice_polls: polls.in_slice,
        shapes: polls.shapes,
        stored: polls.stored,
        layouts: layouts::all(quick)?,
    })
}

fn large_program(services: usize) -> Result<PathBuf> {
    let (root, target) = (profiler_tests::binaries::repository(), profiler_tests::binaries::target());
    large::build(&target.join("await-costs/large"), &root.join("Cargo.lock"), services).map_err(Failure::io("the large program"))
}

fn json(row: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(row).map_err(|error| Failure::io("the report")(error.into()))
}
