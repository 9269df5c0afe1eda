//! `perf record`: samples of stacks 99 times a second, by frame pointers or by copies of the stack.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use profiler_tests::process::Process;
use profiler_tests::rig::attached::Sight;
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result};

use crate::observer::{Observer, cannot};

/// After which it samples; it does not tell.
const STARTS_WITHIN: Duration = Duration::from_millis(250);
/// In which it writes its file.
const LONG: Duration = Duration::from_secs(30);

/// A way to take stacks.
pub(crate) struct Perf {
    call_graph: &'static str,
    file: PathBuf,
    running: Option<Process>,
}

impl Perf {
    /// By `fp` or `dwarf`, where there is a perf.
    pub(crate) fn found(call_graph: &'static str, folder: &std::path::Path) -> Result<Self> {
        let version = Command::new("perf").arg("--version").output().map_err(|_| cannot("perf is not installed"))?;
        if !version.status.success() {
            return Err(cannot(format!("perf does not run: {}", String::from_utf8_lossy(&version.stderr).trim())));
        }
        Ok(Self { call_graph, file: folder.join(format!("perf-{call_graph}.data")), running: None })
    }
}

impl Observer for Perf {
    fn begin(&mut self, service: &Service) -> Result<()> {
        // There are no hardware counters on many a virtual machine.
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "-e", "cpu-clock", "-F", "99", "--call-graph", self.call_graph]);
        command.args(["-p", &service.pid().to_string(), "-o"]).arg(&self.file);
        let mut process = Process::start(&mut command)?;
        std::thread::sleep(STARTS_WITHIN);
        if process.running()?.is_some() {
            let why = process.stderr.to_end(LONG).unwrap_or_else(|failure| failure.to_string());
            return Err(cannot(format!("perf ended: {}", why.trim())));
        }
        self.running = Some(process);
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        let Some(mut process) = self.running.take() else { return Ok(None) };
        process.signal(libc::SIGINT)?;
        process.wait(LONG)?;
        let written = std::fs::metadata(&self.file).map_err(Failure::io(self.file.display().to_string()))?.len();
        if written == 0 { Err(cannot("perf wrote nothing")) } else { Ok(None) }
    }

    fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Process::pid)
    }
}
