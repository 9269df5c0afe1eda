//! A child process that does not outlive its test.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::lines::Lines;
use crate::{Failure, Result};

/// A child with its three streams. Dropping it kills it, by its pid and nothing else.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// What it prints.
    pub stdout: Lines,
    /// What it complains about.
    pub stderr: Lines,
    name: String,
}

impl Process {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Failure::io(name.clone()))?;
        let missing = || std::io::Error::other("a stream is missing");
        let stdout = child.stdout.take().ok_or_else(missing).map_err(Failure::io(name.clone()))?;
        let stderr = child.stderr.take().ok_or_else(missing).map_err(Failure::io(name.clone()))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, stdout: Lines::of(stdout), stderr: Lines::of(stderr), name })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let closed = || std::io::Error::other("its standard input is closed");
        let stdin = self.stdin.as_mut().ok_or_else(closed).map_err(Failure::io(self.name.clone()))?;
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| stdin.flush())
            .map_err(Failure::io(format!("telling {} {line:?}", self.name)))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.pid()).map_err(|error| self.io(std::io::Error::other(error)))?;
        // SAFETY: no memory; the child is ours and not reaped while `self.child` is.
        if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(self.io(std::io::Error::last_os_error())) }
    }

    /// Closes its standard input and waits for its end.
    pub fn end(&mut self, within: Duration) -> Result<ExitStatus> {
        self.stdin = None;
        self.wait(within)
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.running()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(Failure::Timeout {
                    what: format!("end of {}", self.name),
                    within,
                    seen: format!("{}\n{}", self.stdout.text(), self.stderr.text()),
                });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// `None` while it runs.
    pub fn running(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(Failure::io(self.name.clone()))
    }

    fn io(&self, source: std::io::Error) -> Failure {
        Failure::Io { what: self.name.clone(), source }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it is gone already, which is what is wanted. Safe against a reused pid: an exited child
        // keeps its pid until the wait below.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An exit status as one reads it: `exit code 14` or `signal 31`.
#[must_use]
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => format!("{status:?}"),
    }
}
