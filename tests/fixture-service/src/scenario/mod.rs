//! The scenarios, one a file.

use std::io;

use crate::args::Args;

pub mod churn;
pub mod crowd;
pub mod ends;
pub mod family;
pub mod holders;
pub mod known_times;
pub mod requests;
pub mod runtimes;

/// Runs the scenario that `args` names until its standard input ends.
pub fn run(args: &Args) -> io::Result<()> {
    match args.scenario.as_str() {
        "known-times" => known_times::run(args),
        "runtimes" => runtimes::run(args),
        "ends" => ends::run(args),
        "family" => family::run(args),
        "holders" => holders::run(args),
        "requests" => requests::run(args),
        "churn" => churn::run(args),
        "crowd" => crowd::run(args),
        "seccomp" => {
            crate::seccomp::install()?;
            if args.has("break") {
                return crate::seccomp::break_rule();
            }
            known_times::run(args)
        }
        other => Err(io::Error::other(format!("no such scenario: {other:?}"))),
    }
}

/// A multi-threaded runtime with timers.
fn multi_thread(workers: usize) -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_time().build()
}

/// A current-thread runtime with timers.
fn current_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}
