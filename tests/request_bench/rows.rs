//! Rounds of slices, detached, attached, attached, detached, and what they come to.

use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use profiler_tests::rig::attached::{Attached, What};
use profiler_tests::rig::load::Load;
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::ratios::{Pair, Ratios};
use profiler_tests::rig::rival;
use profiler_tests::rig::service::{Service, program};
use profiler_tests::rig::slice::{AFTERMATH, Slice, slice};
use profiler_tests::{Failure, Result};

use crate::wanted;

/// Between the answer to a wanted request and the next one.
const WANTED_EVERY: Duration = Duration::from_millis(100);
/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// One slice. Short, because the speed of a shared machine drifts within seconds.
    pub(crate) slice: Duration,
    /// Rounds of the rows whose difference is small.
    pub(crate) rounds: usize,
    /// Rounds of what is measured without load.
    pub(crate) idle_rounds: usize,
}

/// Enough to claim something.
pub(crate) const WHOLE: Length = Length { slice: Duration::from_millis(250), rounds: 60, idle_rounds: 15 };
/// Enough to look.
pub(crate) const QUICK: Length = Length { rounds: 9, idle_rounds: 3, ..WHOLE };
/// Of how many rounds one has the other rows too: what they show is large.
const LARGE_EVERY: usize = 3;
/// So many rounds that follow one another are one number: what a shared machine does for a second or two is then a small part of each.
const TOGETHER: usize = 4;
/// A rig whose own quartiles lie further apart claims nothing.
const MOST_SPREAD: f64 = 0.03;

/// The report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    aa: Ratios,
    request_mode: RequestMode,
    all_requests_mode: AllRequestsMode,
    process_mode: Ratios,
    /// Rounds of each row, in the order of the report.
    rounds: [usize; 4],
    /// How many of them are one number.
    rounds_together: usize,
    slice_ms: u64,
    /// Between the answer to a wanted request and the next one.
    wanted_every_ms: u64,
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
    /// What each poll pays with others inside of the service, measured in the same way; those that could be built.
    rivals: Vec<(&'static str, Quartiles)>,
    requests_seen: u64,
}

/// The rows, in the order of the report.
const ROWS: [What; 4] = [What::Nothing, What::Request, What::AllRequests, What::Process];
/// Those of them whose difference is small.
const SMALL: [What; 2] = [What::Nothing, What::Request];

#[derive(Default)]
struct Row {
    pairs: Vec<Pair>,
    seen: u64,
}

/// How long an attach and a detach took when they were last done.
#[derive(Clone, Copy, Debug, Default)]
struct Gaps {
    attach: Duration,
    detach: Duration,
}

pub(crate) fn measure(length: Length) -> Result<Report> {
    let Length { slice, rounds, idle_rounds } = length;
    let mut service = Service::start(&mut Command::new(program()?))?;
    let idle = Idle {
        wanted_cost_us: wanted::cost_us(&mut service, idle_rounds)?,
        ns_per_poll: wanted::times_ns_per_poll(&mut service, idle_rounds)?,
        two_clock_reads_ns: wanted::two_clock_reads_ns(),
        rivals: rivals(&mut service, idle_rounds)?,
    };
    let load = Load::wanting(service.port, WANTED_EVERY);
    std::thread::sleep(slice * 2);
    let mut rows: [Row; 4] = Default::default();
    let mut gaps = Gaps::default();
    for round in 0..rounds {
        for (row, what) in rows.iter_mut().zip(ROWS) {
            if SMALL.contains(&what) || round % LARGE_EVERY == 0 {
                row.round(&mut service, &load, (what, slice), &mut gaps)?;
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    load.end()?;
    service.end()?;
    Ok(report(&rows, idle, slice))
}

impl Row {
    /// One round: detached, attached, attached, detached, so that what drifts steadily is in neither. Between detached and attached the rig pauses as long
    /// as attach and detach take where nothing is attached, so that its own error is that of slices as far apart.
    fn round(&mut self, service: &mut Service, load: &Load, (what, length): (What, Duration), gaps: &mut Gaps) -> Result<()> {
        let before = slice(service, load, length)?;
        let begun = Instant::now();
        let attached = Attached::start(service.pid(), what)?;
        if attached.is_none() {
            std::thread::sleep(gaps.attach);
        }
        gaps.attach = begun.elapsed();
        std::thread::sleep(AFTERMATH);
        let with = Slice::between(slice(service, load, length)?, slice(service, load, length)?);
        let begun = Instant::now();
        match attached {
            Some(attached) => self.seen += attached.end()?.requests,
            None => std::thread::sleep(gaps.detach),
        }
        gaps.detach = begun.elapsed();
        std::thread::sleep(AFTERMATH);
        let bare = Slice::between(before, slice(service, load, length)?);
        self.pairs.push(Pair { bare, with });
        Ok(())
    }
}

/// Those that were built (`--build`).
fn rivals(service: &mut Service, rounds: usize) -> Result<Vec<(&'static str, Quartiles)>> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let mut found = Vec::new();
    for rival in rival::TRACERS.iter().filter(|rival| rival.is_built()) {
        found.push((rival.name, wanted::rival_ns_per_poll(rival, service, folder.path(), rounds)?));
    }
    Ok(found)
}

/// What was measured without load.
struct Idle {
    rivals: Vec<(&'static str, Quartiles)>,
    wanted_cost_us: Quartiles,
    ns_per_poll: Quartiles,
    two_clock_reads_ns: f64,
}

fn report(rows: &[Row; 4], idle: Idle, slice: Duration) -> Report {
    let Idle { wanted_cost_us, ns_per_poll, two_clock_reads_ns, rivals } = idle;
    let rounds = rows.each_ref().map(|row| row.pairs.len());
    let [aa, request, all, process] = rows;
    let bare = || rows.iter().flat_map(|row| row.pairs.iter().map(|pair| pair.bare));
    let ratios = |row: &Row| Ratios::of(&Pair::together(&row.pairs, TOGETHER));
    let ns_per_request = Quartiles::of(all.pairs.iter().map(|pair| pair.with.cpu_ns - pair.bare.cpu_ns));
    let aa = ratios(aa);
    let claims = aa.throughput_ratio.spread() <= MOST_SPREAD && aa.cpu_per_request_ratio.spread() <= MOST_SPREAD;
    let claims_p99 = aa.p99_ratio.spread() <= MOST_SPREAD;
    Report {
        request_mode: RequestMode { ratios: ratios(request), wanted_cost_us, wanted_seen: request.seen },
        all_requests_mode: AllRequestsMode { ratios: ratios(all), ns_per_poll, ns_per_request, rivals, requests_seen: all.seen },
        process_mode: ratios(process),
        aa,
        rounds,
        rounds_together: TOGETHER,
        slice_ms: milliseconds(slice),
        wanted_every_ms: milliseconds(WANTED_EVERY),
        requests_per_second: Quartiles::of(bare().map(|slice| slice.per_second)).median,
        cpu_per_request_ns: Quartiles::of(bare().map(|slice| slice.cpu_ns)),
        two_clock_reads_ns,
        claims,
        claims_p99,
    }
}

fn milliseconds(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}
