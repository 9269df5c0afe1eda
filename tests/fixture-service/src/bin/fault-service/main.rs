//! A service that works all the time, and does to itself on command what happens to services: it forks, begins another program, loads a library,
//! runs out of memory, spawns more than anybody has room for. It counts what it served, so that a test sees that it lives.
//!
//! `fault-service [--clients N] [--as-pid PID]`; commands on standard input, answers as [`Event`]s: `count`, `fork`, `exec PROGRAM [ARGUMENT]..`, `load
//! LIBRARY`, `hog`, `storm TASKS HELD SCOPES-IN-A-THOUSAND`, `end`.

mod acts;
mod load;
mod storm;

use std::io::{self, BufRead as _};
use std::process::ExitCode;

use fixture_service::args::Args;
use fixture_service::control::say;
use fixture_service::truth::Event;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let words = std::env::args().skip(1);
    let args = Args::parse(std::iter::once("faults".to_owned()).chain(words)).map_err(io::Error::other);
    match args.and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fault-service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    if args.has("as-pid") {
        acts::become_process(args.number("as-pid", 0))?;
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    load::start(&runtime, args.number("clients", 4));
    say(&Event::Ready { pid: std::process::id() })?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or_default();
        if command == "end" {
            break;
        }
        obey(&runtime, command, &words.collect::<Vec<_>>())?;
    }
    // A service that is asked to end does not wait for its clients.
    runtime.shutdown_background();
    Ok(())
}

fn obey(runtime: &Runtime, command: &str, words: &[&str]) -> io::Result<()> {
    match (command, words) {
        ("count", []) => say(&total("served", load::served())),
        ("fork", []) => say(&total("forked", u64::from(acts::fork()?))),
        ("exec", [program, arguments @ ..]) => Err(acts::exec(program, arguments)),
        ("load", [library]) => {
            acts::load(library)?;
            say(&total("loaded", 1))
        }
        ("hog", []) => acts::hog(),
        ("storm", [tasks, held, scopes]) => {
            let number = |word: &str| word.parse::<u64>().map_err(io::Error::other);
            let order = storm::Order { tasks: number(tasks)?, held: number(held)?, scopes: number(scopes)? };
            let (began_ns, ended_ns) = storm::run(runtime, &order)?;
            say(&Event::Total { step: "storm".to_owned(), tasks: order.tasks, started_ns: began_ns, ended_ns })
        }
        _ => Err(io::Error::other(format!("no such command: {command} {words:?}"))),
    }
}

fn total(step: &str, tasks: u64) -> Event {
    Event::Total { step: step.to_owned(), tasks, started_ns: 0, ended_ns: 0 }
}
