//! The service under load, on a CPU of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use profiler_tests::recipe::Recipe;
use profiler_tests::{Failure, Result, binaries};

/// A release build as they are by default.
pub(crate) fn program() -> Result<PathBuf> {
    let recipe = Recipe {
        packages: &["bench-service"],
        files: &["bench-service"],
        sources: &["tests/bench-service", "profiler-annotate/src"],
        folder: binaries::target().join("request-costs"),
        is_release: true,
        settings: vec![
            ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
            ("CARGO_PROFILE_RELEASE_STRIP", "none"),
            ("CARGO_PROFILE_RELEASE_LTO", "false"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
        ],
    };
    recipe.program(|_| Ok(()))
}

/// A running service.
pub(crate) struct Service {
    child: Child,
    pub(crate) port: u16,
}

impl Service {
    /// Starts it on CPU 0; this process goes to the others.
    pub(crate) fn start() -> Result<Self> {
        let program = program()?;
        run_on(0, true)?;
        let spawned = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        run_on(0, false)?;
        let mut child = spawned.map_err(Failure::io("the service"))?;
        let mut line = String::new();
        let told = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        let port = line.trim().parse().ok();
        match (told, port) {
            (Some(Ok(_)), Some(port)) => Ok(Self { child, port }),
            _ => Err(Failure::Wrong(vec![format!("the service said {line:?} and no port")])),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads so far (ns), by the scheduler's own account.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        let folder = format!("/proc/{}/task", self.pid());
        let mut sum = 0;
        for task in std::fs::read_dir(&folder).map_err(Failure::io(folder.clone()))?.flatten() {
            // A thread that has just ended has no file any more.
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().map_err(Failure::io("the service")).map(drop)
    }
}

/// Lets this thread, and what it starts, run on `cpu` only, or on all others.
fn run_on(cpu: usize, only: bool) -> Result<()> {
    // SAFETY: all zeros is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from).max(2);
    for other in 0..cpus {
        if (other == cpu) == only {
            // SAFETY: the set is ours, and the macro checks the number.
            unsafe { libc::CPU_SET(other, &mut set) };
        }
    }
    // SAFETY: the set is ours and as long as is said.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(Failure::io("sched_setaffinity")(std::io::Error::last_os_error())) }
}
