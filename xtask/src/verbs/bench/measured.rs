//! What all benchmarks share: a program that measures as root and prints a report in JSON, and what becomes of it.

use crate::chore::command::captured;
use crate::chore::place;
use crate::chore::root::as_root;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::Path;

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

/// What the benchmark `program` prints, run as root for the reason `why`.
pub(super) fn measured(program: &Path, why: &str, variables: &[(&str, &OsStr)], quick: bool) -> Result<String> {
    let mut command = as_root(program, why, variables)?;
    if quick {
        command.arg("--quick");
    }
    let output = captured(command.current_dir(place::repository()))?;
    if !output.status.success() {
        bail!("the benchmark failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("the benchmark's report is no text")
}
