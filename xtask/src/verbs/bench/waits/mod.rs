//! `cargo xtask bench await`: what await stacks cost.

mod document;
mod report;

use super::measured::{Format, built, measured, quick_word, read, write};
use super::setting::machine;
use crate::chore::command::captured;
use crate::chore::place;
use crate::chore::step::step;
use anyhow::{Context, Result, bail};
use report::Report;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Measure await stacks: the walk in the kernel and in user space, its whole effect on a poll, and the layouts that it goes by.
///
/// Polls a fixture's task that waits at chains of async functions, at several futures at once and at boxed ones; by turns with the walk and
/// without, in one run. Compiles the layouts of the fixture, of the profiler itself and of the programs that `PROFILER_PROGRAM` names
/// (colons between them), each in a process of its own. Prints the tables and writes them to docs/await-costs.md.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Few slices, and no layouts of the profiler itself; the document is left as it is.
    #[arg(long)]
    quick: bool,
    /// Also the layouts of a generated program with 200 MB of debug information. Building it takes minutes, the first time.
    #[arg(long)]
    large: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// The variable that names further programs; profiler-tests' await benchmark reads it.
const PROGRAM_VARIABLE: &str = "PROFILER_PROGRAM";

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = built("await", "the fixtures", &[])?;
    let large = if arguments.large { Some(step("bench: building the large program", || large(&program))?) } else { None };
    let text = step("bench: measuring", || measured_with(&program, arguments.quick, large))?;
    let report: Report = read(&text)?;
    arguments.format.print(&text, || document::tables(&report));
    if !report.quick {
        write("docs/await-costs.md", &document::document(&report, &machine(&[])?))?;
    }
    Ok(())
}

/// Builds the large program; where it is.
fn large(program: &Path) -> Result<PathBuf> {
    let output = captured(Command::new(program).arg("--build-large").current_dir(place::repository()))?;
    if !output.status.success() {
        bail!("the large program was not built: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout).context("its path is no text")?.trim()))
}

/// What the benchmark prints, with the layouts of one more program.
fn measured_with(program: &Path, quick: bool, large: Option<PathBuf>) -> Result<String> {
    let named = env::var_os(PROGRAM_VARIABLE).unwrap_or_default();
    let named: Vec<PathBuf> = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    let programs: OsString =
        env::join_paths(named.into_iter().chain(large)).context("the path of a program has a colon in it")?;
    measured(program, "measuring the kernel side's walks", &[(PROGRAM_VARIABLE, &programs)], &quick_word(quick))
}
