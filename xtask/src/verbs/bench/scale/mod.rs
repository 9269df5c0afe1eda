//! `cargo xtask bench scale`: cost per poll as tasks and requests grow in number.

mod document;
mod report;

use super::measured::{Format, built, measured, quick_word, read, write};
use super::setting::machine;
use crate::chore::step::step;
use anyhow::Result;
use report::Scale;

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
    let program = built("overhead", "the service", &["--scale"])?;
    let mut words = quick_word(arguments.quick);
    words.push("--scale".to_owned());
    let text = step("bench: measuring", || measured(&program, "attaching to the service", &[], &words))?;
    let scale: Scale = read(&text)?;
    arguments.format.print(&text, || document::tables(&scale));
    if !arguments.quick {
        write("docs/scale.md", &document::document(&scale, &machine(&[])?))?;
    }
    Ok(())
}
