//! The rows: who is measured, how often, and what their turns come to.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use profiler_tests::rig::attached::{Sight, What};
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::ratios::{Pair, Ratios};
use profiler_tests::rig::rival::{self, Rival};
use profiler_tests::rig::service::{self, Service};
use profiler_tests::rig::slice::{AFTERMATH, Slice};
use profiler_tests::{Failure, Result};

use crate::bpftrace::Bpftrace;
use crate::checks;
use crate::inside::Inside;
use crate::observer::{Nobody, Observer};
use crate::ours::Ours;
use crate::perf::Perf;
use crate::report::{Claims, Measured, Report, Row};
use crate::rotation::{Plain, Turn};

/// How long, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// One slice. Short, because the speed of a shared machine drifts within seconds.
    pub(crate) slice: Duration,
    /// Behind each coming and going, before a slice.
    pub(crate) aftermath: Duration,
    /// Pairs of each row that is ours.
    pub(crate) pairs: usize,
    /// Pairs of each other.
    pub(crate) other_pairs: usize,
    /// When it is time to stop, however many pairs there are by then, if there are two.
    pub(crate) within: Duration,
}

impl Length {
    /// For the document.
    pub(crate) const FULL: Self = Self {
        slice: Duration::from_millis(200),
        aftermath: AFTERMATH,
        pairs: 40,
        other_pairs: 40,
        within: Duration::from_secs(560),
    };
    /// For a minute, which has no time to wait.
    pub(crate) const QUICK: Self =
        Self { aftermath: Duration::ZERO, pairs: 5, other_pairs: 1, within: Duration::from_secs(30), ..Self::FULL };
}

/// Before the first slice, so that connections are open and caches full.
const WARM: Duration = Duration::from_millis(500);

/// Who is in a row, in the order of the report.
enum Who {
    Ours(What),
    Perf(&'static str),
    Bpftrace,
    Inside(&'static Rival),
}

/// Name, what one gets, and who.
type Entry = (&'static str, &'static str, Who);

/// All rows.
fn entries() -> Vec<Entry> {
    let [console, dial9, flame, metrics, pprof] = &rival::ALL;
    vec![
        ("aa", "nothing: the rig's own error", Who::Ours(What::Nothing)),
        ("floor", "nothing: empty programs on the sites of `exact`", Who::Ours(What::Floor)),
        ("exact", "five states, polls, wakes, waits and stacks of every task and request", Who::Ours(What::Exact)),
        ("exact_no_wakes", "the same, scheduled not told from suspended", Who::Ours(What::ExactNoWakes)),
        ("sample", "CPU, blocked and preempted by task and request, stacks", Who::Ours(What::Sample)),
        ("request", "everything of one wanted request", Who::Ours(What::Request)),
        ("all_requests", "five states of every request, by route", Who::Ours(What::AllRequests)),
        (console.name, "busy, idle and scheduled time and polls of each task, live", Who::Inside(console)),
        (dial9.name, "a trace of polls, wakes and parks", Who::Inside(dial9)),
        (flame.name, "a flamegraph of the spans that the service makes", Who::Inside(flame)),
        (metrics.name, "counters and means of all tasks of a monitor", Who::Inside(metrics)),
        (pprof.name, "stacks on the CPU, 99 Hz", Who::Inside(pprof)),
        ("perf_fp", "stacks on the CPU, 99 Hz, by frame pointers", Who::Perf("fp")),
        ("perf_dwarf", "stacks on the CPU, 99 Hz, by copies of the stack", Who::Perf("dwarf")),
        ("bpftrace", "a histogram of polls, counts of wakes and switches, on the functions of `exact`", Who::Bpftrace),
    ]
}

/// A row while it is measured.
struct Growing {
    name: &'static str,
    reports: &'static str,
    /// `Err`: why it is not, or no longer, measured.
    observer: std::result::Result<Box<dyn Observer>, String>,
    is_ours: bool,
    turns: Vec<Turn>,
}

impl Growing {
    fn of((name, reports, who): Entry, service: &Service, folder: &Path) -> Result<Self> {
        let is_ours = matches!(who, Who::Ours(_));
        let observer: Result<Box<dyn Observer>> = match who {
            Who::Ours(What::Nothing) => Ok(Box::new(Nobody)),
            Who::Ours(what) => Ok(Box::new(Ours::start(what)?)),
            Who::Perf(call_graph) => Perf::found(call_graph, folder).map(|perf| Box::new(perf) as _),
            Who::Bpftrace => Bpftrace::found(service, folder).map(|bpftrace| Box::new(bpftrace) as _),
            Who::Inside(rival) => Inside::start(rival, folder).map(|inside| Box::new(inside) as _),
        };
        Ok(Self { name, reports, observer: observer.map_err(|failure| failure.to_string()), is_ours, turns: Vec::new() })
    }

    /// One turn more. Only what is ours may fail the benchmark.
    fn turn(&mut self, plain: &mut Plain) -> Result<()> {
        let Ok(observer) = &mut self.observer else { return Ok(()) };
        match plain.turn(observer.as_mut()) {
            Ok(turn) => self.turns.push(turn),
            Err(failure) if self.is_ours => return Err(failure),
            Err(failure) => self.observer = Err(failure.to_string()),
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<Pair> {
        self.turns.iter().map(|turn| turn.pair).collect()
    }

    fn row(&self, rig: &Ratios) -> Row {
        let Self { name, reports, observer, turns, .. } = self;
        let skipped = observer.as_ref().err().cloned();
        let measured = (!turns.is_empty() && skipped.is_none()).then(|| self.measured(rig));
        Row { name, reports, skipped, pairs: turns.len(), measured }
    }

    fn measured(&self, rig: &Ratios) -> Measured {
        let ratios = Ratios::of(&self.pairs());
        let sights = || self.turns.iter().filter_map(|turn| turn.sight);
        let seen = |part: fn(&Sight) -> u64| sights().next().map(|_| sights().map(|sight| part(&sight)).sum::<u64>());
        let cpu: Vec<f64> = self.turns.iter().filter_map(|turn| turn.observer_cpu).collect();
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of some seconds")]
        let attach = Quartiles::of(sights().map(|sight| sight.attach_ns as f64 / 1e6));
        Measured {
            claims: Claims::of(&ratios, rig),
            ratios,
            ns_per_poll: Quartiles::of(self.turns.iter().map(|turn| turn.pair.ns_per_poll())),
            observer_cpu: (!cpu.is_empty()).then(|| Quartiles::of(cpu)),
            observer_peak_bytes: self.turns.iter().filter_map(|turn| turn.peak_bytes).max(),
            requests_seen: seen(|sight| sight.requests),
            polls_seen: seen(|sight| sight.polls),
            samples_seen: seen(|sight| sight.samples),
            attach_ms: attach.is_known().then_some(attach.median),
        }
    }
}

/// Everything.
pub(crate) fn measure(length: Length, quick: bool, only: &[String]) -> Result<Report> {
    let begun = Instant::now();
    let folder = tempfile::tempdir().map_err(Failure::io("a folder"))?;
    let service = Service::start(&mut Command::new(service::program()?))?;
    let mut plain = Plain::new(service, length.slice, length.aftermath);
    std::thread::sleep(WARM);
    let wanted = |name: &str| name == "aa" || only.is_empty() || only.iter().any(|wanted| wanted == name);
    let entries = entries().into_iter().filter(|(name, ..)| wanted(name));
    let mut rows = entries.map(|entry| Growing::of(entry, &plain.service, folder.path())).collect::<Result<Vec<_>>>()?;
    let mut bare = Vec::new();
    for rotation in 0..length.pairs {
        if rotation >= 2 && begun.elapsed() > length.within {
            break;
        }
        bare.push(plain.bare()?);
        let others = rotation < length.other_pairs;
        for row in rows.iter_mut().filter(|row| row.is_ours || others) {
            row.turn(&mut plain)?;
        }
        eprintln!("rotation {} of {}, {:.0} s", rotation + 1, length.pairs, begun.elapsed().as_secs_f64());
    }
    let slice_ms = u64::try_from(plain.length.as_millis()).unwrap_or(u64::MAX);
    plain.end()?;
    let mut report = report(quick, slice_ms, &bare, &rows);
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

fn report(quick: bool, slice_ms: u64, bare: &[Slice], rows: &[Growing]) -> Report {
    let pairs_of = |name: &str| rows.iter().find(|row| row.name == name).map(Growing::pairs).unwrap_or_default();
    let rig = Ratios::of(&pairs_of("aa"));
    Report {
        quick,
        slice_ms,
        requests_per_second: Quartiles::of(bare.iter().map(|slice| slice.per_second)),
        cpu_per_request_ns: Quartiles::of(bare.iter().map(|slice| slice.cpu_ns)),
        polls_per_request: Quartiles::of(bare.iter().map(|slice| slice.polls)),
        rows: rows.iter().map(|row| row.row(&rig)).collect(),
        checks: checks::of_rows(&pairs_of("aa"), &pairs_of("floor"), &pairs_of("exact"), &pairs_of("sample")),
        seconds: 0.0,
    }
}
