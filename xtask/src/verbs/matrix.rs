//! `cargo xtask matrix`: the profiler against programs of every Tokio version, profile and kind of symbols.

use crate::chore::command::quiet;
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::reach::cells::{self, Cell, Only};
use crate::reach::kept::{self, Came};
use crate::reach::{build, judge, run, table};
use crate::testing::build as testing;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Profile programs of every Tokio version, build profile and kind of symbols, and check what the profiler says of them.
///
/// Each cell is built in target/reach, run, and profiled; the report is held against the program's own counts. What each came to is written to
/// docs/matrix.md, which says what the columns mean. A cell that has run is not run again while neither its program nor the profiler
/// changes, so that a run that was ended goes on where it was: all 143 take an hour or two. Attaching needs root, through sudo where you
/// are not root, which is said.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Arguments {
    /// Only a diagonal (each version, profile and kind of symbols at least once), held against docs/matrix.md, which is left as it is.
    #[arg(long)]
    diagonal: bool,
    /// Only cells that are tokio=VERSION,profile=NAME,symbols=NAME, as far as named, held against docs/matrix.md.
    #[arg(long, value_name = "KEY=VALUE,..", conflicts_with = "diagonal")]
    only: Option<Only>,
    /// Run nothing: write docs/matrix.md from the cells that have run, however long ago.
    #[arg(long, conflicts_with_all = ["diagonal", "only", "build"])]
    tables: bool,
    /// Run cells again that have run.
    #[arg(long)]
    again: bool,
    /// Only build the programs.
    #[arg(long)]
    build: bool,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut wanted = if arguments.diagonal { cells::diagonal() } else { cells::all() };
    wanted.retain(|cell| arguments.only.as_ref().is_none_or(|only| only.takes(cell)));
    if wanted.is_empty() {
        bail!("no cell is so; profiles are {}", cells::PROFILES.map(|profile| profile.to_string()).join(", "));
    }
    if arguments.build {
        return step(&format!("matrix: building {} programs", wanted.len()), || wanted.iter().try_for_each(build_one));
    }
    if arguments.tables {
        let came: Vec<(Cell, Came)> = wanted.iter().filter_map(|cell| Some((*cell, kept::last(cell)?))).collect();
        return write(&came, wanted.len());
    }
    let profiler = step("matrix: building the profiler", testing::profiler)?;
    let mut came = Vec::new();
    let mut failed = Vec::new();
    step(&format!("matrix: {} cells", wanted.len()), || {
        for cell in &wanted {
            match one(cell, &profiler, arguments) {
                Ok(result) => came.push((*cell, result)),
                Err(error) => {
                    note(&format!("{cell}: {error:#}"));
                    failed.push(format!("{cell}: {error:#}"));
                }
            }
        }
        Ok(())
    })?;
    println!("\n{}", table::table(&came));
    finish(arguments, &came, failed)
}

fn build_one(cell: &Cell) -> Result<()> {
    build::program(cell, &build::stamp(cell)?)?;
    note(&format!("{cell}: built"));
    Ok(())
}

/// Builds a cell and, if it has not run yet, runs it.
fn one(cell: &Cell, profiler: &Path, arguments: &Arguments) -> Result<Came> {
    let stamp = build::stamp(cell)?;
    let whole = kept::stamp(&stamp, profiler)?;
    if let Some(known) = kept::of(cell, &whole).filter(|_| !arguments.again) {
        return Ok(known);
    }
    let program = build::program(cell, &stamp)?;
    let folder = build::folder().join("runs").join(cell.name().join("-"));
    let came = run::cell(|| program.command(), profiler, &folder)?;
    note(&format!("{cell}: {}", told(&came)));
    if let Came::Ran(verdicts) = &came {
        let wrong = judge::wrong(verdicts);
        if !wrong.is_empty() {
            bail!("{}; its report is in {}", wrong.join("; "), place::shown(&folder));
        }
    }
    kept::keep(cell, &whole, &came)?;
    Ok(came)
}

fn told(came: &Came) -> String {
    match came {
        Came::Ran(_) => table::row(came).join(", "),
        Came::Refused(why) => format!("refused: {why}"),
    }
}

/// Holds the run against the document, or writes it.
fn finish(arguments: &Arguments, came: &[(Cell, Came)], mut failed: Vec<String>) -> Result<()> {
    let is_whole = !arguments.diagonal && arguments.only.is_none();
    if is_whole && failed.is_empty() {
        write(came, came.len())?;
    } else {
        let file = document();
        let known = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        failed.extend(table::differences(came, &table::read(&known)));
    }
    println!("{} passed, {} failed, 0 skipped", came.len().saturating_sub(failed.len()), failed.len());
    if !failed.is_empty() {
        bail!("{} cells came out wrong:\n{}", failed.len(), failed.join("\n"));
    }
    Ok(())
}

/// The document's file.
fn document() -> PathBuf {
    place::repository().join("docs/matrix.md")
}

/// Writes the document, of `all` cells that there are.
fn write(came: &[(Cell, Came)], all: usize) -> Result<()> {
    let (kernel, rustc) = (quiet(Command::new("uname").arg("-r"))?, quiet(Command::new("rustc").arg("--version"))?);
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    let setting = format!("{} of {all} cells, on Linux {kernel}, x86-64; {}.", came.len(), rustc.trim());
    let file = document();
    fs::write(&file, table::document(came, &setting)).with_context(|| format!("cannot write {}", file.display()))?;
    note(&format!("written to {}", place::shown(&file)));
    Ok(())
}
