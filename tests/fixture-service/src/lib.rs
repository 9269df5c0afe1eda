//! A Tokio service that does known things and prints the truth about them.
//!
//! Every scenario is a file under [`scenario`]. Each measures itself with `CLOCK_MONOTONIC`,
//! `CLOCK_THREAD_CPUTIME_ID` and the kernel's `schedstat`, none of which the profiler writes, and
//! prints [`truth::Event`]s as JSON lines, so that a test can hold the profiler's report against it.

pub mod affinity;
pub mod args;
pub mod clock;
pub mod control;
pub mod measured;
pub mod scenario;
pub mod seccomp;
pub mod truth;

/// Runs the scenario that the command line names; the exit code of the process.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let outcome =
        args::Args::parse(std::env::args().skip(1)).map_err(std::io::Error::other).and_then(|args| scenario::run(&args));
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fixture-service: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
