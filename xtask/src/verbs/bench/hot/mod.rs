//! `cargo xtask bench hot`: what the kernel side's programs take for an event, beside empty ones.

mod document;
mod report;

use super::measured::{Format, built, measured, quick_word, read, write};
use super::setting::machine;
use crate::chore::place;
use crate::chore::step::step;
use anyhow::{Context, Result};
use report::Report;
use std::fs;

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

/// Whose tables it writes; what else is in it stays.
const DOCUMENT: &str = "docs/hot-path.md";

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = built("hot", "the fixture", &[])?;
    let words = quick_word(arguments.quick);
    let text = step("bench: measuring", || measured(&program, "attaching to the fixture", &[], &words))?;
    let report: Report = read(&text)?;
    arguments.format.print(&text, || document::tables(&report));
    if !report.quick {
        let file = place::repository().join(DOCUMENT);
        let before = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let after = document::placed(&before, &document::section(&report, &machine(&[])?))
            .with_context(|| format!("{} has no place for the tables", file.display()))?;
        write(DOCUMENT, &after)?;
    }
    Ok(())
}
