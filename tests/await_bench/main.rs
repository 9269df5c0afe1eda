//! What await stacks cost: the walk in the kernel and in user space, the whole effect on a poll, and the layouts that a walk goes by.
//!
//! Prints a JSON report. `cargo xtask bench await` builds and runs this, and makes tables of it.

mod copied;
mod layouts;
mod polls;
mod report;
mod stored;
mod user;

use std::path::Path;
use std::process::ExitCode;

use profiler_tests::answer::answer;
use profiler_tests::{Failure, Result, large};

fn main() -> ExitCode {
    answer(|words| {
        Some(match *words {
            ["--build"] => layouts::build().map(|()| String::new()),
            ["--build-large"] => {
                large::program(large::SERVICES, "await-costs/large", "full").map(|path| path.display().to_string())
            }
            ["--layouts", file] => layouts::measure(Path::new(file)).and_then(|row| json(&row)),
            [] => run(false),
            ["--quick"] => run(true),
            // What stored wakers cost, alone.
            ["--stored"] => stored::all(polls::ROUNDS).and_then(|rows| json(&rows)),
            _ => return None,
        })
    })
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

fn json(row: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(row).map_err(|error| Failure::io("the report")(error.into()))
}
