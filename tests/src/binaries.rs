//! The programs the tests run: built once by cargo, or named by the environment.
//!
//! `PROFILER_DAEMON_BIN` names the profiler, `PROFILER_FIXTURES` the folder with the fixtures and examples. Where they are not set,
//! cargo builds both: the profiler as it is, the fixtures in release mode, since that is how services run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Failure, Result};

/// The profiler.
pub fn profiler() -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, || {
        if let Some(path) = env::var_os("PROFILER_DAEMON_BIN") {
            return Ok(PathBuf::from(path));
        }
        build("profiler-daemon", &["--bin", "profiler-daemon"])?;
        Ok(target().join("debug/profiler-daemon"))
    })
}

/// A fixture, by the name of its binary.
pub fn fixture(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let folder = once(&BUILT, || {
        if let Some(path) = env::var_os("PROFILER_FIXTURES") {
            return Ok(PathBuf::from(path));
        }
        build("fixture-service", &["--bins", "--release"])?;
        Ok(target().join("release"))
    })?;
    Ok(folder.join(name))
}

/// A service of `examples`, by the name of its binary. Built like the fixtures, and found where they are.
pub fn example(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let folder = once(&BUILT, || {
        if let Some(path) = env::var_os("PROFILER_FIXTURES") {
            return Ok(PathBuf::from(path));
        }
        build("annotated-services", &["--bins", "--release"])?;
        Ok(target().join("release"))
    })?;
    Ok(folder.join(name))
}

/// The demo's service: axum, with the annotation's layer.
pub fn demo() -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, || {
        // As it is: its own tests have built it so already.
        build("demo-service", &["--bin", "demo-service"])?;
        Ok(target().join("debug/demo-service"))
    })
}

/// A fixture with full debug information, hence with layouts of its futures, by the name of its binary.
pub fn fixture_with_types(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let folder = once(&BUILT, || {
        let folder = target().join("full");
        let types = ["--config", "profile.release.debug=2", "--target-dir", &*folder.to_string_lossy()];
        build("fixture-service", &[&["--bin", name, "--release"], &types[..]].concat())?;
        Ok(folder.join("release"))
    })?;
    Ok(folder.join(name))
}

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo, and what tests bring along, put files.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

fn build(package: &str, arguments: &[&str]) -> Result<()> {
    // cargo sets CARGO for the programs that it runs.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(repository())
        .args(["build", "--quiet", "--locked", "--package", package])
        .args(arguments)
        .output()
        .map_err(Failure::io("cargo"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Build {
        package: package.to_owned(),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn once(slot: &OnceLock<std::result::Result<PathBuf, String>>, make: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    slot.get_or_init(|| make().map_err(|failure| failure.to_string())).clone().map_err(|why| Failure::Wrong(vec![why]))
}
