//! What one request itself pays: CPU time of a service that has nothing else to do, detached, attached, attached and detached.

use std::path::Path;
use std::time::Instant;

use profiler_tests::rig::attached::{Attached, What};
use profiler_tests::rig::load::{Connection, WANTED};
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::rival::Rival;
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result};

/// Turns of the requests in a round, while attached and while not: one after another, so that each answer is measured on caches as warm.
const TURNS: usize = 8;
/// Requests of one turn of `/` or `/wakes`.
const IN_TURN: u32 = 400;
/// The same of `/polls`.
const LONG_IN_TURN: u32 = 100;
/// A request of many polls, and one of a single poll.
const POLLS: [Ask; 2] = [("/polls", LONG_IN_TURN), ("/", IN_TURN)];
/// How many polls more `/polls` has than `/`.
const MORE_POLLS: f64 = 100.0;
/// Pairs of clock reads.
const READS: u32 = 100_000;

/// What is asked, and how often in a turn.
type Ask = (&'static str, u32);

/// CPU time that a wanted request of four polls and three wakes takes more (µs), one number a round.
pub(crate) fn cost_us(service: &mut Service, rounds: usize) -> Result<Quartiles> {
    let more = |service: &mut Service| {
        let [more] = round(service, What::Request, [("/wakes", IN_TURN)])?;
        Ok(more / 1000.0)
    };
    quartiles_of(service, rounds, more)
}

/// CPU time that a poll takes more where requests keep their own times (ns): what a request of 101 polls pays more than one of a single
/// poll, so that what a request pays once is in neither.
pub(crate) fn times_ns_per_poll(service: &mut Service, rounds: usize) -> Result<Quartiles> {
    let more = |service: &mut Service| {
        let [many, one] = round(service, What::AllRequests, POLLS)?;
        Ok((many - one) / MORE_POLLS)
    };
    quartiles_of(service, rounds, more)
}

/// CPU time that a poll takes more in the service with `rival` inside than in the plain one (ns), in the same way; `folder` is for what it writes.
pub(crate) fn rival_ns_per_poll(rival: &Rival, plain: &mut Service, folder: &Path, rounds: usize) -> Result<Quartiles> {
    let mut inside = rival.start(folder)?;
    let a_poll = |service: &mut Service| {
        let [many, one] = turns(service, POLLS, TURNS / 2)?.map(|values| Quartiles::of(values).median);
        Ok::<_, Failure>((many - one) / MORE_POLLS)
    };
    let more = |plain: &mut Service| {
        let before = a_poll(plain)?;
        let with = f64::midpoint(a_poll(&mut inside)?, a_poll(&mut inside)?);
        Ok(with - f64::midpoint(before, a_poll(plain)?))
    };
    let found = quartiles_of(plain, rounds, more)?;
    inside.end()?;
    Ok(found)
}

fn quartiles_of(service: &mut Service, rounds: usize, mut round: impl FnMut(&mut Service) -> Result<f64>) -> Result<Quartiles> {
    Ok(Quartiles::of((0..rounds).map(|_| round(service)).collect::<Result<Vec<f64>>>()?))
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

/// CPU time that one request of each path takes more while `what` is attached (ns): the medians of its turns.
fn round<const N: usize>(service: &mut Service, what: What, paths: [Ask; N]) -> Result<[f64; N]> {
    let before = turns(service, paths, TURNS / 2)?;
    let attached = Attached::start(service.pid(), what)?;
    let with = turns(service, paths, TURNS);
    if let Some(attached) = attached {
        attached.end()?;
    }
    let (with, after) = (with?, turns(service, paths, TURNS / 2)?);
    let median = |values: Vec<f64>| Quartiles::of(values).median;
    let mut bare = before.into_iter().zip(after).map(|(before, after)| median([before, after].concat()));
    Ok(with.map(|with| median(with) - bare.next().unwrap_or(f64::NAN)))
}

/// The numbers of so many turns, by path.
fn turns<const N: usize>(service: &mut Service, paths: [Ask; N], count: usize) -> Result<[Vec<f64>; N]> {
    let mut found = [const { Vec::new() }; N];
    let mut connection = Connection::open(service.port).map_err(Failure::io("a connection"))?;
    for _ in 0..count {
        for (found, path) in found.iter_mut().zip(paths) {
            found.push(one_turn(service, &mut connection, path)?);
        }
    }
    Ok(found)
}

/// CPU time of one request (ns), the mean of many that follow one another.
fn one_turn(service: &mut Service, connection: &mut Connection, (path, count): Ask) -> Result<f64> {
    let before = service.usage()?.cpu_ns;
    for _ in 0..count {
        connection.ask(path, Some(WANTED)).map_err(Failure::io("a request"))?;
    }
    let used = service.usage()?.cpu_ns.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second")]
    Ok(used as f64 / f64::from(count))
}
