//! `cargo xtask bench request`: what profiling a request costs the others, and itself.

mod document;
mod report;
mod told;

use super::measured::{Format, built, measured, quick_word, read, write};
use super::setting::machine;
use crate::chore::step::{note, step};
use anyhow::{Context, Result};
use report::Report;

/// Measure what profiling a request costs the others.
///
/// An axum service has one CPU, the load and the profiler have the others. Short slices with the profiler attached and without follow one
/// another in pairs; a row without any attach says how far the rig itself can be trusted. Prints the tables and writes them to
/// docs/request-costs.md.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Few pairs; the document is left as it is.
    #[arg(long)]
    quick: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = built("request", "the service", &[])?;
    let text = step("bench: measuring", || measured(&program, "attaching to the service", &[], &quick_word(arguments.quick)))?;
    let report: Report = read(&text)?;
    let told = serde_json::to_string_pretty(&told::Told::of(&report)).context("the numbers cannot be written")?;
    arguments.format.print(&format!("{told}\n"), || document::tables(&report));
    if matches!(arguments.format, Format::Json)
        && let Some(sentence) = document::claim(&report)
    {
        // Standard output has the form and nothing else.
        note(sentence);
    }
    if !arguments.quick {
        write("docs/request-costs.md", &document::document(&report, &machine(&[])?))?;
    }
    Ok(())
}
