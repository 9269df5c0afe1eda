//! A task that waits at awaits of a known shape and is polled as often as asked for: what a walk of awaits costs is measured on it.
//!
//! It says `ready` and obeys: `beat SHAPE POLLS` spawns a task of that shape, which wakes itself at the end of each poll, and tells what
//! its polls took; then the task stays where it is, to be looked at, until the next command. The end of the input ends the process.
//!
//! | module | holds |
//! | --- | --- |
//! | [`truth`] | what is printed |
//! | `counted` | the future that counts the polls of its task and times them |
//! | [`shapes`] | what the task waits at |

mod counted;
pub mod shapes;
pub mod truth;

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;

use tokio::runtime::Builder;

use truth::Event;

/// Serves the line protocol; the exit code of the process.
#[must_use]
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chain-fixture: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // One thread polls, so that its CPU time is the polls'.
    let runtime = Builder::new_multi_thread().worker_threads(1).build()?;
    say(&Event::Ready { pid: std::process::id() })?;
    let mut staying = None::<tokio::task::JoinHandle<()>>;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Some(task) = staying.take() {
            task.abort();
            // An error: it was cancelled, which is what was asked for.
            let _ = runtime.block_on(task);
        }
        let ["beat", name, polls] = *line.split_whitespace().collect::<Vec<_>>() else {
            return Err(io::Error::other(format!("no such command: {line:?}")));
        };
        let polls = polls.parse().map_err(io::Error::other)?;
        let shape = shapes::ALL.iter().chain(&shapes::STORING).find(|shape| shape.name == name);
        let shape = shape.ok_or_else(|| io::Error::other(format!("no such shape: {name:?}")))?;
        let (sender, beaten) = mpsc::channel();
        staying = Some((shape.spawn)(&runtime, counted::Beats::of(polls, sender)));
        say(&Event::Beaten(beaten.recv().map_err(io::Error::other)?))?;
    }
    Ok(())
}

fn say(event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")?;
    out.flush()
}
