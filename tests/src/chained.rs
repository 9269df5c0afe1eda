//! A running stack fixture, the profiler's library on it, and the phases that it told.

use std::process::Command;
use std::time::{Duration, Instant};

use profiler_daemon::model::{Capture, Stack};
use profiler_daemon::session::{Detail, Manner, Naming, Session, Subject};
use profiler_daemon::target::maps;
use stack_fixture::truth::{Event, Phase};

use crate::cells::Cell;
use crate::chain::Functions;
use crate::process::Process;
use crate::{Failure, Result};

/// Longer than a round takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// How often the ring buffer is emptied.
const TICK: Duration = Duration::from_millis(50);

/// The fixture, built and started.
pub struct Chained {
    /// How it was built.
    pub cell: Cell,
    process: Process,
}

impl Chained {
    /// Starts it; each of its phases will take `phase_ms`.
    pub fn start(cell: Cell, phase_ms: u32) -> Result<Self> {
        let mut process = Process::start(Command::new(cell.program()?).arg(phase_ms.to_string()))?;
        match event(&mut process, LIMIT)? {
            Some(Event::Ready { .. }) => Ok(Self { cell, process }),
            other => Err(Failure::Wrong(vec![format!("the fixture began with {other:?}")])),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where its functions lie now.
    pub fn functions(&self) -> Result<Functions> {
        Functions::of(self.pid(), &self.cell.program()?, &self.cell.symbols()?)
    }

    /// Runs every phase once. `meanwhile` is called some twenty times a second.
    pub fn round(&mut self, mut meanwhile: impl FnMut() -> Result<()>) -> Result<Vec<Phase>> {
        self.process.tell("go")?;
        let mut phases = Vec::new();
        let until = Instant::now() + LIMIT;
        loop {
            meanwhile()?;
            match event(&mut self.process, TICK)? {
                Some(Event::Phase(phase)) => phases.push(phase),
                Some(Event::Done) => return Ok(phases),
                None if Instant::now() < until => {}
                other => return Err(Failure::Wrong(vec![format!("in the midst of a round the fixture said {other:?}")])),
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
        Err(Failure::Wrong(vec![format!("the stack fixture ended with {}: {stderr}", crate::process::describe(status))]))
    }
}

/// The next event, if it comes in time.
fn event(process: &mut Process, within: Duration) -> Result<Option<Event>> {
    match process.stdout.wait("event of the stack fixture", within, |line| serde_json::from_str(line).ok()) {
        Ok(event) => Ok(Some(event)),
        Err(Failure::Timeout { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Code of one file in a process.
#[derive(Clone, Debug)]
pub struct CodeRange {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Offset in the file.
    pub offset: u64,
    /// The file's name, or the kernel's name for what is mapped.
    pub name: String,
}

/// The code of process `pid`.
pub fn code_of(pid: u32) -> Result<Vec<CodeRange>> {
    let path = format!("/proc/{pid}/maps");
    let mappings = maps::parse_lines(&std::fs::read(&path).map_err(Failure::io(path))?).0;
    let code = mappings.iter().filter(|mapping| mapping.executable).map(|mapping| CodeRange {
        start: mapping.start,
        end: mapping.end,
        offset: mapping.offset,
        name: String::from_utf8_lossy(mapping.name()).rsplit('/').next().unwrap_or_default().to_owned(),
    });
    Ok(code.collect())
}

/// Rounds of a fixture that were profiled.
pub struct Profiled {
    /// What the fixture told.
    pub phases: Vec<Phase>,
    /// Its functions, at the end.
    pub functions: Functions,
    /// Where its code lay, at the end.
    pub modules: Vec<CodeRange>,
    /// What the profiler saw.
    pub capture: Capture,
    /// Names for its addresses.
    pub naming: Naming,
}

/// Attaches to a fixture, lets it run some rounds, and leaves.
pub fn profiled(fixture: &mut Chained, subject: &Subject, rate_hz: u32, rounds: usize) -> Result<Profiled> {
    let wrong = |error: profiler_daemon::session::SessionError| Failure::Wrong(vec![crate::failure::chain(&error)]);
    let manner = Manner { rate_hz: Some(rate_hz), no_awaits: true, ..Manner::default() };
    let mut session = Session::start(fixture.pid(), subject, &manner, &[], &mut |_| ()).map_err(wrong)?;
    let mut phases = Vec::new();
    for _ in 0..rounds {
        phases.extend(fixture.round(|| session.tick().map_err(wrong))?);
    }
    let (functions, modules) = (fixture.functions()?, code_of(fixture.pid())?);
    let naming = session.naming();
    session.finish().map_err(wrong)?;
    let capture = session.capture(Detail::Stacks).map_err(wrong)?;
    Ok(Profiled { phases, functions, modules, capture, naming })
}

/// Whether a stack of that time is of a phase.
#[must_use]
pub fn is_inside(phase: &Phase, tid: u32, at_ns: u64) -> bool {
    tid == phase.tid && (phase.start_ns..=phase.end_ns).contains(&at_ns)
}

impl Profiled {
    /// The stacks of samples inside a phase.
    pub fn samples<'a>(&'a self, phase: &'a Phase) -> impl Iterator<Item = &'a Stack> {
        let inside = self.capture.samples.iter().filter(|sample| is_inside(phase, sample.stack.tid, sample.ts_ns));
        inside.map(|sample| &sample.stack)
    }

    /// The stretches off the CPU inside a phase.
    pub fn off_cpu<'a>(&'a self, phase: &'a Phase) -> impl Iterator<Item = &'a profiler_daemon::model::OffCpu> {
        self.capture.off_cpu.iter().filter(|off| is_inside(phase, off.stack.tid, off.start_ns))
    }
}
