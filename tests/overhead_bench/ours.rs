//! Our own profiler as an observer: a child of this program ([`crate::observe`]).

use std::process::Command;
use std::time::Duration;

use profiler_daemon::attach::Room;
use profiler_tests::process::Process;
use profiler_tests::rig::attached::{Sight, What};
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result};

use crate::observe;
use crate::observer::{Observer, cannot};

/// How long an attach or a detach may take.
const LONG: Duration = Duration::from_mins(1);

/// The profiler in one mode.
pub(crate) struct Ours {
    what: What,
    room: Room,
    child: Process,
    attached: bool,
}

impl Ours {
    /// Starts its process, which does nothing yet.
    pub(crate) fn start(what: What) -> Result<Self> {
        Self::start_with(what, Room::default())
    }

    /// The same with room for so many tasks and requests.
    pub(crate) fn start_with(what: What, room: Room) -> Result<Self> {
        let program = std::env::current_exe().map_err(Failure::io("this program"))?;
        Ok(Self { what, room, child: Process::start(Command::new(program).args(crate::OBSERVE))?, attached: false })
    }

    fn ask<T>(&mut self, line: &str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.child.tell(line)?;
        let read = |line: &str| match line.strip_prefix("failed ") {
            Some(why) => Some(Err(cannot(why))),
            None => read(line).map(Ok),
        };
        self.child.stdout.wait(line, LONG, read)?
    }

    /// Attaches to the process, whatever it is.
    pub(crate) fn attach(&mut self, pid: u32) -> Result<()> {
        let of = observe::Order { what: self.what, pid, room: self.room };
        self.ask(&of.written(), |line| (line == "ready").then_some(()))?;
        self.attached = true;
        Ok(())
    }
}

impl Observer for Ours {
    fn begin(&mut self, service: &Service) -> Result<()> {
        self.attach(service.pid())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        if !std::mem::take(&mut self.attached) {
            return Ok(None);
        }
        self.ask("end", observe::read).map(Some)
    }

    fn pid(&self) -> Option<u32> {
        Some(self.child.pid())
    }
}
