//! The fixture whose tasks a snapshot lists, with full debug information: without it there are no await stacks and no task lists.

use std::path::PathBuf;
use std::process::Command;

use crate::fixture::Fixture;
use crate::process::Process;
use crate::recipe::Recipe;
use crate::{Result, binaries};

/// Starts the scenario `crowd` of a release build with `debug = 2`.
pub fn start(line: &str) -> Result<Fixture> {
    let mut command = Command::new(program()?);
    command.arg("crowd").args(line.split_whitespace());
    Fixture::ready(Process::start(&mut command)?)
}

fn program() -> Result<PathBuf> {
    let recipe = Recipe {
        packages: &["fixture-service"],
        files: &["fixture-service"],
        sources: &["tests/fixture-service/src", "profiler-annotate/src"],
        folder: binaries::target().join("crowd"),
        is_release: true,
        settings: vec![("CARGO_PROFILE_RELEASE_DEBUG", "full"), ("CARGO_PROFILE_RELEASE_STRIP", "none")],
    };
    recipe.program(|_| Ok(()))
}
