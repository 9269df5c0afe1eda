//! A running chain fixture: a task of a known shape that is polled as often as asked for, and says what its polls took.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chain_fixture::shapes::Shape;
use chain_fixture::truth::{Beaten, Event};

use crate::process::{self, Process};
use crate::recipe::Recipe;
use crate::{Failure, Result, binaries};

/// Longer than a slice takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The fixture, in release mode with full debug information; built where it is not.
pub fn program() -> Result<PathBuf> {
    built("chain-fixture", "full")
}

/// The fixture with so much debug information, in a folder of its own.
pub fn built(folder: &str, debug: &'static str) -> Result<PathBuf> {
    let recipe = Recipe {
        packages: &["chain-fixture"],
        files: &["chain-fixture"],
        sources: &["tests/chain-fixture", "tests/fixture-service/src"],
        folder: binaries::target().join("await-costs").join(folder),
        is_release: true,
        settings: vec![
            ("CARGO_PROFILE_RELEASE_DEBUG", debug),
            ("CARGO_PROFILE_RELEASE_STRIP", "none"),
            ("CARGO_PROFILE_RELEASE_LTO", "false"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
        ],
    };
    recipe.program(|_| Ok(()))
}

/// The running fixture.
pub struct Beating {
    process: Process,
}

impl Beating {
    /// Starts `program`.
    pub fn start(program: PathBuf) -> Result<Self> {
        let mut process = Process::start(&mut Command::new(program))?;
        process.stdout.wait("`ready` of the chain fixture", LIMIT, |line| {
            matches!(serde_json::from_str(line), Ok(Event::Ready { .. })).then_some(())
        })?;
        Ok(Self { process })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// One slice: a new task of this shape, polled so often.
    pub fn beat(&mut self, shape: &Shape, polls: u64) -> Result<Beaten> {
        self.process.tell(&format!("beat {} {polls}", shape.name))?;
        self.process.stdout.wait("`beaten` of the chain fixture", LIMIT, |line| match serde_json::from_str(line) {
            Ok(Event::Beaten(beaten)) => Some(beaten),
            _ => None,
        })
    }

    /// Ends it.
    pub fn end(mut self) -> Result<()> {
        let status = self.process.end(LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let stderr = self.process.stderr.to_end(LIMIT)?;
        Err(Failure::Wrong(vec![format!("the chain fixture ended with {}: {stderr}", process::describe(status))]))
    }
}
