//! `cargo xtask bench hot`: what the kernel side's programs take for an event, beside empty ones.

mod document;
mod report;

use super::measured::{Format, measured, quick_word};
use super::setting::machine;
use crate::chore::command::loud;
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::testing::build;
use anyhow::{Context, Result};
use report::Report;
use std::fs;
use std::process::Command;

/// Measure what the kernel side's programs take for an event, beside empty programs on the same sites.
///
/// One task of a fixture is polled some million times, by turns with nothing attached, with empty programs, and with the product's, with and
/// without walks of its awaits; then again while the kernel counts and times each program's runs. Prints the tables and writes them into
/// docs/hot-path.md.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A few rounds only; the document is left as it is.
    #[arg(long)]
    quick: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = step("bench: building", || build::benchmark("hot"))?;
    // Not as root: what is built must belong to whoever runs this.
    step("bench: building the fixture", || loud(Command::new(&program).arg("--build").current_dir(place::repository())))?;
    let words = quick_word(arguments.quick);
    let text = step("bench: measuring", || measured(&program, "attaching to the fixture", &[], &words))?;
    let report: Report = serde_json::from_str(&text).context("the benchmark's report is no JSON of its form")?;
    arguments.format.print(&text, || document::tables(&report));
    if !report.quick {
        let file = place::repository().join("docs/hot-path.md");
        let before = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let after = document::placed(&before, &document::section(&report, &machine(&[])?))
            .with_context(|| format!("{} has no place for the tables", file.display()))?;
        fs::write(&file, after).with_context(|| format!("cannot write {}", file.display()))?;
        note(&format!("written to {}", place::shown(&file)));
    }
    Ok(())
}
