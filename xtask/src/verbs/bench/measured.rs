//! What all benchmarks share: a program that measures as root and prints a report in JSON, and what becomes of it.

use crate::chore::command::loud;
use crate::chore::place;
use crate::chore::root::as_root;
use crate::chore::step::{note, step};
use crate::testing::build;
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How the numbers are printed.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// Tables for people.
    Table,
    /// The report as it was measured.
    Json,
}

impl Format {
    /// Prints the report, which is `json`, or the tables made of it.
    pub(super) fn print(self, json: &str, tables: impl FnOnce() -> String) {
        match self {
            Self::Json => print!("{json}"),
            Self::Table => print!("{}", tables()),
        }
    }
}

/// The benchmark `name`, built, and what it measures, which it builds itself (`--build` and `words`); `what` says what that is.
pub(super) fn built(name: &str, what: &str, words: &[&str]) -> Result<PathBuf> {
    let program = step("bench: building", || build::benchmark(name))?;
    // Not as root: what is built must belong to whoever runs this.
    let building = || loud(Command::new(&program).arg("--build").args(words).current_dir(place::repository()));
    step(&format!("bench: building {what}"), building)?;
    Ok(program)
}

/// The report that a benchmark has printed.
pub(super) fn read<R: DeserializeOwned>(text: &str) -> Result<R> {
    serde_json::from_str(text).context("the benchmark's report is no JSON of its form")
}

/// Writes a document, a path below the repository.
pub(super) fn write(document: &str, text: &str) -> Result<()> {
    let file = place::repository().join(document);
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    note(&format!("written to {}", place::shown(&file)));
    Ok(())
}

/// What the benchmark `program` prints, run as root for the reason `why`. What it says on standard error, its progress, is shown.
pub(super) fn measured(program: &Path, why: &str, variables: &[(&str, &OsStr)], words: &[String]) -> Result<String> {
    let mut command = as_root(program, why, variables)?;
    let output = command.args(words).current_dir(place::repository()).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("the benchmark failed; its own message stands above");
    }
    String::from_utf8(output.stdout).context("the benchmark's report is no text")
}

/// `--quick`, where it is to be.
pub(super) fn quick_word(quick: bool) -> Vec<String> {
    quick.then(|| "--quick".to_owned()).into_iter().collect()
}
