//! One crowd, and its turns.

use std::process::Command;
use std::time::{Duration, Instant};

use profiler_daemon::attach::Room;
use profiler_tests::Result;
use profiler_tests::rig::attached::What;
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::service::{self, Service, Usage};

use super::line;
use super::report::Point;
use crate::observer::Observer as _;
use crate::ours::Ours;
use crate::used::{map_bytes, peak_bytes};

/// For the largest crowds; the same for all, so that nothing else differs.
const ROOM: Room = Room { tasks: Some(1 << 20), requests: Some(1 << 17) };
/// How long all of a crowd may take to be polled once.
const WARM_WITHIN: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(50);

/// Tasks, or requests, that are polled in turn.
pub(super) struct Crowd {
    count: u32,
    service: Service,
    bare: Vec<f64>,
    more: Vec<f64>,
    /// What the bare slice after the profiler took more than the one before it.
    drift: Vec<f64>,
    seen: u64,
    peak_bytes: u64,
    map_bytes: u64,
}

impl Crowd {
    /// Starts it, and stops it until its first turn.
    pub(super) fn start(kind: &str, count: u32) -> Result<Self> {
        let mut command = Command::new(service::program()?);
        let service = Service::start(command.arg(kind).arg(count.to_string()))?;
        service.signal(libc::SIGSTOP)?;
        Ok(Self { count, service, bare: Vec::new(), more: Vec::new(), drift: Vec::new(), seen: 0, peak_bytes: 0, map_bytes: 0 })
    }

    /// A slice with the profiler between two without.
    pub(super) fn turn(&mut self, what: What, length: Duration) -> Result<()> {
        self.service.signal(libc::SIGCONT)?;
        let found = self.running(what, length);
        self.service.signal(libc::SIGSTOP)?;
        found
    }

    fn running(&mut self, what: What, length: Duration) -> Result<()> {
        let before = self.slice(length)?;
        let mut profiler = Ours::start_with(what, ROOM)?;
        profiler.begin(&self.service)?;
        // The first poll of a task that was there before makes its row, which is not what the later ones cost.
        self.all_polled()?;
        let with = self.slice(length)?;
        let pid = profiler.pid().unwrap_or_default();
        self.peak_bytes = self.peak_bytes.max(peak_bytes(pid).unwrap_or(0));
        self.map_bytes = self.map_bytes.max(map_bytes(pid));
        let sight = profiler.end()?.unwrap_or_default();
        self.seen = self.seen.max(sight.tasks.max(sight.requests));
        let after = self.slice(length)?;
        self.bare.extend([before, after]);
        self.more.push(with - f64::midpoint(before, after));
        self.drift.push(after - before);
        Ok(())
    }

    fn all_polled(&mut self) -> Result<()> {
        let (begun, first) = (Instant::now(), self.service.usage()?.polls);
        while self.service.usage()?.polls - first < u64::from(self.count) && begun.elapsed() < WARM_WITHIN {
            std::thread::sleep(STEP);
        }
        Ok(())
    }

    /// CPU time of a poll (ns).
    #[expect(clippy::cast_precision_loss, reason = "counts and times of a second")]
    fn slice(&mut self, length: Duration) -> Result<f64> {
        std::thread::sleep(STEP);
        let Usage { polls, cpu_ns } = self.service.usage()?;
        std::thread::sleep(length);
        let after = self.service.usage()?;
        Ok((after.cpu_ns - cpu_ns) as f64 / (after.polls - polls) as f64)
    }

    /// Ends it.
    pub(super) fn end(self) -> Result<Point> {
        self.service.signal(libc::SIGCONT)?;
        self.service.end()?;
        Ok(Point {
            count: self.count,
            bare_ns_per_poll: Quartiles::of(self.bare),
            ns_per_poll: Quartiles::of(self.more),
            drift_ns: Quartiles::of(self.drift),
            kept: self.seen,
            daemon_peak_bytes: self.peak_bytes,
            map_bytes: self.map_bytes,
            line_ns: line::ns(self.count),
        })
    }
}
