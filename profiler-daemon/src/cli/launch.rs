//! Whom `run` and `record` profile: a process that is there, or a service that they start.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, ValueHint};

use super::args::PID_MAX;

/// A process, or a program to start.
#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("target").required(true).args(["pid", "program"]))]
pub struct TargetArgs {
    /// The process to profile
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=PID_MAX))]
    pub pid: Option<u32>,
    /// Profile this shared object of the process, by its path or an end of it, where several have a Tokio of their own; without this the program,
    /// else the first shared object that has one
    #[arg(long, value_name = "PATH", requires = "pid", value_hint = ValueHint::FilePath)]
    pub object: Option<PathBuf>,
    /// Start this program, profile it from its first instruction, and end with it, by its exit code (128 and the number of the signal that
    /// killed it); signals sent to the profiler are handed on
    #[arg(last = true, value_name = "PROGRAM", num_args = 1..)]
    pub program: Vec<OsString>,
    /// Start PROGRAM as root also where sudo was called by another user
    #[arg(long, conflicts_with = "pid")]
    pub as_root: bool,
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// This process.
    Pid(u32),
    /// A shared object of this process.
    Object(u32, PathBuf),
    /// What is started for it.
    Program(Program),
}

/// A program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its path, or a name to be looked up in PATH.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Not as the user who called sudo.
    pub as_root: bool,
}

impl From<TargetArgs> for Whom {
    fn from(TargetArgs { pid, object, program, as_root }: TargetArgs) -> Self {
        let mut words = program.into_iter();
        match (words.next(), pid, object) {
            (Some(name), _, _) => Self::Program(Program { name, arguments: words.collect(), as_root }),
            // clap requires one of the two, and no process has the pid 0.
            (None, pid, Some(object)) => Self::Object(pid.unwrap_or_default(), object),
            (None, pid, None) => Self::Pid(pid.unwrap_or_default()),
        }
    }
}
