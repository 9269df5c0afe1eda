//! The service under load, on a CPU of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::pinned::{SERVICE_CPU, run_on};
use crate::process::Process;
use crate::recipe::Recipe;
use crate::{Result, binaries};

/// A release build as they are by default.
///
/// A test of a benchmark takes the one that `cargo xtask test` has built along with its other fixtures: what its numbers are does not matter.
pub fn program() -> Result<PathBuf> {
    let along = std::env::var_os("PROFILER_FIXTURES").map(|folder| PathBuf::from(folder).join("bench-service"));
    if let Some(program) = along.filter(|program| program.exists()) {
        return Ok(program);
    }
    let recipe = Recipe {
        packages: &["bench-service"],
        files: &["bench-service"],
        sources: &["tests/bench-service", "profiler-annotate/src"],
        folder: binaries::target().join("request-costs"),
        is_release: true,
        settings: vec![
            ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
            ("CARGO_PROFILE_RELEASE_STRIP", "none"),
            ("CARGO_PROFILE_RELEASE_LTO", "false"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
        ],
    };
    recipe.program(|_| Ok(()))
}

/// What a service says that it has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Polls of what it serves.
    pub polls: u64,
    /// CPU time of all its threads (ns).
    pub cpu_ns: u64,
}

/// How long a service may take to answer, on a machine that others use too.
const LONG: Duration = Duration::from_mins(1);

/// A running service. Dropping it kills it.
pub struct Service {
    process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Service {
    /// Starts `command` on the service's CPU; this process goes to the others.
    pub fn start(command: &mut Command) -> Result<Self> {
        run_on(SERVICE_CPU, true)?;
        let started = Process::start(command);
        run_on(SERVICE_CPU, false)?;
        let mut process = started?;
        let port = process.stdout.wait("port", LONG, |line| line.trim().parse().ok())?;
        Ok(Self { process, port })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has used so far, by its own account.
    pub fn usage(&mut self) -> Result<Usage> {
        self.process.tell("")?;
        self.process.stdout.wait("what the service has used", LONG, Usage::read)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        self.process.signal(signal)
    }

    /// Ends it, and waits until it has.
    pub fn end(mut self) -> Result<()> {
        self.process.end(LONG).map(drop)
    }
}

impl Usage {
    fn read(line: &str) -> Option<Self> {
        let (polls, cpu_ns) = line.trim().split_once(' ')?;
        Some(Self { polls: polls.parse().ok()?, cpu_ns: cpu_ns.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_two_numbers() {
        assert_eq!(Usage::read("3 40\n"), Some(Usage { polls: 3, cpu_ns: 40 }));
        assert_eq!(Usage::read("3"), None);
        assert_eq!(Usage::read(""), None);
    }
}
