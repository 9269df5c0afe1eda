//! A Tokio program that knows its own call chain.
//!
//! In each phase a task goes down a nest of functions that the compiler may not inline, and stays at the bottom for a known time:
//! it computes, sleeps in a system call, or is somewhere that is hard to unwind from (in a callback from C, in a signal handler, in the
//! vDSO, in a library that came late). Each phase prints when it was, on which thread, and which functions stood on the stack, as
//! addresses of this process: whatever a profiler saw of that thread in that time must hold that chain.
//!
//! | module | holds |
//! | --- | --- |
//! | [`truth`] | what is printed |
//! | [`nest`] | the ways down |
//! | [`bottom`] | what happens there |
//! | [`phase`] | which of them are tried |
//! | [`serve`] | the line protocol |

pub mod bottom;
pub mod nest;
pub mod phase;
pub mod serve;
pub mod truth;

/// Serves until standard input ends; the exit code of the process. The only argument is the length of a phase in milliseconds.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let length = std::env::args().nth(1).map_or(Ok(60), |word| word.parse::<u32>());
    let outcome = length.map_err(std::io::Error::other).and_then(serve::serve);
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stack-fixture: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
