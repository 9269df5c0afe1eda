//! Arguments to a plain struct, then to a checked one; and the terminal around a command: colours, progress, the result's place.
//!
//! Two steps, as ripgrep does it: [`args`] is what clap reads (the one definition that also feeds the help, the man page
//! and the completions), [`command`] is the same after every check across flags. This folder knows nothing of the other
//! folders: what a metric or a selection means to them is said where the commands are bound.

pub mod args;
pub mod choice;
pub mod color;
pub mod command;
pub mod curl;
mod examples;
pub mod exit;
mod file_name;
pub mod form;
pub mod launch;
pub mod manual;
pub mod measuring;
pub mod output;
pub mod progress;
#[cfg(test)]
mod tests;
pub mod token;
pub mod value;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
};

use clap::{CommandFactory as _, FromArgMatches as _};

pub use self::{
    command::{Command, Invocation, Streams},
    exit::Exit,
};

pub use crate::text::visible;

/// The program's definition, as clap has it.
#[must_use]
pub fn definition() -> clap::Command {
    args::Args::command()
}

impl Streams {
    /// What this process's streams are.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self {
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        }
    }
}

/// Parses and checks a command line; `args` begins with the program's name.
///
/// The error is also how `--help` and `--version` come out: [`clap::Error::print`] sends each to its stream, and [`exit_of`]
/// tells the code.
pub fn parse(args: impl IntoIterator<Item = OsString>, streams: Streams) -> Result<Invocation, clap::Error> {
    let args = curl::arrange(args.into_iter().collect());
    let mut definition = definition().color(color::before_parse(&args));
    let matches = definition.try_get_matches_from_mut(args)?;
    let low = args::Args::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
    Invocation::check(low, streams).map_err(|error| definition.error(clap::error::ErrorKind::ValueValidation, error.to_string()))
}

/// The exit code of what [`parse`] gave instead of an invocation.
#[must_use]
pub fn exit_of(error: &clap::Error) -> Exit {
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}
