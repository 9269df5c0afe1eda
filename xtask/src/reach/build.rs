//! A cell's program. All cells share one target directory, so that what versions have in common is compiled once a profile; the
//! program is then copied to a folder of its own.
//!
//! Stripping changes no code, so that three of the four kinds of symbols come of one build.

use super::cells::{Cell, Profile, Symbols};
use crate::chore::command::{cargo, quiet};
use crate::chore::place;
use crate::kernel::sources;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program's name.
const PROGRAM: &str = "reach-fixture";
/// The shared object, the program without Tokio that loads it, and that program's source.
const LIBRARY: &str = "libreach_library.so";
const HOST: &str = "host";
const HOST_SOURCE: &str = "host.c";
/// Flags are for the program, not for what runs while it is built: cargo keeps them apart only with a target.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where everything of the matrix lies that can be made again.
pub(crate) fn folder() -> PathBuf {
    place::target().join("reach")
}

/// Where the sources lie.
fn fixture() -> PathBuf {
    place::repository().join("tests/reach")
}

/// The folder of a cell's `Cargo.toml`.
fn workspace(cell: &Cell) -> PathBuf {
    if cell.symbols == Symbols::Cdylib {
        return fixture().join("library");
    }
    fixture().join("versions").join(cell.tokio())
}

/// What the program of `cell` is made of, as a hash.
pub(crate) fn stamp(cell: &Cell) -> Result<String> {
    let mut made_of = Vec::new();
    let version = workspace(cell);
    let mut files = vec![version.join("Cargo.toml"), version.join("Cargo.lock")];
    for folder in [fixture().join("fixture"), place::repository().join("profiler-annotate/src")] {
        add_files(&folder, &mut files)?;
    }
    if cell.symbols == Symbols::Cdylib {
        files.extend(["lib.rs", HOST_SOURCE].map(|file| version.join(file)));
    }
    files.sort();
    for file in files {
        made_of.extend(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    made_of.extend(quiet(Command::new("rustc").arg("-vV"))?.bytes());
    made_of.extend(cell.to_string().bytes());
    Ok(sources::sha256(&made_of))
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            add_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// How the program of `cell` is started.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    program: PathBuf,
    /// What it loads.
    library: Option<PathBuf>,
}

impl Start {
    /// As a command.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.library);
        command
    }
}

/// The program of `cell`, built where it is not there yet.
pub(crate) fn program(cell: &Cell, stamp: &str) -> Result<Start> {
    let folder = folder().join("programs").join(cell.name().join("-"));
    let is_library = cell.symbols == Symbols::Cdylib;
    let (program, stamp_file) = (folder.join(if is_library { LIBRARY } else { PROGRAM }), folder.join("stamp"));
    let start = if is_library {
        Start { program: folder.join(HOST), library: Some(program.clone()) }
    } else {
        Start { program: program.clone(), library: None }
    };
    if program.exists() && fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(start);
    }
    let built = compile(cell)?;
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    finish(cell.symbols, &program)?;
    if is_library {
        // `-ldl`: a library of its own before glibc 2.34.
        let mut compiler = Command::new("cc");
        compiler.arg("-O1").arg("-o").arg(&start.program).arg(workspace(cell).join(HOST_SOURCE)).arg("-ldl");
        quiet(&mut compiler)?;
    }
    fs::write(&stamp_file, stamp).with_context(|| format!("cannot write {}", stamp_file.display()))?;
    Ok(start)
}

/// Takes symbols away.
fn finish(symbols: Symbols, program: &Path) -> Result<()> {
    let strip = || quiet(Command::new("strip").arg(program)).map(drop);
    match symbols {
        Symbols::Stripped => strip(),
        Symbols::Apart => {
            let debug = program.with_extension("debug");
            quiet(Command::new("objcopy").arg("--only-keep-debug").arg(program).arg(&debug))?;
            strip()?;
            quiet(Command::new("objcopy").arg(format!("--add-gnu-debuglink={}", debug.display())).arg(program)).map(drop)
        }
        _ => Ok(()),
    }
}

fn compile(cell: &Cell) -> Result<PathBuf> {
    let (profile, folder) = match cell.profile {
        Profile::Debug => ("dev", "debug".to_owned()),
        Profile::Release => ("release", "release".to_owned()),
        other => ("", other.to_string()),
    };
    let profile = if profile.is_empty() { folder.clone() } else { profile.to_owned() };
    let flags = match cell.symbols {
        Symbols::V0 => "-Csymbol-mangling-version=v0",
        Symbols::Static => "-Ctarget-feature=+crt-static",
        _ => "",
    };
    let debug = if cell.symbols == Symbols::Lines { "line-tables-only" } else { "full" };
    let target = self::folder().join("build");
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--profile", &profile, "--manifest-path"]);
    command.arg(workspace(cell).join("Cargo.toml")).arg("--target-dir").arg(&target);
    command.env(format!("CARGO_PROFILE_{}_DEBUG", profile.to_uppercase()), debug);
    // What is looked at is rustc's default code, whatever the profiler itself is built with.
    command.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER").env("RUSTFLAGS", flags);
    let mut output = target;
    if !flags.is_empty() {
        command.args(["--target", TARGET]);
        output.push(TARGET);
    }
    quiet(&mut command)?;
    Ok(output.join(folder).join(if cell.symbols == Symbols::Cdylib { LIBRARY } else { PROGRAM }))
}
