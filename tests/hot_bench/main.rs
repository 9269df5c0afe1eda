//! What the kernel side's programs take for an event: by themselves, as the kernel counts their runs, and as a part of a poll, beside empty
//! programs on the same sites.
//!
//! Prints a JSON report. `cargo xtask bench hot` builds and runs this, as root.

mod polls;
mod report;
mod runs;

use std::process::ExitCode;

use chain_fixture::shapes::ALL;
use profiler_tests::answer::answer;
use profiler_tests::beating::{Beating, program};
use profiler_tests::{Failure, Result};

fn main() -> ExitCode {
    answer(|words| {
        Some(match *words {
            ["--build"] => program().map(|_| String::new()),
            [] => run(false),
            ["--quick"] => run(true),
            _ => return None,
        })
    })
}

fn run(quick: bool) -> Result<String> {
    let mut fixture = Beating::start(program()?)?;
    // One await more would be one step of a walk more, which is `bench await`'s matter.
    let [shape, ..] = &ALL;
    let polls = polls::by_turns(&mut fixture, shape, quick)?;
    let runs = runs::counted(&mut fixture, shape, quick)?;
    fixture.end()?;
    let report = report::Report { quick, polls, runs };
    serde_json::to_string_pretty(&report).map_err(|error| Failure::io("the report")(error.into()))
}
