//! Why a process cannot be profiled, one sentence each.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::privileges::{Capability, or_with};

/// Why a process cannot be profiled.
#[derive(Debug, Error)]
pub enum TargetError {
    /// No process has the pid.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// What was asked for.
        pid: u32,
    },
    /// The number is that of a thread other than its process' first.
    #[error("{tid} is a thread of process {tgid}: say --pid {tgid}")]
    ThreadOfProcess {
        /// What was asked for.
        tid: u32,
        /// The process it belongs to.
        tgid: u32,
    },
    /// The profiler was asked to profile itself.
    #[error("process {pid} is the profiler itself")]
    Itself {
        /// Our own pid.
        pid: u32,
    },
    /// A kernel thread.
    #[error("process {pid} ({}) is a kernel thread, which runs no program", comm.escape_debug())]
    KernelThread {
        /// What was asked for.
        pid: u32,
        /// Its name.
        comm: String,
    },
    /// The process has ended, and its parent has not taken notice yet.
    #[error("process {pid} has exited, what is left is a zombie")]
    Zombie {
        /// What was asked for.
        pid: u32,
    },
    /// The process ended while it was looked at.
    #[error("process {pid} has exited")]
    Exited {
        /// What was asked for.
        pid: u32,
    },
    /// The kernel does not let us look at the process.
    #[error("cannot read {}{}", path.display(), or_with(*.lacks))]
    NoAccess {
        /// What was asked for.
        pid: u32,
        /// What could not be read.
        path: PathBuf,
        /// The capability that would do; `None`: it is there, and did not.
        lacks: Option<Capability>,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the process cannot be read for another reason.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What was asked for.
        pid: u32,
        /// What could not be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// pidfd_open(2) failed for another reason than the pid.
    #[error("cannot open process {pid} (pidfd_open)")]
    Pidfd {
        /// What was asked for.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// A file of `/proc` is not written as proc(5) says.
    #[error("/proc/{pid}/{file} does not read as proc(5) says")]
    Malformed {
        /// What was asked for.
        pid: u32,
        /// The file.
        file: &'static str,
    },
    /// The program is ELF, for another machine.
    #[error("{} is a program for {machine}, only 64-bit x86-64 can be profiled", path.display())]
    NotX86_64 {
        /// The program.
        path: PathBuf,
        /// What it is for.
        machine: String,
    },
    /// The program is no ELF file, or a broken one.
    #[error("{} is not a readable ELF file", path.display())]
    BadElf {
        /// The program or module.
        path: PathBuf,
        /// What is wrong with it.
        source: object::read::Error,
    },
    /// The shared object that was asked for is not there.
    #[error("process {pid} has no shared object {} mapped to run; /proc/{pid}/maps lists those that it has", path.display())]
    NoSuchObject {
        /// The process.
        pid: u32,
        /// What was asked for.
        path: PathBuf,
    },
    /// The program's file is not among the process' mappings, so addresses in it mean nothing in the process.
    #[error("process {pid} has no mapping of its program {}", exe.display())]
    NotMapped {
        /// The process.
        pid: u32,
        /// Its program.
        exe: PathBuf,
    },
}
