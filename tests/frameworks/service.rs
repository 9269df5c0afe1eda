//! A running service of `examples`, and what its clocks saw.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use profiler_tests::process::{Process, describe};
use profiler_tests::{Failure, Result, binaries};
use serde::Deserialize;

const LIMIT: Duration = Duration::from_mins(1);

/// The service.
pub(crate) struct Service {
    process: Process,
    pub(crate) address: SocketAddr,
}

/// What one side of a scope measured, see `examples/src/witness.rs`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) outside: bool,
    pub(crate) begun_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) polls: u64,
    pub(crate) polls_ns: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) complete: bool,
}

/// Everything that was seen since the last question.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    pub(crate) seen: Vec<Seen>,
    pub(crate) most_at_once: u64,
}

#[derive(Deserialize)]
struct Listening {
    address: SocketAddr,
}

impl Service {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Result<Self> {
        let mut process = Process::start(Command::new(binaries::example(name)?).args(arguments))?;
        let line: Listening = process.stdout.wait("the address of the service", LIMIT, |line| serde_json::from_str(line).ok())?;
        Ok(Self { process, address: line.address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What its clocks saw since the last time.
    pub(crate) fn told(&mut self) -> Result<Told> {
        self.process.tell("tell")?;
        self.process.stdout.wait("what the service saw", LIMIT, |line| serde_json::from_str(line).ok())
    }

    /// Ends it and checks that it ended well.
    pub(crate) fn end(mut self) -> Result<()> {
        let status = self.process.end(LIMIT)?;
        let stderr = self.process.stderr.to_end(LIMIT)?;
        if status.success() && stderr.is_empty() {
            return Ok(());
        }
        Err(Failure::Wrong(vec![format!("the service ended with {}: {stderr}", describe(status))]))
    }
}
