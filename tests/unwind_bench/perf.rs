//! `perf record --call-graph dwarf` on the fixture, and what perf itself makes of the stacks that it dumped.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use profiler_tests::chained::CodeRange;
use profiler_tests::process::Process;
use profiler_tests::{Failure, Result};
use tempfile::TempDir;

/// A stack as an unwinder saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) tid: u32,
    pub(crate) at_ns: u64,
    /// Leaf first.
    pub(crate) frames: Vec<u64>,
}

/// A `perf record` that runs.
pub(crate) struct Recording {
    process: Process,
    folder: TempDir,
}

/// perf tells nothing when it has attached.
const ATTACHES: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_mins(1);

/// Why perf cannot be asked; `None` where it can.
pub(crate) fn absent() -> Option<String> {
    match Command::new("perf").arg("--version").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("perf does not run here: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("perf is not installed ({error})")),
    }
}

impl Recording {
    /// Attaches perf to a process; `dump` is how much of each stack it copies (bytes).
    pub(crate) fn start(pid: u32, rate_hz: u32, dump: u32) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        let mut command = Command::new("perf");
        command
            .args(["record", "--clockid", "CLOCK_MONOTONIC", "--event", "cpu-clock:u", "--freq", &rate_hz.to_string()])
            .args(["--call-graph", &format!("dwarf,{dump}"), "--pid", &pid.to_string(), "--output"])
            .arg(folder.path().join("perf.data"));
        let process = Process::start(&mut command)?;
        std::thread::sleep(ATTACHES);
        Ok(Self { process, folder })
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Result<Recorded> {
        self.process.signal(libc::SIGINT)?;
        let status = self.process.wait(LIMIT)?;
        let recorded = Recorded { folder: self.folder };
        if recorded.file().exists() {
            return Ok(recorded);
        }
        let said = self.process.stderr.to_end(LIMIT)?;
        Err(Failure::Profiler {
            command: "perf record".to_owned(),
            status: profiler_tests::process::describe(status),
            stderr: said,
        })
    }
}

/// What perf recorded.
pub(crate) struct Recorded {
    folder: TempDir,
}

impl Recorded {
    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("perf.data")
    }

    /// The stacks as perf unwinds them, of a process with that `code`.
    pub(crate) fn unwound(&self, code: &[CodeRange]) -> Result<Vec<Seen>> {
        let mut command = Command::new("perf");
        command.args(["script", "--ns", "--no-inline", "--fields", "tid,time,ip,dso", "--input"]).arg(self.file());
        let output = command.output().map_err(Failure::io("perf script"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let status = profiler_tests::process::describe(output.status);
            return Err(Failure::Profiler { command: "perf script".to_owned(), status, stderr });
        }
        Ok(parse(&String::from_utf8_lossy(&output.stdout), code))
    }
}

/// ` TID SECONDS.NANOSECONDS:`, then `OFFSET (FILE)` a line, leaf first, then an empty line.
fn parse(text: &str, code: &[CodeRange]) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some((offset, file)) = line.strip_suffix(')').and_then(|line| line.split_once(" (")) {
            let offset = u64::from_str_radix(offset, 16).unwrap_or(0);
            let file = file.rsplit('/').next().unwrap_or_default();
            let range = code
                .iter()
                .find(|range| range.name == file && (range.offset..range.offset + (range.end - range.start)).contains(&offset));
            if let Some(seen) = all.last_mut() {
                // What lies in no known file has no place in any chain.
                seen.frames.push(range.map_or(0, |range| range.start + (offset - range.offset)));
            }
        } else if let Some((tid, time)) = line.strip_suffix(':').and_then(|line| line.split_once(char::is_whitespace)) {
            let at_ns = time.trim().split_once('.').and_then(|(seconds, rest)| {
                let rest: u64 = format!("{rest:0<9}").parse().ok()?;
                Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + rest)
            });
            if let (Ok(tid), Some(at_ns)) = (tid.parse(), at_ns) {
                all.push(Seen { tid, at_ns, frames: Vec::new() });
            }
        }
    }
    all
}
