//! Cost per poll as tasks, and requests, grow in number: crowds of each size that are polled in turn, with the profiler and without.
//!
//! The services of all sizes live through the whole run and stand still (`SIGSTOP`) but for their turns, so that each round measures every size within seconds.

mod crowd;
mod line;
mod report;

use std::time::{Duration, Instant};

use profiler_tests::Result;
use profiler_tests::rig::attached::What;

use self::crowd::Crowd;
use self::report::{Point, Scale, Series};

/// One slice.
pub(crate) const SLICE: Duration = Duration::from_millis(400);
/// How often each size has its turn.
pub(crate) const ROUNDS: usize = 7;
/// The same for a minute or two.
pub(crate) const QUICK_ROUNDS: usize = 2;
/// Sizes of crowds of tasks.
pub(crate) const TASKS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// And of requests.
pub(crate) const REQUESTS: [u32; 3] = [1_000, 10_000, 100_000];

/// Everything: so many rounds, of slices so long.
pub(crate) fn measure((rounds, slice): (usize, Duration), tasks: &[u32], requests: &[u32]) -> Result<Scale> {
    let begun = Instant::now();
    let all = [
        ("tasks", What::Floor, tasks),
        ("tasks", What::Exact, tasks),
        ("requests", What::Exact, requests),
        ("requests", What::AllRequests, requests),
    ];
    let measured = all.map(|(crowd, what, counts)| series(crowd, what, counts, (rounds, slice)));
    let series = measured.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Scale {
        rounds,
        slice_ms: u64::try_from(slice.as_millis()).unwrap_or(u64::MAX),
        series,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn series(name: &'static str, what: What, counts: &[u32], (rounds, slice): (usize, Duration)) -> Result<Series> {
    let mut crowds = counts.iter().map(|count| Crowd::start(name, *count)).collect::<Result<Vec<_>>>()?;
    for round in 0..rounds {
        for crowd in &mut crowds {
            crowd.turn(what, slice)?;
        }
        eprintln!("{name} in {}: round {} of {rounds}", what.name(), round + 1);
    }
    let points = crowds.into_iter().map(Crowd::end).collect::<Result<Vec<Point>>>()?;
    Ok(Series::of(name, what.name(), points))
}
