//! The `profiler-daemon` binary: parse, do, exit with the code that says how it went.

mod commands;
mod failure;

use std::process::ExitCode;

use profiler_daemon::cli::{self, Streams};

fn main() -> ExitCode {
    let streams = Streams::of_this_process();
    let invocation = match cli::parse(std::env::args_os(), streams) {
        Ok(invocation) => invocation,
        Err(told) => {
            // Help, version, or what is wrong with the arguments; there is nobody to tell if this cannot be printed.
            let _ = told.print();
            return cli::exit_of(&told).into();
        }
    };
    let (color, verbosity) = (invocation.color, invocation.verbosity);
    match commands::run(invocation, streams) {
        Ok(code) => code,
        Err(error) => failure::report(&error, color.stderr, verbosity).into(),
    }
}
