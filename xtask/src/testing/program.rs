//! One test program: what it is, and one run of it.

use super::outcome::{Outcome, parse};
use crate::chore::root::as_root;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, pipe};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// The package of the tests of the whole.
const WHOLE: &str = "profiler-tests";
/// Its tests that load programs into the kernel; every other test runs as whoever runs it.
const ROOT_TESTS: [&str; 10] =
    ["kernel", "stacks", "awaits", "end_to_end", "frameworks", "bad_input", "privileges", "overhead", "faults", "soak"];

/// Which tests of a program are run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// Those whose name holds one of these texts; all where there is none.
    Holding(&'a [String]),
    /// The one of this name.
    Only(&'a str),
}

/// A built test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The package it is of.
    pub(crate) package: String,
    /// The target in that package: the library's name, or the test's.
    pub(crate) target: String,
    /// The file to run.
    pub(crate) file: PathBuf,
    /// The package's folder, in which cargo too would run it.
    pub(crate) folder: PathBuf,
}

impl Program {
    /// Whether it loads programs into the kernel.
    pub(crate) fn needs_root(&self) -> bool {
        self.package == WHOLE && ROOT_TESTS.contains(&self.target.as_str())
    }

    /// `package/target`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.package, self.target)
    }

    /// Runs `which` tests in `environment`. Each line of output goes to `see`.
    pub(crate) fn run(&self, which: Which<'_>, environment: &[(&str, &OsStr)], see: impl FnMut(&str)) -> Result<Outcome> {
        let mut command = if self.needs_root() {
            as_root(&self.file, &format!("loading programs into the kernel ({})", self.name()), environment)?
        } else {
            let mut command = Command::new(&self.file);
            command.envs(environment.iter().copied());
            command
        };
        // A passing test's prints are shown too: among them is why it did nothing.
        command.arg("--show-output");
        match which {
            Which::Holding(texts) => command.args(texts),
            Which::Only(test) => command.args(["--exact", test]),
        };
        if self.needs_root() {
            // Kernel state and the few CPUs are shared: one test at a time.
            command.arg("--test-threads=1");
        }
        let (status, lines) = merged(command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder), see)?;
        Ok(parse(&self.name(), &lines, status))
    }
}

/// Runs `command` with both its outputs in one stream, so that a complaint stays with its test.
pub(crate) fn merged(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(ExitStatus, Vec<String>)> {
    let (reader, writer) = pipe().context("cannot make a pipe")?;
    let second = writer.try_clone().context("cannot share a pipe")?;
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(writer).stderr(second);
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    // The command holds our ends of the pipe; without this the stream would not end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut lines = Vec::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("cannot read a test's output")? > 0 {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        see(&text);
        lines.push(text);
        line.clear();
    }
    let status = child.wait().with_context(|| format!("cannot wait for {name}"))?;
    Ok((status, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(package: &str, target: &str) -> Program {
        Program { package: package.to_owned(), target: target.to_owned(), file: "/bin/true".into(), folder: "/".into() }
    }

    /// Check that only those tests of the whole ask for root.
    #[test]
    fn root_is_asked_for_where_it_is_needed() {
        assert!(program("profiler-tests", "kernel").needs_root());
        assert!(!program("profiler-tests", "harness").needs_root());
        assert!(!program("profiler-daemon", "kernel").needs_root());
    }

    /// Check that both streams arrive in order and that the status does.
    #[test]
    fn streams_are_merged() {
        let mut seen = 0;
        let script = "echo one; echo two >&2; echo three; exit 7";
        let (status, lines) = merged(Command::new("sh").args(["-c", script]), |_| seen += 1).unwrap();
        assert_eq!((status.code(), seen, lines), (Some(7), 3, vec!["one".into(), "two".into(), "three".into()]));
    }
}
