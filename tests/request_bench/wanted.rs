//! What one request itself pays: CPU time of an idle service, by turns with the profiler attached and without.

use std::time::Instant;

use profiler_tests::rig::attached::{Attached, What};
use profiler_tests::rig::load::{Connection, WANTED};
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result};

/// Requests of one turn.
const IN_TURN: usize = 100;
/// How many polls more `/polls` has than `/`.
const MORE_POLLS: f64 = 100.0;
/// Pairs of clock reads.
const READS: u32 = 100_000;

/// CPU time that a wanted request of four polls takes more (µs), one number a turn: the service is idle, so all its CPU time is the
/// request's.
pub(crate) fn cost_us(service: &mut Service, turns: usize) -> Result<Quartiles> {
    let mut costs = Vec::new();
    for _ in 0..turns {
        let [with] = attached(service, What::Request, ["/waits"])?;
        let [without] = detached(service, ["/waits"])?;
        costs.push((with - without) / 1000.0);
    }
    Ok(Quartiles::of(costs))
}

/// CPU time that a poll takes more where requests keep their own times (ns): what a request of 101 polls pays more than one of a single
/// poll, so that what a request pays once is in neither.
pub(crate) fn times_ns_per_poll(service: &mut Service, turns: usize) -> Result<Quartiles> {
    let mut costs = Vec::new();
    for _ in 0..turns {
        let [many, one] = attached(service, What::AllRequests, ["/polls", "/"])?;
        let [many_bare, one_bare] = detached(service, ["/polls", "/"])?;
        costs.push(((many - many_bare) - (one - one_bare)) / MORE_POLLS);
    }
    Ok(Quartiles::of(costs))
}

/// What two readings of the clock take here (ns): what no way to keep times from inside can be without.
pub(crate) fn two_clock_reads_ns() -> f64 {
    let begun = Instant::now();
    for _ in 0..READS {
        let first = std::hint::black_box(Instant::now());
        std::hint::black_box(Instant::now().duration_since(first));
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
}

fn attached<const N: usize>(service: &mut Service, what: What, paths: [&str; N]) -> Result<[f64; N]> {
    let attached = Attached::start(service.pid(), what)?;
    let with = detached(service, paths);
    if let Some(attached) = attached {
        attached.end()?;
    }
    with
}

fn detached<const N: usize>(service: &mut Service, paths: [&str; N]) -> Result<[f64; N]> {
    let mut found = [0.0; N];
    for (cost, path) in found.iter_mut().zip(paths) {
        *cost = one_turn(service, path)?;
    }
    Ok(found)
}

/// CPU time of one request (ns), the mean of many.
fn one_turn(service: &mut Service, path: &str) -> Result<f64> {
    let failed = || Failure::io("a request");
    let mut connection = Connection::open(service.port).map_err(failed())?;
    let before = service.usage()?.cpu_ns;
    for _ in 0..IN_TURN {
        connection.ask(path, Some(WANTED)).map_err(failed())?;
    }
    let used = service.usage()?.cpu_ns.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second")]
    Ok(used as f64 / IN_TURN as f64)
}
