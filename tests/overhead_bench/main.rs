//! What profilers cost a service: ours in each mode, and others, attached and detached by turns while an axum service is under load.
//!
//! Prints a JSON report. `cargo xtask bench overhead` builds and runs this; with `--scale` it is `cargo xtask bench scale`.

#![cfg_attr(
    test,
    expect(
        dead_code,
        unused_imports,
        reason = "the unit tests of these modules run in smoke.rs; a benchmark without libtest has none, though cfg(test) is set"
    )
)]

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

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use profiler_tests::{Failure, Result, rig};
use rows::Length;
use serde::Serialize;

/// How this program is made a profiler that is told when to come and go.
pub(crate) const OBSERVE: &[&str] = &["--observe"];

/// Measures what profilers cost.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Arguments {
    /// Build what is measured, and measure nothing.
    #[arg(long)]
    build: bool,
    /// Few pairs.
    #[arg(long)]
    quick: bool,
    /// Cost per poll as tasks and requests grow.
    #[arg(long)]
    scale: bool,
    /// Pairs of each row.
    #[arg(long)]
    pairs: Option<usize>,
    /// These rows only; `aa` is always there.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Be a profiler that is told on standard input when to come and go.
    #[arg(long, hide = true)]
    observe: bool,
    /// cargo bench adds this.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String> {
    if arguments.observe {
        return observe::until_the_end().map(|()| String::new());
    }
    if arguments.build {
        return build(arguments.scale).map(|()| String::new());
    }
    if arguments.scale {
        let rounds = if arguments.quick { scale::QUICK_ROUNDS } else { scale::ROUNDS };
        return json(&scale::measure((rounds, scale::SLICE), &scale::TASKS, &scale::REQUESTS)?);
    }
    let begun = Instant::now();
    let (length, limits) = if arguments.quick { (Length::QUICK, limits::QUICK) } else { (Length::FULL, limits::FULL) };
    let pairs = arguments.pairs;
    let length = pairs.map_or(length, |pairs| Length { pairs, other_pairs: pairs, ..length });
    let mut report = rows::measure(length, arguments.quick, &arguments.rows)?;
    report.checks.extend(limits::all(limits)?);
    report.seconds = begun.elapsed().as_secs_f64();
    json(&report)
}

/// Everything that is run later, perhaps as root. What cannot be built of other people's profilers is a row without numbers.
fn build(only_service: bool) -> Result<()> {
    rig::service::program()?;
    if only_service {
        return Ok(());
    }
    limits::program()?;
    for rival in rig::rival::ALL {
        if let Err(failure) = rival.program() {
            eprintln!("{}: {failure}", rival.name);
        }
    }
    Ok(())
}

fn json(report: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(report).map(|text| text + "\n").map_err(|error| Failure::io("the report")(error.into()))
}
