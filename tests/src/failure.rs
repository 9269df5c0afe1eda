//! What can go wrong in a test besides a failed expectation.

use std::path::PathBuf;
use std::time::Duration;

/// A result of the harness.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure of the harness, a fixture or the profiler, with what was seen.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or program could not be used.
    #[error("{what}: {source}")]
    Io {
        /// Which, and for what.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// cargo could not build a program that the tests run.
    #[error("cargo build {package}: {status}\n{stderr}")]
    Build {
        /// The package.
        package: String,
        /// cargo's exit status.
        status: String,
        /// What cargo said.
        stderr: String,
    },
    /// Nothing like it was printed in time.
    #[error("no {what} within {within:?}; printed so far:\n{seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// The output so far.
        seen: String,
    },
    /// The output ended first.
    #[error("the output ended before {what}; printed:\n{seen}")]
    Ended {
        /// What was waited for.
        what: String,
        /// The output.
        seen: String,
    },
    /// The profiler failed where it must not.
    #[error("{command} ended with {status}:\n{stderr}")]
    Profiler {
        /// The arguments.
        command: String,
        /// Its exit status.
        status: String,
        /// What it said.
        stderr: String,
    },
    /// A report or another file does not have the promised form.
    #[error("{}: {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The report is well formed and wrong.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

impl Failure {
    /// For `map_err` on I/O: names the file or program.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `Ok` where nothing is wrong, else everything that is.
pub fn all_right(wrong: Vec<String>) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Wrong(wrong)) }
}
