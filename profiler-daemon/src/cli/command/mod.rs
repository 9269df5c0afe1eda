//! The command line, checked: the high form. Every combination that makes no sense is gone here.

mod asked;
mod measured;
mod shape;
mod usage;

use std::path::PathBuf;

pub use self::{
    asked::{Blocking, Daemon, Export, Family, Program, Selection, Tasks, Waits},
    measured::{Record, Run, Subject, Wanted},
    shape::{Names, Shape},
    usage::UsageError,
};
use super::{
    args::{Args, CommandArgs},
    color::Color,
    curl::Curl,
    form::Listing,
    manual::{self, Page},
    token::Token,
};

/// What the streams are, as far as the arguments' meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
}

/// A checked command line.
#[derive(Debug, PartialEq)]
pub struct Invocation {
    /// Whether to colour standard output and standard error.
    pub color: Color,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// What to do.
    pub command: Command,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Stay attached and serve.
    Run(Run),
    /// One shot.
    Record(Record),
    /// Send one request and profile it.
    Curl(Curl),
    /// Print a token, or make a key.
    Token(Token),
    /// List requests of a running daemon.
    Requests {
        /// Which daemon.
        daemon: Daemon,
        /// Form of the answer.
        format: Listing,
        /// Routes, and no request.
        routes: bool,
    },
    /// Show tasks of a running daemon's target.
    Tasks(Tasks),
    /// List what holds workers.
    Blocking(Blocking),
    /// Write a result from a running daemon.
    Export(Export),
    /// List what was waited for.
    Waits(Waits),
    /// See [`Family`].
    Family(Family),
    /// Tell what can be profiled.
    Inspect {
        /// In what.
        program: Program,
        /// Form of the answer.
        format: Listing,
    },
    /// Tell what this machine allows.
    SystemInfo {
        /// Form of the answer.
        format: Listing,
    },
    /// Print a completion script.
    Completions(clap_complete::Shell),
    /// Print a manual page.
    Man(Page),
}

impl Invocation {
    /// Checks the low form.
    pub fn check(args: Args, streams: Streams) -> Result<Self, UsageError> {
        let command = match args.command {
            CommandArgs::Run(run) => Command::Run(Run::check(run)?),
            CommandArgs::Record(record) => Command::Record(Record::check(record)?),
            CommandArgs::Curl(curl) => Command::Curl(Curl::check(curl)?),
            CommandArgs::Token(token) => Command::Token(Token::check(token)?),
            CommandArgs::Requests(requests) => {
                Command::Requests { daemon: Daemon::check(requests.daemon)?, format: requests.format, routes: requests.routes }
            }
            CommandArgs::Tasks(tasks) => Command::Tasks(Tasks::check(tasks, streams)?),
            CommandArgs::Blocking(blocking) => Command::Blocking(Blocking::check(blocking)?),
            CommandArgs::Export(export) => Command::Export(Export::check(export)?),
            CommandArgs::Waits(waits) => Command::Waits(Waits::check(waits)?),
            CommandArgs::Family(family) => Command::Family(Family::check(family)?),
            CommandArgs::Inspect(inspect) => Command::Inspect { format: inspect.format, program: Program::check(inspect)? },
            CommandArgs::SystemInfo(info) => Command::SystemInfo { format: info.format },
            CommandArgs::Completions(completions) => Command::Completions(completions.shell),
            CommandArgs::Man(man) => Command::Man(match man.page {
                None => Page::Program,
                Some(name) => manual::page_of(&name).ok_or(UsageError::NoSuchPage(name))?,
            }),
        };
        Ok(Self { color: Color::choose(args.color, streams), verbosity: args.verbose, command })
    }
}

pub(super) fn not_empty(path: PathBuf, what: &'static str) -> Result<PathBuf, UsageError> {
    if path.as_os_str().is_empty() { Err(UsageError::EmptyPath(what)) } else { Ok(path) }
}
