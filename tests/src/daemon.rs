//! The profiler as a user runs it.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, describe};
use crate::report::Report;
use crate::{Failure, Result, binaries};

/// Longer than an attach, an end, or a report of ten thousand requests takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// How a command of the profiler ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Ended {
    /// Its exit code; a signal's number, negative, if one killed it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().or(self.status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
    }
}

/// Runs a command of the profiler to its end.
pub fn run_to_end<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Ended> {
    let mut command = Command::new(binaries::profiler()?);
    command.args(arguments);
    to_end(Process::start(&mut command)?)
}

/// Waits for a process's end and takes what it printed.
pub fn to_end(mut process: Process) -> Result<Ended> {
    let status = process.end(LIMIT)?;
    Ok(Ended { status, stdout: process.stdout.to_end(LIMIT)?, stderr: process.stderr.to_end(LIMIT)? })
}

/// A `record` that writes a JSON report, or another form.
pub struct Recording {
    process: Process,
    folder: TempDir,
    name: String,
}

impl Recording {
    /// Starts `record --pid PID --format json` with further arguments, and does not wait for anything.
    pub fn start(pid: u32, arguments: &[&str]) -> Result<Self> {
        Self::start_as("json", pid, arguments)
    }

    fn start_as(format: &str, pid: u32, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        let mut command = Command::new(binaries::profiler()?);
        command
            .args(["record", "--pid", &pid.to_string(), "--format", format, "-o"])
            .arg(folder.path().join("report.json"))
            .args(arguments);
        let name = format!("record {}", arguments.join(" "));
        Ok(Self { process: Process::start(&mut command)?, folder, name })
    }

    /// The same as [`Self::start`], and waits until the probes are in.
    pub fn attach(pid: u32, arguments: &[&str]) -> Result<Self> {
        Self::attach_as("json", pid, arguments)
    }

    /// The same in another format than JSON; see [`Self::bytes`].
    pub fn attach_as(format: &str, pid: u32, arguments: &[&str]) -> Result<Self> {
        let mut recording = Self::start_as(format, pid, arguments)?;
        recording.process.stderr.wait("word of the attach", LIMIT, |line| line.contains("attached").then_some(()))?;
        Ok(recording)
    }

    /// Where the report goes.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("report.json")
    }

    /// Ends the window before its time, as Ctrl-C does.
    pub fn interrupt(&self) -> Result<()> {
        self.process.signal(libc::SIGINT)
    }

    /// Kills it.
    pub fn kill(mut self) -> Result<()> {
        self.process.signal(libc::SIGKILL)?;
        self.process.wait(LIMIT).map(drop)
    }

    /// Waits for the end, whatever it is.
    pub fn ended(self) -> Result<(Ended, TempDir)> {
        Ok((to_end(self.process)?, self.folder))
    }

    /// Waits for the end, which must be a good one, and reads the report.
    pub fn report(self) -> Result<Report> {
        let path = self.path();
        let _folder = self.ended_well()?;
        Report::read(&path)
    }

    /// Waits for the end, which must be a good one, and reads what was written, whatever its form.
    pub fn bytes(self) -> Result<Vec<u8>> {
        let path = self.path();
        let _folder = self.ended_well()?;
        std::fs::read(&path).map_err(Failure::io(path.display().to_string()))
    }

    fn ended_well(self) -> Result<TempDir> {
        let name = self.name.clone();
        let (ended, folder) = self.ended()?;
        if ended.status.success() {
            return Ok(folder);
        }
        Err(Failure::Profiler { command: name, status: describe(ended.status), stderr: ended.stderr })
    }
}

/// A running `profiler-daemon run`.
pub struct Daemon {
    process: Process,
    folder: TempDir,
    socket: PathBuf,
}

impl Daemon {
    /// Starts `run --pid PID --socket ..` with further arguments and waits until the probes are in.
    pub fn attach(pid: u32, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        let socket = folder.path().join("control.sock");
        Self::attach_in(folder, socket, pid, arguments)
    }

    /// The same with its socket at `socket`.
    pub fn attach_at(pid: u32, socket: &Path, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        Self::attach_in(folder, socket.to_owned(), pid, arguments)
    }

    fn attach_in(folder: TempDir, socket: PathBuf, pid: u32, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binaries::profiler()?);
        command.args(["run", "--pid", &pid.to_string(), "--socket"]).arg(&socket).args(arguments);
        let mut daemon = Self { process: Process::start(&mut command)?, folder, socket };
        daemon.process.stderr.wait("word of the attach", LIMIT, |line| line.contains("attached").then_some(()))?;
        Ok(daemon)
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks it something: `ask(&["requests", "--format", "json"])`.
    pub fn ask(&self, arguments: &[&str]) -> Result<Ended> {
        let socket = self.socket();
        let socket = socket.to_string_lossy();
        run_to_end(arguments.iter().copied().chain(["--socket", &*socket]))
    }

    /// The report of everything that it has seen so far.
    pub fn report(&self) -> Result<Report> {
        let path = self.folder.path().join("report.json");
        self.export(&path, &["--all", "--format", "json"])?;
        Report::read(&path)
    }

    /// Runs `export` to `path`; it must succeed.
    pub fn export(&self, path: &Path, arguments: &[&str]) -> Result<()> {
        let output = path.to_string_lossy();
        let mut words = vec!["export", "-o", &*output];
        words.extend(arguments);
        let ended = self.ask(&words)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(Failure::Profiler { command: words.join(" "), status: describe(ended.status), stderr: ended.stderr })
    }

    /// Sends it a signal and waits for its end.
    pub fn end(self, signal: libc::c_int) -> Result<Ended> {
        self.process.signal(signal)?;
        to_end(self.process)
    }

    /// Waits for its end.
    pub fn ended(self) -> Result<Ended> {
        to_end(self.process)
    }
}
