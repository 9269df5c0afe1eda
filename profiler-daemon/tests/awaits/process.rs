//! The program while it runs: its tasks, its memory, where it is loaded.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use profiler_common::unwind::Memory;
use profiler_daemon::inspect::Inspection;

/// A running program. Ends with this.
pub(crate) struct Process {
    child: Child,
    memory: File,
    /// Name and header of each task.
    pub(crate) tasks: Vec<(String, u64)>,
}

impl Process {
    /// Starts it, and waits until its tasks wait.
    pub(crate) fn start(program: &Path) -> Self {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut tasks = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["task", name, header] => {
                    let header = u64::from_str_radix(header.strip_prefix("0x").unwrap(), 16).unwrap();
                    tasks.push((name.to_owned(), header));
                }
                _ => break,
            }
        }
        tasks.sort();
        let memory = File::open(format!("/proc/{}/mem", child.id())).unwrap();
        Self { child, memory, tasks }
    }

    /// What is added to an address of the file.
    pub(crate) fn bias(&self, program: &Path, inspection: &Inspection) -> u64 {
        let program = program.canonicalize().unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.id())).unwrap();
        let first = maps.lines().find(|line| line.ends_with(program.to_str().unwrap())).unwrap();
        let start = u64::from_str_radix(first.split('-').next().unwrap(), 16).unwrap();
        let lowest = inspection.segments.iter().map(|segment| segment.vaddr & !0xfff).min().unwrap();
        start - lowest
    }
}

impl Memory for Process {
    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
