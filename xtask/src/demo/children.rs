//! Programs that run beside this one, and end with it whatever happens.

use crate::chore::command::captured;
use crate::chore::root::{as_root, is_root};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to end once it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);
/// Prints its own process id, then becomes the program: through sudo, the child we know is only sudo.
const TELL_PID: &str = "echo $$; exec \"$@\"";

/// A running program; dropped, it is asked to end, and killed where it does not.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    /// The program's own id, which is not the child's where sudo stands between.
    pid: String,
    /// Whether it takes root to signal it.
    as_root: bool,
    lines: Receiver<String>,
}

impl Running {
    /// Starts `program` as whoever runs this.
    pub(crate) fn start(name: &'static str, program: &mut Command) -> Result<Self> {
        let mut child = spawn(name, program)?;
        let pid = child.id().to_string();
        let lines = lines_of(&mut child);
        Ok(Self { name, child, pid, as_root: false, lines })
    }

    /// Starts `program` as root.
    pub(crate) fn start_as_root(name: &'static str, program: &OsStr, arguments: &[&str]) -> Result<Self> {
        let mut shell = as_root("sh", &format!("attaching {name}"), &[])?;
        let mut child = spawn(name, shell.args(["-c", TELL_PID, "sh"]).arg(program).args(arguments))?;
        let lines = lines_of(&mut child);
        let mut running = Self { name, child, pid: String::new(), as_root: !is_root(), lines };
        // sudo may ask for a password first.
        running.pid = running.wait_for("its process id", Duration::from_mins(2), |line| line.parse::<u32>().ok())?.to_string();
        Ok(running)
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> &str {
        &self.pid
    }

    /// The first thing that `find` finds in a line of its output. The lines before it are shown where it never comes.
    pub(crate) fn wait_for<T>(&mut self, what: &str, patience: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let until = Instant::now() + patience;
        let mut seen = Vec::new();
        loop {
            let line = match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} did not tell {what} within {} s{}", self.name, patience.as_secs(), shown(&seen));
                }
                Err(RecvTimeoutError::Disconnected) => bail!("{} ended before it told {what}{}", self.name, shown(&seen)),
            };
            if let Some(found) = find(&line) {
                return Ok(found);
            }
            seen.push(line);
        }
    }

    /// Asks it to end as Ctrl-C does, and returns what it still said.
    pub(crate) fn interrupt(mut self) -> Result<Vec<String>> {
        self.signal("INT")?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))? {
                let said: Vec<String> = self.lines.iter().collect();
                if !status.success() {
                    bail!("{} failed at its end ({status}){}", self.name, shown(&said));
                }
                return Ok(said);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} did not end within {} s of SIGINT and is killed", self.name, PATIENCE.as_secs())
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let mut kill = if self.as_root { Command::new("sudo") } else { Command::new("env") };
        let output = captured(kill.args(["sh", "-c", "kill -s \"$1\" \"$2\"", "sh", signal, &self.pid]))?;
        if !output.status.success() {
            bail!("cannot send SIG{signal} to {} ({})", self.name, self.pid);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Nothing can be reported from here; the last resort is the kill.
        drop(self.signal("TERM"));
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                drop(self.signal("KILL"));
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(name: &str, program: &mut Command) -> Result<Child> {
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program.spawn().with_context(|| format!("cannot start {name}"))
}

/// Both outputs, line by line.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] =
        [child.stdout.take().map(|output| Box::new(output) as _), child.stderr.take().map(|output| Box::new(output) as _)];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens any more: the program's output is of no use.
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

fn shown(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; it said: {}", lines.join(" / ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shell(script: &str) -> Running {
        Running::start("a shell", Command::new("sh").args(["-c", script])).unwrap()
    }

    /// Check that a line of either output is found, and that what was said instead is told.
    #[test]
    fn lines_are_found() {
        let word = |line: &str| line.strip_prefix("ready on ").map(str::to_owned);
        let found = shell("echo hello; echo ready on 7 >&2; exec sleep 60").wait_for("its port", PATIENCE, word).unwrap();
        assert_eq!(found, "7");
        let error = shell("echo hello; exit 1").wait_for("its port", PATIENCE, word).unwrap_err();
        assert_eq!(error.to_string(), "a shell ended before it told its port; it said: hello");
    }

    /// Check that a dropped program is gone.
    #[test]
    fn dropped_programs_end() {
        let running = shell("exec sleep 60");
        let process = Path::new("/proc").join(running.pid());
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }

    /// Check that an interrupt ends a program, that its last words arrive, and that a bad end is an error.
    #[test]
    fn interrupts() {
        let script = |code: u8| format!("trap 'echo bye; exit {code}' INT; echo ready; while :; do sleep 0.05; done");
        let interrupted = |code| {
            let mut running = shell(&script(code));
            running.wait_for("that it is ready", PATIENCE, |line| (line == "ready").then_some(())).unwrap();
            running.interrupt()
        };
        assert_eq!(interrupted(0).unwrap(), ["bye"]);
        assert!(interrupted(3).unwrap_err().to_string().contains("it said: bye"));
    }
}
