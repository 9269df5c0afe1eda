//! The load itself.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::Client;
use crate::target::Target;

/// What to do.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) concurrency: u32,
    pub(crate) duration: Duration,
    pub(crate) pause: Duration,
    pub(crate) wanted: Option<Wanted>,
}

/// The one request with a name.
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) path: String,
}

/// What was seen, from the clients' side.
#[derive(Serialize)]
pub(crate) struct Report {
    requests: usize,
    /// Answers other than 200, and connections that broke.
    errors: u64,
    seconds: f64,
    latency_ns: Latency,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<WantedReport>,
}

/// Of the background requests.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    max: u64,
}

#[derive(Serialize)]
struct WantedReport {
    id: String,
    status: u16,
    latency_ns: u64,
    /// What the service itself measured, as it told it; null where it could not tell.
    truth: Option<Box<RawValue>>,
}

/// Latencies in ns of the requests that went well, and how many did not.
#[derive(Default)]
struct Seen {
    latencies: Vec<u64>,
    errors: u64,
}

/// Runs the load to its end.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let deadline = begun + plan.duration;
    let mut clients = JoinSet::new();
    for number in 0..plan.concurrency {
        // Spread over one pause, so that they do not come in waves.
        let offset = plan.pause * number / plan.concurrency;
        clients.spawn(background(plan.target, number, begun + offset, deadline, plan.pause));
    }
    let wanted = match plan.wanted {
        Some(wanted) => {
            sleep(plan.duration / 2).await;
            Some(fire(plan.target, wanted).await.context("the wanted request failed")?)
        }
        None => None,
    };
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let seen = seen.context("a client panicked")?.context("cannot reach the service")?;
        all.latencies.extend(seen.latencies);
        all.errors += seen.errors;
    }
    Ok(Report {
        requests: all.latencies.len(),
        errors: all.errors,
        seconds: begun.elapsed().as_secs_f64(),
        latency_ns: latency(all.latencies),
        wanted,
    })
}

/// One client: a request after the other until the deadline, on one connection unless it breaks.
async fn background(target: Target, client: u32, start: Instant, deadline: Instant, pause: Duration) -> std::io::Result<Seen> {
    let mut seen = Seen::default();
    let mut connection = Client::connect(target).await?;
    sleep_until(start).await;
    let mut turn = 0;
    while Instant::now() < deadline {
        let path = format!("/orders/{}", (client * 31 + turn * 17) % 1000);
        let sent = Instant::now();
        match connection.get(&path, &format!("load-{client}-{turn}")).await {
            Ok(answer) if answer.status == 200 => seen.latencies.push(ns_since(sent)),
            Ok(_) => seen.errors += 1,
            Err(_) => {
                seen.errors += 1;
                connection = Client::connect(target).await?;
            }
        }
        turn = turn.wrapping_add(1);
        sleep(pause).await;
    }
    Ok(seen)
}

async fn fire(target: Target, wanted: Wanted) -> anyhow::Result<WantedReport> {
    let mut connection = Client::connect(target).await?;
    let sent = Instant::now();
    let answer = connection.get(&wanted.path, &wanted.id).await?;
    let latency_ns = ns_since(sent);
    let truth = connection.get(&format!("/truth/{}", wanted.id), "truth").await?;
    let truth = (truth.status == 200).then(|| serde_json::from_slice(&truth.body)).transpose()?;
    Ok(WantedReport { id: wanted.id, status: answer.status, latency_ns, truth })
}

fn latency(mut all: Vec<u64>) -> Latency {
    all.sort_unstable();
    let at = |percent: usize| all.get(all.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
    Latency { p50: at(50), p99: at(99), max: at(100) }
}

fn ns_since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        assert_eq!(latency((1..=101).rev().collect()), Latency { p50: 51, p99: 100, max: 101 });
        assert_eq!(latency(vec![7]), Latency { p50: 7, p99: 7, max: 7 });
        assert_eq!(latency(Vec::new()), Latency::default());
    }
}
