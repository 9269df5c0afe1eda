//! The modes and the line protocol.
//!
//! `await-fixture run [--repeat N]` says `ready` and obeys: `go` runs every case N times, one after the other, `go NAME` one of them.
//! `await-fixture park` starts every case that can wait for ever, tells where each stays, and says `ready`. The end of the input, or `end`,
//! ends the process.

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use fixture_service::args::Args;
use fixture_service::clock;
use profiler_annotate::RequestId;
use tokio::runtime::{Builder, Runtime};

use crate::cases::{self, ALL};
use crate::trail::Trail;
use crate::truth::{Case, Event, Parked};

/// After this a case that is to stay somewhere is there, on a busy machine too.
const SETTLED: Duration = Duration::from_millis(500);
/// How often a task is polled while the others stay.
const TICK: Duration = Duration::from_millis(50);

/// Runs the mode that the command line names; the exit code of the process.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = Args::parse(std::env::args().skip(1)).map_err(io::Error::other).and_then(|args| serve(&args));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("await-fixture: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = match args.scenario.as_str() {
        "run" => obey(&runtime, args.number("repeat", 1)),
        "park" => park(&runtime).and_then(|()| stay()),
        other => Err(io::Error::other(format!("no such mode: {other:?}"))),
    };
    // A closure of a parked case still sleeps.
    runtime.shutdown_background();
    outcome
}

fn obey(runtime: &Runtime, repeat: u64) -> io::Result<()> {
    say(&Event::Ready { pid: std::process::id() })?;
    let mut rounds = 0;
    for line in io::stdin().lock().lines() {
        let line = line?;
        match *line.split_whitespace().collect::<Vec<_>>() {
            ["go", ref names @ ..] => {
                for _ in 0..repeat {
                    rounds += 1;
                    for case in ALL.iter().filter(|case| names.is_empty() || names.contains(&case.name)) {
                        say(&Event::Case(runtime.block_on(run(case, rounds))?))?;
                    }
                }
                say(&Event::Done)?;
            }
            ["end"] => return Ok(()),
            _ => return Err(io::Error::other(format!("no such command: {line:?}"))),
        }
    }
    Ok(())
}

async fn run(case: &cases::Case, round: u64) -> io::Result<Case> {
    let request = if round == 1 { case.name.to_owned() } else { format!("{}-{round}", case.name) };
    let id = RequestId::try_from(request.clone()).map_err(io::Error::other)?;
    let failed = |error: io::Error| io::Error::other(format!("{}: {error}", case.name));
    let trail = Trail::task();
    let started = clock::monotonic();
    let task = (case.start)(trail, id).await.map_err(failed)?;
    let task_id = task.id().to_string().parse().ok();
    task.await.map_err(io::Error::other).flatten().map_err(failed)?;
    Ok(Case {
        name: case.name.to_owned(),
        request,
        task_id,
        wall_ns: clock::monotonic() - started,
        waits: trail.waits(),
        children: trail.waits_of_children(),
    })
}

fn park(runtime: &Runtime) -> io::Result<()> {
    cases::park();
    let mut parked = Vec::new();
    for case in ALL.iter().filter(|case| case.parks) {
        let id = RequestId::try_from(case.name.to_owned()).map_err(io::Error::other)?;
        let trail = Trail::task();
        parked.push((case.name, trail, runtime.block_on((case.start)(trail, id))?));
    }
    runtime.spawn(tick());
    std::thread::sleep(SETTLED);
    for (name, trail, task) in &parked {
        if task.is_finished() {
            return Err(io::Error::other(format!("{name} did not stay")));
        }
        let task_id = task.id().to_string().parse().ok();
        say(&Event::Parked(Parked { name: (*name).to_owned(), task_id, branches: trail.pending() }))?;
    }
    say(&Event::Ready { pid: std::process::id() })
}

/// Something that is polled: a profiler that comes later finds the runtime by it, and a service is never all asleep.
async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

fn stay() -> io::Result<()> {
    match io::stdin().lock().lines().next().transpose()?.as_deref().map(str::trim) {
        None | Some("end") => Ok(()),
        Some(other) => Err(io::Error::other(format!("no such command: {other:?}"))),
    }
}

fn say(event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")?;
    out.flush()
}
