//! Runs one cell: starts its program, attaches the profiler, lets the program work, takes the report, and ends both.

use super::judge::{self, Truth};
use super::kept::Came;
use crate::chore::command::quiet;
use crate::chore::root::as_root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long anything of a cell may take; unoptimised profilers on a busy machine read full debug information for many seconds.
const LIMIT: Duration = Duration::from_mins(2);
/// How often the kernel side is looked at; what ended has been taken over after two of them.
const SETTLE: Duration = Duration::from_millis(500);
/// The line by which the profiler says that its probes are in.
const ATTACHED: &str = "attached";

/// How often a run is made anew that a busy machine made void.
const TRIES: usize = 4;

/// Runs what `program` starts under `profiler`, with the files of the run in `folder`.
pub(crate) fn cell(program: impl Fn() -> Command, profiler: &Path, folder: &Path) -> Result<Came> {
    for _ in 0..TRIES {
        if let Some(came) = once(program(), profiler, folder)? {
            return Ok(came);
        }
    }
    bail!("{TRIES} times the machine was too busy for the request to wait for its timer");
}

/// One run; nothing where it was void.
fn once(mut program: Command, profiler: &Path, folder: &Path) -> Result<Option<Came>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut target = Talking::start(&mut program)?;
    target.out.expect("ready")?;
    let socket = folder.join("socket");
    drop(fs::remove_file(&socket));
    // A stripped program has the build id of the whole one, whose layouts the profiler would remember.
    let cache = folder.join("cache");
    drop(fs::remove_dir_all(&cache));
    let mut command = as_root(profiler, "attaching to a program", &[("PROFILER_CACHE", cache.as_os_str())])?;
    command.args(["run", "--pid", &target.child.id().to_string(), "--socket"]).arg(&socket);
    let mut daemon = Talking::start(&mut command)?;
    let attached = match daemon.complaints.expect(ATTACHED) {
        Ok(_) => profiled(&mut target, profiler, &socket, folder),
        Err(_) => refused(&mut daemon),
    };
    // Whatever became of it, nothing is left.
    end_daemon(&mut daemon)?;
    target.say("end")?;
    let status = target.end()?;
    if !status.success() {
        bail!("the program did not live on: {status}");
    }
    attached
}

fn profiled(target: &mut Talking, profiler: &Path, socket: &Path, folder: &Path) -> Result<Option<Came>> {
    target.say("work")?;
    let truth = target.out.expect("{")?;
    let truth: Truth = serde_json::from_str(&truth).context("the program told something else than its counts")?;
    if judge::is_void(&truth) {
        return Ok(None);
    }
    std::thread::sleep(SETTLE);
    let export = |name: &str, arguments: &[&str]| -> Result<String> {
        let file = folder.join(name);
        let mut command = as_root(profiler, "asking the profiler", &[])?;
        command.args(["export", "--all", "-o"]).arg(&file).args(arguments).arg("--socket").arg(socket);
        quiet(&mut command)?;
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let report = export("report.json", &["--format", "json"])?;
    let stacks = export("wall.folded", &["--format", "folded", "--metric", "wall"])?;
    let report = serde_json::from_str(&report).context("the report is no JSON")?;
    Ok(Some(Came::Ran(judge::judge(&truth, &report, &stacks)?)))
}

/// The profiler has ended by itself: its last words.
fn refused(daemon: &mut Talking) -> Result<Option<Came>> {
    let status = daemon.end()?;
    let why = daemon.complaints.seen.last().cloned().unwrap_or_default();
    if why.is_empty() || status.success() {
        bail!("the profiler ended without a word: {status}");
    }
    Ok(Some(Came::Refused(why)))
}

fn end_daemon(daemon: &mut Talking) -> Result<()> {
    if daemon.child.try_wait().context("cannot look after the profiler")?.is_none() {
        quiet(as_root("kill", "ending the profiler", &[])?.args(["-INT", &daemon.child.id().to_string()]))?;
        let status = daemon.end()?;
        if !status.success() {
            bail!("the profiler ended with {status}: {}", daemon.complaints.seen.join("; "));
        }
    }
    Ok(())
}

/// A process whose lines are read as they come.
struct Talking {
    child: Child,
    /// `None` once it has been told everything.
    input: Option<ChildStdin>,
    out: Lines,
    complaints: Lines,
}

impl Talking {
    fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let input = Some(child.stdin.take().context("it has no input")?);
        let out = Lines::of(child.stdout.take().context("it has no output")?);
        let complaints = Lines::of(child.stderr.take().context("it has no standard error")?);
        Ok(Self { child, input, out, complaints })
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("it has been told everything")?;
        writeln!(input, "{line}").context("the program does not listen")
    }

    /// Waits for its end; kills it where there is none.
    fn end(&mut self) -> Result<std::process::ExitStatus> {
        // A program that nobody could attach to has not worked yet, and waits for two lines.
        self.input = None;
        // Its streams end with it.
        let ended = self.complaints.rest();
        if ended.is_err() {
            drop(self.child.kill());
        }
        let status = self.child.wait().context("cannot wait for a process")?;
        ended.map(|()| status)
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Lines that a thread reads.
struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    /// The first line with `text` in it.
    fn expect(&mut self, text: &str) -> Result<String> {
        loop {
            match self.receiver.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return Ok(line);
                    }
                }
                Err(_) => bail!("no `{text}` among its lines: {}", self.seen.join("; ")),
            }
        }
    }

    /// Reads to the end.
    fn rest(&mut self) -> Result<()> {
        loop {
            match self.receiver.recv_timeout(LIMIT) {
                Ok(line) => self.seen.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("it does not end"),
            }
        }
    }
}
