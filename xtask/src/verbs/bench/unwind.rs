//! `cargo xtask bench unwind`: what unwinding costs and how often it succeeds.

use super::document;
use super::measured::{Format, measured, quick_word};
use super::report::Report;
use super::setting::machine;
use crate::chore::command::loud;
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::testing::build;
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

/// Measure unwinding: tables, the kernel side's walks, and perf and framehop on the same fixture.
///
/// Makes unwind tables of the fixture and of the compiler's own libraries (150 and 200 MB); profiles a fixture that knows its own call
/// chain in four release profiles; records the same fixture with `perf record --call-graph dwarf`, where there is perf; and unwinds the
/// stacks that perf dumped with framehop and with our own tables. Prints the tables and writes them to docs/unwind.md.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One profile and one round only; the document is left as it is.
    #[arg(long)]
    quick: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = step("bench: building", || build::benchmark("unwind"))?;
    // Not as root: what is built must belong to whoever runs this.
    step("bench: building the fixtures", || loud(Command::new(&program).arg("--build").current_dir(place::repository())))?;
    let text =
        step("bench: measuring", || measured(&program, "measuring the kernel side's walks", &[], &quick_word(arguments.quick)))?;
    let report: Report = serde_json::from_str(&text).context("the benchmark's report is no JSON of its form")?;
    arguments.format.print(&text, || document::tables(&report));
    if !report.quick {
        let file = place::repository().join("docs/unwind.md");
        fs::write(&file, document::document(&report, &machine(&["perf"])?))
            .with_context(|| format!("cannot write {}", file.display()))?;
        note(&format!("written to {}", place::shown(&file)));
    }
    Ok(())
}
