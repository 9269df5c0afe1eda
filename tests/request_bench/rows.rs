//! Pairs of slices, detached and attached by turns, and what they come to.

use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use profiler_tests::Result;
use profiler_tests::rig::attached::{Attached, What};
use profiler_tests::rig::load::Load;
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::ratios::{Pair, Ratios};
use profiler_tests::rig::service::{Service, program};
use profiler_tests::rig::slice::slice;

use crate::wanted;

/// One slice. Short, because the speed of a shared machine drifts within seconds.
const SLICE: Duration = Duration::from_millis(400);
/// Pairs of each row.
const PAIRS: usize = 48;
const QUICK_PAIRS: usize = 8;
/// Turns of the wanted request's own cost.
const TURNS: usize = 15;
const QUICK_TURNS: usize = 3;
/// A rig whose own quartiles lie further apart claims nothing.
const MOST_SPREAD: f64 = 0.03;

/// The report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    aa: Ratios,
    request_mode: RequestMode,
    all_requests_mode: AllRequestsMode,
    process_mode: Ratios,
    pairs: usize,
    slice_ms: u64,
    /// Requests a second without the profiler, the median.
    requests_per_second: f64,
    /// CPU time of a request without the profiler (ns).
    cpu_per_request_ns: Quartiles,
    /// What two readings of the clock take (ns).
    two_clock_reads_ns: f64,
    /// Whether the rig is quiet enough for anything to be claimed of throughput and CPU time.
    claims: bool,
    /// The same of the 99th percentile.
    claims_p99: bool,
}

#[derive(Debug, Serialize)]
struct RequestMode {
    #[serde(flatten)]
    ratios: Ratios,
    wanted_cost_us: Quartiles,
    /// Wanted requests that the profiler saw, so that nobody measures one that does nothing.
    wanted_seen: u64,
}

#[derive(Debug, Serialize)]
struct AllRequestsMode {
    #[serde(flatten)]
    ratios: Ratios,
    /// What each poll pays.
    ns_per_poll: Quartiles,
    /// What a request of one poll pays in all, at full load.
    ns_per_request: Quartiles,
    requests_seen: u64,
}

/// The rows, in the order of the report.
const ROWS: [What; 4] = [What::Nothing, What::Request, What::AllRequests, What::Process];

#[derive(Default)]
struct Row {
    pairs: Vec<Pair>,
    seen: u64,
}

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (pairs, turns) = if quick { (QUICK_PAIRS, QUICK_TURNS) } else { (PAIRS, TURNS) };
    let mut service = Service::start(&mut Command::new(program()?))?;
    let idle = Idle {
        wanted_cost_us: wanted::cost_us(&mut service, turns)?,
        ns_per_poll: wanted::times_ns_per_poll(&mut service, turns)?,
        two_clock_reads_ns: wanted::two_clock_reads_ns(),
    };
    let load = Load::start(service.port);
    std::thread::sleep(SLICE * 2);
    let mut rows: [Row; 4] = Default::default();
    let mut gap = Duration::ZERO;
    for pair in 0..pairs {
        for (row, what) in rows.iter_mut().zip(ROWS) {
            gap = row.one(&mut service, &load, what, pair % 2 == 1, gap)?;
        }
        eprintln!("pair {} of {pairs}", pair + 1);
    }
    load.end()?;
    service.end()?;
    Ok(report(&rows, idle, pairs))
}

impl Row {
    /// One pair, the attached slice first or second. What lies between the two: `gap` where nothing is attached, so that the rig's own error
    /// is that of slices as far apart; else how long the attach took, which is given back.
    fn one(&mut self, service: &mut Service, load: &Load, what: What, attached_first: bool, gap: Duration) -> Result<Duration> {
        let bare_before = if attached_first { None } else { Some(slice(service, load, SLICE)?) };
        let begun = Instant::now();
        let attached = Attached::start(service.pid(), what)?;
        if attached.is_none() {
            std::thread::sleep(gap);
        }
        let took = begun.elapsed();
        let with = slice(service, load, SLICE)?;
        if let Some(attached) = attached {
            self.seen += attached.end()?.requests;
        }
        let bare = bare_before.map_or_else(|| slice(service, load, SLICE), Ok)?;
        self.pairs.push(Pair { bare, with });
        Ok(took)
    }
}

/// What was measured without load.
#[derive(Clone, Copy)]
struct Idle {
    wanted_cost_us: Quartiles,
    ns_per_poll: Quartiles,
    two_clock_reads_ns: f64,
}

fn report(rows: &[Row; 4], idle: Idle, pairs: usize) -> Report {
    let Idle { wanted_cost_us, ns_per_poll, two_clock_reads_ns } = idle;
    let [aa, request, all, process] = rows;
    let bare = || rows.iter().flat_map(|row| row.pairs.iter().map(|pair| pair.bare));
    let ns_per_request = Quartiles::of(all.pairs.iter().map(|pair| pair.with.cpu_ns - pair.bare.cpu_ns));
    let aa = Ratios::of(&aa.pairs);
    let claims = aa.throughput_ratio.spread() <= MOST_SPREAD && aa.cpu_per_request_ratio.spread() <= MOST_SPREAD;
    let claims_p99 = aa.p99_ratio.spread() <= MOST_SPREAD;
    Report {
        request_mode: RequestMode { ratios: Ratios::of(&request.pairs), wanted_cost_us, wanted_seen: request.seen },
        all_requests_mode: AllRequestsMode {
            ratios: Ratios::of(&all.pairs),
            ns_per_poll,
            ns_per_request,
            requests_seen: all.seen,
        },
        process_mode: Ratios::of(&process.pairs),
        aa,
        pairs,
        slice_ms: u64::try_from(SLICE.as_millis()).unwrap_or(u64::MAX),
        requests_per_second: Quartiles::of(bare().map(|slice| slice.per_second)).median,
        cpu_per_request_ns: Quartiles::of(bare().map(|slice| slice.cpu_ns)),
        two_clock_reads_ns,
        claims,
        claims_p99,
    }
}
