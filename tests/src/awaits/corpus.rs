//! A running corpus, and what it tells.

use std::process::Command;
use std::time::Duration;

use await_fixture::truth::{Case, Event, Parked};

use super::cells::Cell;
use crate::process::Process;
use crate::{Failure, Result};

/// Longer than a round takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// The variable that names the one case to run.
pub const CASE_VARIABLE: &str = "PROFILER_AWAITS_CASE";

/// The corpus, built and started.
pub struct Corpus {
    process: Process,
    /// Where its cases stay, if they do.
    pub parked: Vec<Parked>,
}

impl Corpus {
    /// Starts it; its cases run when they are told to.
    pub fn start(cell: Cell) -> Result<Self> {
        Self::ready(cell, "run")
    }

    /// Starts it with every case that can be kept waiting where it waits first.
    pub fn park(cell: Cell) -> Result<Self> {
        let mut corpus = Self::ready(cell, "park")?;
        corpus.parked.retain(|parked| is_asked_for(&parked.name));
        Ok(corpus)
    }

    fn ready(cell: Cell, mode: &str) -> Result<Self> {
        let process = Process::start(Command::new(cell.program()?).arg(mode))?;
        let mut corpus = Self { process, parked: Vec::new() };
        loop {
            match corpus.event()? {
                Event::Ready { .. } => return Ok(corpus),
                Event::Parked(parked) => corpus.parked.push(parked),
                other => return Err(Failure::Wrong(vec![format!("the corpus began with {other:?}")])),
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Runs cases by name once; without names all, or the one that the environment asks for.
    pub fn round(&mut self, names: &[String]) -> Result<Vec<Case>> {
        let asked = std::env::var(CASE_VARIABLE).ok().filter(|_| names.is_empty());
        let names: Vec<&str> = names.iter().chain(&asked).map(String::as_str).collect();
        self.process.tell(&format!("go {}", names.join(" ")))?;
        let mut cases = Vec::new();
        loop {
            match self.event()? {
                Event::Case(case) => cases.push(case),
                Event::Done if cases.is_empty() => return Err(Failure::Wrong(vec![format!("there is no case {names:?}")])),
                Event::Done => return Ok(cases),
                other => return Err(Failure::Wrong(vec![format!("in the midst of a round the corpus said {other:?}")])),
            }
        }
    }

    /// Ends it and checks that it ended well.
    pub fn end(mut self) -> Result<()> {
        let status = self.process.end(LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let stderr = self.process.stderr.to_end(LIMIT)?;
        Err(Failure::Wrong(vec![format!("the corpus ended with {}: {stderr}", crate::process::describe(status))]))
    }

    fn event(&mut self) -> Result<Event> {
        match self.process.stdout.wait("event of the corpus", LIMIT, |line| serde_json::from_str(line).ok()) {
            Err(Failure::Ended { what, seen }) => {
                let stderr = self.process.stderr.to_end(LIMIT)?;
                Err(Failure::Ended { what, seen: format!("{seen}\n{stderr}") })
            }
            other => other,
        }
    }
}

/// Whether a case is wanted: each is, unless the environment names one.
#[must_use]
pub fn is_asked_for(name: &str) -> bool {
    std::env::var(CASE_VARIABLE).map_or(true, |asked| asked == name)
}
