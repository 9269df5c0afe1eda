//! A running fixture service, and the rounds it runs.

use std::process::Command;
use std::time::Duration;

use fixture_service::truth::{Event, Row};

use crate::process::Process;
use crate::{Failure, Result, binaries};

/// Longer than any round or start takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A fixture that is ready for commands.
pub struct Fixture {
    /// The process.
    pub process: Process,
    /// Tasks that it said live from start to end: their Tokio ids.
    pub live: Vec<u64>,
}

/// What a fixture measured in one round.
#[derive(Debug, Default)]
pub struct Round {
    /// A row for each task and scope that ended.
    pub rows: Vec<Row>,
    /// Sums of tasks that have no rows: future's name and how many.
    pub totals: Vec<(String, u64)>,
    /// The end of the round on `CLOCK_MONOTONIC`.
    pub ended_ns: u64,
}

impl Fixture {
    /// Starts `fixture-service` with the words of `line`.
    pub fn start(line: &str) -> Result<Self> {
        Self::start_binary("fixture-service", line)
    }

    /// Starts a fixture by the name of its binary.
    pub fn start_binary(name: &str, line: &str) -> Result<Self> {
        let mut command = Command::new(binaries::fixture(name)?);
        command.args(line.split_whitespace());
        Self::ready(Process::start(&mut command)?)
    }

    /// The same with full debug information.
    pub fn start_with_types(line: &str) -> Result<Self> {
        let mut command = Command::new(binaries::fixture_with_types("fixture-service")?);
        command.args(line.split_whitespace());
        Self::ready(Process::start(&mut command)?)
    }

    /// Waits until a process that was started as a fixture is ready.
    pub fn ready(process: Process) -> Result<Self> {
        let mut fixture = Self { process, live: Vec::new() };
        loop {
            match fixture.event()? {
                Event::Ready { .. } => return Ok(fixture),
                Event::Live { task_id, .. } => fixture.live.push(task_id),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Starts a round without waiting for it.
    pub fn go(&mut self) -> Result<()> {
        self.process.tell("go")
    }

    /// Waits for the round that [`Self::go`] started.
    pub fn finish_round(&mut self) -> Result<Round> {
        let mut round = Round::default();
        loop {
            match self.event()? {
                Event::Row(row) => round.rows.push(row),
                Event::Total { step, tasks, .. } => round.totals.push((step, tasks)),
                Event::Done { at_ns, .. } => {
                    round.ended_ns = at_ns;
                    return Ok(round);
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Runs a round.
    pub fn round(&mut self) -> Result<Round> {
        self.go()?;
        self.finish_round()
    }

    /// Does the service still run a task for us? It fails if not.
    pub fn ping(&mut self) -> Result<Duration> {
        self.process.tell("ping")?;
        match self.event()? {
            Event::Pong { took_ns } => Ok(Duration::from_nanos(took_ns)),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends it and checks that it ended well.
    pub fn end(mut self) -> Result<()> {
        let status = self.process.end(LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let stderr = self.process.stderr.to_end(LIMIT)?;
        Err(Failure::Wrong(vec![format!("the fixture ended with {}: {stderr}", crate::process::describe(status))]))
    }

    fn event(&mut self) -> Result<Event> {
        self.process.stdout.wait("event of the fixture", LIMIT, |line| serde_json::from_str(line).ok())
    }
}

fn unexpected(event: &Event) -> Failure {
    Failure::Wrong(vec![format!("not the fixture's turn to say {event:?}")])
}
