//! The line protocol: commands on standard input, [`Event`]s on standard output.
//!
//! `go` runs a round, `ping` asks whether the runtime still runs tasks, `end` (or the end of the
//! input) leaves.

use std::io::{self, BufRead as _, Write as _};

use tokio::runtime::Runtime;

use crate::clock;
use crate::measured::Recorder;
use crate::truth::Event;

/// Prints one event.
pub fn say(event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Says `ready`, then obeys until the end. `round` runs once for each `go`; the rows that
/// `recorder` holds after it are printed, then `done`.
pub fn serve(runtime: &Runtime, recorder: &Recorder, mut round: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    say(&Event::Ready { pid: std::process::id() })?;
    let mut rounds = 0;
    for line in io::stdin().lock().lines() {
        match line?.trim() {
            "go" => {
                round()?;
                rounds += 1;
                for row in recorder.drain() {
                    say(&Event::Row(row))?;
                }
                say(&Event::Done { round: rounds, at_ns: clock::monotonic() })?;
            }
            "ping" => say(&ping(runtime)?)?,
            "end" => return Ok(()),
            other => return Err(io::Error::other(format!("no such command: {other:?}"))),
        }
    }
    Ok(())
}

fn ping(runtime: &Runtime) -> io::Result<Event> {
    let asked = clock::monotonic();
    runtime.block_on(async { tokio::spawn(pong("ping".to_owned())).await }).map_err(io::Error::other)?;
    Ok(Event::Pong { took_ns: clock::monotonic() - asked })
}

async fn pong(question: String) {
    tokio::task::yield_now().await;
    drop(question);
}
