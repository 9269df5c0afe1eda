//! `cargo xtask bench scale`: cost per poll as tasks and requests grow in number.

mod document;
mod report;

use super::measured::{Format, measured, quick_word};
use super::setting::machine;
use crate::chore::command::loud;
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::testing::build;
use anyhow::{Context, Result};
use report::Scale;
use std::fs;
use std::process::Command;

/// Measure what a poll costs as tasks and requests grow in number.
///
/// Crowds of 1,000 to 1,000,000 tasks, and of 1,000 to 100,000 requests at once, are polled in turn, each by turns with the profiler and without.
/// Prints the cost of a poll for each size, the memory of the profiler and of its maps in the kernel, and whether the cost is flat: the
/// largest over the smallest, with the rig's own error; and writes them to docs/scale.md. Takes some four minutes, with `--quick` a third of it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Two rounds only; the document is left as it is.
    #[arg(long)]
    quick: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = step("bench: building", || build::benchmark("overhead"))?;
    // Not as root: what is built must belong to whoever runs this.
    let building = || loud(Command::new(&program).args(["--build", "--scale"]).current_dir(place::repository()));
    step("bench: building the service", building)?;
    let mut words = quick_word(arguments.quick);
    words.push("--scale".to_owned());
    let text = step("bench: measuring", || measured(&program, "attaching to the service", &[], &words))?;
    let scale: Scale = serde_json::from_str(&text).context("the benchmark's report is no JSON of its form")?;
    arguments.format.print(&text, || document::tables(&scale));
    if !arguments.quick {
        let file = place::repository().join("docs/scale.md");
        fs::write(&file, document::document(&scale, &machine(&[])?))
            .with_context(|| format!("cannot write {}", file.display()))?;
        note(&format!("written to {}", place::shown(&file)));
    }
    Ok(())
}
