//! How a fixture is built with a profile of its own, once, and where its program then lies.
//!
//! All are built in one target directory, `target/stacks`: cargo keeps the dependencies of each profile apart there, and what runs on the
//! build machine (procedural macros) is compiled once. The programs are then copied to a folder of their own. A stamp in it (sources, lock
//! file, compiler) saves asking cargo again, and a test that runs as root from building anything.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Result, binaries};

/// What to build, and how.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The packages, and what of them is kept: the first is the program.
    pub packages: &'static [&'static str],
    /// The files that come of it.
    pub files: &'static [&'static str],
    /// Folders of the repository that they are made of.
    pub sources: &'static [&'static str],
    /// Where they are put.
    pub folder: PathBuf,
    /// Cargo's release profile, or its `dev`.
    pub is_release: bool,
    /// Variables for cargo: what the profile sets.
    pub settings: Vec<(&'static str, &'static str)>,
}

impl Recipe {
    /// The program, built where it is not there yet or not of these sources. `finish` does the rest, in the folder.
    pub fn program(&self, finish: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let name = self.files.first().copied().unwrap_or_default();
        let (program, stamp_file) = (self.folder.join(name), self.folder.join("stamp"));
        let stamp = self.stamp()?;
        if program.exists() && fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
            return Ok(program);
        }
        eprintln!("building {}", self.folder.display());
        let built = self.build()?;
        fs::create_dir_all(&self.folder).map_err(Failure::io(self.folder.display().to_string()))?;
        for name in self.files {
            // A program that still runs cannot be written, but its name can be given away.
            let to = self.folder.join(name);
            drop(fs::remove_file(&to));
            fs::copy(built.join(name), &to).map_err(Failure::io(to.display().to_string()))?;
        }
        finish(&self.folder)?;
        fs::write(&stamp_file, stamp).map_err(Failure::io(stamp_file.display().to_string()))?;
        Ok(program)
    }

    fn build(&self) -> Result<PathBuf> {
        let target = binaries::target().join("stacks");
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(binaries::repository()).args(["build", "--quiet", "--locked"]);
        command.args(self.is_release.then_some("--release"));
        command.args(self.packages.iter().flat_map(|package| ["--package", package]));
        command
            .arg("--target-dir")
            .arg(&target)
            .envs(self.settings.iter().copied())
            // What is looked at is rustc's default code, whatever the profiler itself is built with.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("RUSTFLAGS");
        let output = command.output().map_err(Failure::io("cargo"))?;
        if !output.status.success() {
            return Err(Failure::Build {
                package: self.folder.display().to_string(),
                status: output.status.to_string(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Ok(target.join(if self.is_release { "release" } else { "debug" }))
    }

    /// What the files depend on, hashed.
    fn stamp(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        let root = binaries::repository();
        for folder in self.sources {
            hash_folder(&root.join(folder), &mut hasher)?;
        }
        hash_file(&root.join("Cargo.lock"), &mut hasher)?;
        self.settings.hash(&mut hasher);
        let compiler = Command::new("rustc").arg("-vV").output().map_err(Failure::io("rustc"))?;
        compiler.stdout.hash(&mut hasher);
        Ok(format!("{:016x}", hasher.finish()))
    }
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(Failure::io(folder.display().to_string()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { hash_folder(&path, hasher)? } else { hash_file(&path, hasher)? }
    }
    Ok(())
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    fs::read(path).map_err(Failure::io(path.display().to_string()))?.hash(hasher);
    Ok(())
}
