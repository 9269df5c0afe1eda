//! The line protocol: `go` runs every phase once, the end of the input ends the process.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use profiler_annotate::{RequestId, scope};
use tokio::runtime::{Builder, Runtime};

use crate::bottom;
use crate::phase::{Plan, plans};
use crate::truth::{Event, Phase};

/// How long a library has been loaded before a phase runs in it: a profiler looks for new ones from time to time.
const LOADED_BEFORE: Duration = Duration::from_secs(1);

/// See the module. Each phase takes `length_ms`.
pub fn serve(length_ms: u32) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    bottom::prepare(length_ms)?;
    say(&Event::Ready { pid: std::process::id() })?;
    for line in io::stdin().lock().lines() {
        match line?.trim() {
            "go" => round(&runtime)?,
            other => return Err(io::Error::other(format!("no such command: {other:?}"))),
        }
    }
    Ok(())
}

fn round(runtime: &Runtime) -> io::Result<()> {
    if bottom::plugin::load()? {
        std::thread::sleep(LOADED_BEFORE);
    }
    for plan in plans() {
        let phase = runtime.block_on(async { spawned(plan).await })?;
        say(&Event::Phase(phase))?;
    }
    say(&Event::Done)
}

/// A task of its own, on a worker.
async fn spawned(plan: Plan) -> io::Result<Phase> {
    let task = match plan.request() {
        Some(id) => {
            let id = RequestId::try_from(id).map_err(io::Error::other)?;
            tokio::spawn(scope(id, chained(plan)))
        }
        None => tokio::spawn(chained(plan)),
    };
    task.await.map_err(io::Error::other)
}

#[expect(clippy::unused_async, reason = "it is the future whose poll is looked at")]
async fn chained(plan: Plan) -> Phase {
    plan.run()
}

fn say(event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")?;
    out.flush()
}
