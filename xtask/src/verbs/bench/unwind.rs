//! `cargo xtask bench unwind`: what unwinding costs and how often it succeeds.

use super::document;
use super::measured::{Format, built, measured, quick_word, read, write};
use super::report::Report;
use super::setting::machine;
use crate::chore::step::step;
use anyhow::Result;

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
    let program = built("unwind", "the fixtures", &[])?;
    let text =
        step("bench: measuring", || measured(&program, "measuring the kernel side's walks", &[], &quick_word(arguments.quick)))?;
    let report: Report = read(&text)?;
    arguments.format.print(&text, || document::tables(&report));
    if !report.quick {
        write("docs/unwind.md", &document::document(&report, &machine(&["perf"])?))?;
    }
    Ok(())
}
