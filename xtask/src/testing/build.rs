//! Building, as whoever runs this: the test programs, and what they run.

use super::program::Program;
use crate::chore::command::cargo;
use crate::chore::place;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;

/// The packages of the services that the tests profile, in release mode, for that is how services run.
const FIXTURES: [&str; 3] = ["fixture-service", "annotated-services", "bench-service"];

/// What the tests of the whole are told to run; `profiler-tests` documents the variables.
#[derive(Clone, Debug)]
pub(crate) struct Ingredients {
    /// `PROFILER_DAEMON_BIN`.
    pub(crate) daemon: PathBuf,
    /// `PROFILER_FIXTURES`.
    pub(crate) fixtures: PathBuf,
}

/// Every test program of the workspace.
pub(crate) fn programs() -> Result<Vec<Program>> {
    let messages = build(&["test", "--workspace", "--no-run"])?;
    let mut programs: Vec<Program> = messages.iter().filter_map(test_program).collect();
    programs.sort_by_key(|program| (program.needs_root(), program.name()));
    if programs.is_empty() {
        bail!("cargo built no test program");
    }
    Ok(programs)
}

/// The profiler and the services that it is tested with.
pub(crate) fn ingredients() -> Result<Ingredients> {
    let packages = FIXTURES.iter().flat_map(|package| ["--package", package]);
    let words: Vec<&str> = ["build", "--bins", "--release"].into_iter().chain(packages).collect();
    let fixtures = build(&words)?;
    let folder = |messages: &[Value]| messages.iter().find_map(executable);
    Ok(Ingredients {
        daemon: profiler()?,
        fixtures: folder(&fixtures).and_then(|file| file.parent().map(PathBuf::from)).context("cargo built no fixture")?,
    })
}

/// The profiler.
pub(crate) fn profiler() -> Result<PathBuf> {
    // Of the whole workspace, so that dependencies have the features they were just built with.
    let messages = build(&["build", "--workspace", "--bin", "profiler-daemon"])?;
    messages.iter().find_map(executable).context("cargo built no profiler-daemon")
}

/// The profiler as it is installed, for benchmarks of it.
pub(crate) fn released_profiler() -> Result<PathBuf> {
    let messages = build(&["build", "--release", "--package", "profiler-daemon", "--bin", "profiler-daemon"])?;
    messages.iter().find_map(executable).context("cargo built no profiler-daemon")
}

/// A benchmark of the tests of the whole, with the optimisation that its numbers are about.
pub(crate) fn benchmark(name: &str) -> Result<PathBuf> {
    let messages = build(&["bench", "--no-run", "--package", "profiler-tests", "--bench", name])?;
    let mut ours = messages.iter().filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(name));
    ours.find_map(executable).with_context(|| format!("cargo built no benchmark `{name}`"))
}

/// One test program of the tests of the whole, as `cargo xtask test` builds it.
pub(crate) fn whole_test(name: &str) -> Result<PathBuf> {
    let messages = build(&["test", "--workspace", "--no-run", "--test", name])?;
    let mut ours = messages.iter().filter_map(test_program).filter(|program| program.target == name);
    ours.next().map(|program| program.file).with_context(|| format!("cargo built no test program `{name}`"))
}

/// Runs cargo and returns its messages, one an artifact.
fn build(arguments: &[&str]) -> Result<Vec<Value>> {
    let mut command = cargo();
    command.current_dir(place::repository()).args(arguments).args(["--locked", "--message-format=json-render-diagnostics"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` failed; the compiler's message stands above", arguments.join(" "));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn executable(message: &Value) -> Option<PathBuf> {
    message.get("executable")?.as_str().map(PathBuf::from)
}

/// The test program that a message of cargo speaks of.
fn test_program(message: &Value) -> Option<Program> {
    let file = executable(message)?;
    if !message.pointer("/profile/test")?.as_bool()? {
        return None;
    }
    let folder = PathBuf::from(message.get("manifest_path")?.as_str()?).parent()?.to_path_buf();
    let target = message.pointer("/target/name")?.as_str()?.to_owned();
    Some(Program { package: package(message.get("package_id")?.as_str()?)?.to_owned(), target, file, folder })
}

/// The name in a package id: `path+file:///x/tests#profiler-tests@0.1.0`, or `path+file:///x/xtask#0.1.0` where it is the folder's.
fn package(id: &str) -> Option<&str> {
    let (path, rest) = id.rsplit_once('#')?;
    match rest.split_once('@') {
        Some((name, _)) => Some(name),
        None => path.rsplit('/').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check both forms of a package id.
    #[test]
    fn package_ids() {
        assert_eq!(package("path+file:///x/tests#profiler-tests@0.1.0"), Some("profiler-tests"));
        assert_eq!(package("path+file:///x/xtask#0.1.0"), Some("xtask"));
    }

    /// Check that a test program is told from a program and from a library.
    #[test]
    fn messages_are_told_apart() {
        let message = |test: bool, executable: &str| -> Value {
            serde_json::from_str(&format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///x/tests#profiler-tests@0.1.0","manifest_path":"/x/tests/Cargo.toml",
                "target":{{"name":"kernel"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            ))
            .unwrap()
        };
        let program = test_program(&message(true, r#""/x/target/kernel-1""#)).unwrap();
        assert!(program.needs_root());
        assert_eq!((program.name().as_str(), program.folder), ("profiler-tests/kernel", PathBuf::from("/x/tests")));
        assert_eq!(test_program(&message(false, r#""/x/target/daemon""#)), None);
        assert_eq!(test_program(&message(true, "null")), None);
    }
}
