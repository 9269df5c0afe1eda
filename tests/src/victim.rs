//! A fixture to which things happen: `fault-service`, from a copy of its program that is this test's alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fixture_service::truth::Event;
use tempfile::TempDir;

use crate::annotation::Annotation;
use crate::process::Process;
use crate::{Failure, Result, binaries, text};

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// How long the kernel may take to let go of what a dead process held.
const PATIENCE: Duration = Duration::from_secs(10);

/// The service.
pub struct Victim {
    /// The process that was started.
    pub process: Process,
    /// Its program.
    pub program: PathBuf,
    /// The process that serves: another one where the first only starts it.
    pid: u32,
    _folder: TempDir,
}

/// What the service said of a storm.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// How long it took.
    pub took: Duration,
}

impl Victim {
    /// Starts one with `clients` that ask all the time.
    pub fn start(clients: u32) -> Result<Self> {
        Self::start_by(clients, |program| Command::new(program))
    }

    /// The same by a command that is made of the program's path. The arguments are added.
    pub fn start_by(clients: u32, command: impl FnOnce(&Path) -> Command) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        let program = folder.path().join("victim");
        std::fs::copy(binaries::fixture("fault-service")?, &program).map_err(Failure::io("a copy of the fixture"))?;
        let process = Process::start(command(&program).args(["--clients", &clients.to_string()]))?;
        let pid = process.pid();
        let mut victim = Self { process, program, pid, _folder: folder };
        victim.ready()?;
        Ok(victim)
    }

    /// Waits until it says that it is ready: at its start, and when it has begun a program anew.
    pub fn ready(&mut self) -> Result<()> {
        match self.event()? {
            Event::Ready { .. } => Ok(()),
            other => Err(Failure::Wrong(vec![format!("not ready: {other:?}")])),
        }
    }

    /// The process that serves.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Says which process serves, where the one that was started is another.
    pub fn serves_as(&mut self, pid: u32) {
        self.pid = pid;
    }

    /// Tells it something.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        self.process.tell(line)
    }

    /// The number that it says next about `what`.
    pub fn told(&mut self, what: &str) -> Result<u64> {
        loop {
            match self.event()? {
                Event::Total { step, tasks, .. } if step == what => return Ok(tasks),
                // A child's word may come in between.
                Event::Total { .. } => {}
                other => return Err(Failure::Wrong(vec![format!("{what} was to come, not {other:?}")])),
            }
        }
    }

    /// Requests that it has served.
    pub fn served(&mut self) -> Result<u64> {
        self.tell("count")?;
        self.told("served")
    }

    /// Runs a storm of `tasks`, of which `held` wait for the last, and `scopes` of a thousand others are requests.
    pub fn storm(&mut self, tasks: u64, held: u64, scopes: u64) -> Result<Storm> {
        self.tell(&format!("storm {tasks} {held} {scopes}"))?;
        loop {
            if let Event::Total { step, started_ns, ended_ns, .. } = self.event()?
                && step == "storm"
            {
                return Ok(Storm { took: Duration::from_nanos(ended_ns - started_ns) });
            }
        }
    }

    /// It lives: it goes on serving.
    pub fn goes_on(&mut self) -> Result<()> {
        let before = self.served()?;
        let deadline = Instant::now() + LIMIT;
        while self.served()? < before + 8 {
            if Instant::now() > deadline {
                return Err(Failure::Wrong(vec![format!("it serves no more: {before} requests, and no others")]));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Nothing of a profiler is in it. See [`is_clean`].
    pub fn is_clean(&self) -> Result<()> {
        is_clean(self.pid)
    }

    /// Nor has it anything to ask for in the annotation's table.
    pub fn is_asked_nothing(&self) -> Result<()> {
        self.is_clean()?;
        crate::failure::all_right(Annotation::of(self.pid)?.left_behind()?)
    }

    /// Ends it and checks that it ended well.
    pub fn end(mut self) -> Result<()> {
        let status = self.process.end(LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let stderr = self.process.stderr.to_end(LIMIT)?;
        Err(Failure::Wrong(vec![format!("the target ended with {}: {stderr}", crate::process::describe(status))]))
    }

    fn event(&mut self) -> Result<Event> {
        self.process.stdout.wait("event of the target", LIMIT, |line| serde_json::from_str(line).ok())
    }
}

/// Nothing of a profiler is in process `pid`: no probe in its code, no semaphore raised. Links leave soon after their holder, so this waits a moment.
pub fn is_clean(pid: u32) -> Result<()> {
    soon("the target is not as it was", || {
        let mut left = text::changed_bytes(pid)?.into_iter().map(|at| format!("a probe at {at:#x}")).collect::<Vec<_>>();
        let raised = Annotation::of(pid)?.semaphores()?;
        left.extend(raised.iter().any(|count| *count != 0).then(|| format!("semaphores {raised:?}")));
        Ok(left)
    })
}

/// Waits until `left` finds nothing; what it still finds then is the failure.
pub fn soon(what: &str, mut left: impl FnMut() -> Result<Vec<String>>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = left()?;
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::Wrong(vec![format!("{what}: {}", found.join(", "))]));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
