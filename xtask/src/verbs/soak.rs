//! `cargo xtask soak`: a long run under mixed load.

use crate::chore::command::loud;
use crate::chore::place;
use crate::chore::root::as_root;
use crate::chore::step::step;
use crate::testing::build;
use anyhow::{Context, Result};
use std::ffi::OsStr;

/// The test program, and the variable that says how long it takes.
const PROGRAM: &str = "soak";
const MINUTES: &str = "PROFILER_SOAK_MINUTES";

/// Profile a service under mixed load for an hour, with profilers that come and go, and see that nothing grows and nothing stays.
///
/// Two daemons stay from the first minute to the last. At another service others come, are asked, and go, in every mode. Memory, descriptors and kernel
/// objects of daemons and target are watched, and every report's rows must add up. Prints a table; fails where something grew. `cargo xtask test`
/// runs two minutes of it. Needs root, through sudo where you are not root, which is said.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long it takes.
    #[arg(long, default_value = "60")]
    minutes: f64,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let programs = step("soak: building", build::programs)?;
    let program = programs.iter().find(|program| program.target == PROGRAM).context("cargo built no test `soak`")?;
    let ingredients = step("soak: building the profiler and the service", build::ingredients)?;
    let minutes = arguments.minutes.to_string();
    let environment = [
        (MINUTES, OsStr::new(&minutes)),
        ("PROFILER_DAEMON_BIN", ingredients.daemon.as_os_str()),
        ("PROFILER_FIXTURES", ingredients.fixtures.as_os_str()),
    ];
    let mut command = as_root(&program.file, "attaching to the service", &environment)?;
    command.args(["--nocapture", "--test-threads=1"]).current_dir(place::repository().join("tests"));
    step(&format!("soak: {minutes} minutes"), || loud(command.env("CARGO_MANIFEST_DIR", &program.folder)))
}
