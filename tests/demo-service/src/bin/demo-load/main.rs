//! Load for the demo service: many clients at once, and in the middle of it one request with a name of its own.

mod client;
mod load;
mod target;

use std::num::NonZero;
use std::time::Duration;

use clap::Parser;
use target::Target;

/// Keeps background requests going for a while, sends one named request in the middle, and prints what it saw as JSON.
#[derive(Parser)]
struct Args {
    /// The service, e.g. http://127.0.0.1:8080; loopback addresses only.
    #[arg(long)]
    url: Target,
    /// Clients that send background requests, each one after the other.
    #[arg(long, default_value = "64")]
    concurrency: NonZero<u32>,
    /// For how long, e.g. 10s or 500ms; an hour at most.
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// How long a client waits between two requests; 0s loads the service fully.
    #[arg(long, default_value = "50ms", value_parser = duration)]
    pause: Duration,
    /// Request id of the one named request.
    #[arg(long, value_name = "ID")]
    wanted: Option<String>,
    /// What the named request asks for.
    #[arg(long, default_value = "/orders/42-slow")]
    wanted_path: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = args.wanted.map(|id| load::Wanted { id, path: args.wanted_path });
    let plan =
        load::Plan { target: args.url, concurrency: args.concurrency.get(), duration: args.duration, pause: args.pause, wanted };
    // One thread: the service's own work is what the machine's cores are for.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(load::run(plan))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').and_then(|number| number.parse().ok()).map(Duration::from_secs),
    };
    parsed.filter(|time| *time <= Duration::from_hours(1)).ok_or_else(|| "a time is written 10s or 500ms, up to 3600s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_milliseconds() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "10", "s", "-1s", "1m", "3601s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
