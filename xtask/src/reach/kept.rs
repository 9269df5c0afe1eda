//! What cells came to, kept by what they were made of, so that no cell runs twice for nothing.

use super::build::folder;
use super::cells::Cell;
use super::judge::Verdicts;
use crate::kernel::sources::sha256;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// What one cell came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Came {
    /// It ran.
    Ran(Verdicts),
    /// The profiler did not attach, and said why.
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    stamp: String,
    came: Came,
}

fn file(cell: &Cell) -> PathBuf {
    folder().join("results").join(format!("{}.json", cell.name().join("-")))
}

/// The stamp of a cell's result: its program's, and the profiler's bytes.
pub(crate) fn stamp(program: &str, profiler: &Path) -> Result<String> {
    let bytes = fs::read(profiler).with_context(|| format!("cannot read {}", profiler.display()))?;
    Ok(format!("{program}-{}", sha256(&bytes)))
}

/// What `cell` came to, if it ran with that stamp.
pub(crate) fn of(cell: &Cell, stamp: &str) -> Option<Came> {
    read(cell).filter(|kept| kept.stamp == stamp).map(|kept| kept.came)
}

/// What `cell` came to when it ran last.
pub(crate) fn last(cell: &Cell) -> Option<Came> {
    read(cell).map(|kept| kept.came)
}

fn read(cell: &Cell) -> Option<Kept> {
    serde_json::from_str(&fs::read_to_string(file(cell)).ok()?).ok()
}

/// Keeps it.
pub(crate) fn keep(cell: &Cell, stamp: &str, came: &Came) -> Result<()> {
    let file = file(cell);
    let text = serde_json::to_string_pretty(&Kept { stamp: stamp.to_owned(), came: came.clone() })?;
    fs::create_dir_all(folder().join("results")).context("cannot make the folder of the results")?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}
