//! Slices by turns: bare, somebody, bare, somebody else, bare. Each is held against the bare slices on both sides of it.

use std::time::{Duration, Instant};

use profiler_tests::Result;
use profiler_tests::rig::attached::Sight;
use profiler_tests::rig::load::Load;
use profiler_tests::rig::ratios::Pair;
use profiler_tests::rig::service::Service;
use profiler_tests::rig::slice::{Slice, slice};

use crate::observer::Observer;
use crate::used::cpu_ns;

/// The plain service under its load.
pub(crate) struct Plain {
    pub(crate) service: Service,
    pub(crate) load: Load,
    pub(crate) length: Duration,
    aftermath: Duration,
    /// The last bare slice.
    bare: Option<Slice>,
    /// How long the last observer took to come: nobody takes as long.
    gap: Duration,
}

/// What one turn came to.
pub(crate) struct Turn {
    pub(crate) pair: Pair,
    /// CPU time of the observer's own process, as a share of one CPU.
    pub(crate) observer_cpu: Option<f64>,
    pub(crate) sight: Option<Sight>,
    pub(crate) peak_bytes: Option<u64>,
}

impl Plain {
    /// Slices of `length`, so long behind each coming and going.
    pub(crate) fn new(service: Service, length: Duration, aftermath: Duration) -> Self {
        let load = Load::start(service.port);
        Self { service, load, length, aftermath, bare: None, gap: Duration::ZERO }
    }

    /// A bare slice, to be held against what comes next.
    pub(crate) fn bare(&mut self) -> Result<Slice> {
        let bare = slice(&mut self.service, &self.load, self.length)?;
        self.bare = Some(bare);
        Ok(bare)
    }

    /// A slice with the observer there, and a bare one after it.
    pub(crate) fn turn(&mut self, observer: &mut dyn Observer) -> Result<Turn> {
        let before = self.bare.map_or_else(|| self.bare(), Ok)?;
        let begun = Instant::now();
        observer.begin(&self.service)?;
        match observer.pid() {
            Some(_) => self.gap = begun.elapsed(),
            None if observer.instead().is_none() => std::thread::sleep(self.gap),
            None => {}
        }
        self.settle(observer);
        let measured = self.with(observer);
        // Whatever went wrong, nobody stays.
        let peak_bytes = observer.peak_bytes(&self.service);
        let ended = observer.end();
        self.load.pause(false);
        self.settle(observer);
        let ((with, observer_cpu), sight) = (measured?, ended?);
        let pair = Pair { bare: Slice::between(before, self.bare()?), with };
        Ok(Turn { pair, observer_cpu, sight, peak_bytes })
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second")]
    fn with(&mut self, observer: &mut dyn Observer) -> Result<(Slice, Option<f64>)> {
        let pid = observer.pid();
        if let Some((service, load)) = observer.instead() {
            self.load.pause(true);
            return slice(service, load, self.length).map(|slice| (slice, None));
        }
        let (begun, used) = (Instant::now(), pid.map(cpu_ns));
        let slice = slice(&mut self.service, &self.load, self.length)?;
        let took = begun.elapsed().as_nanos() as f64;
        Ok((slice, pid.zip(used).map(|(pid, used)| cpu_ns(pid).saturating_sub(used) as f64 / took)))
    }

    /// Until what coming or going leaves behind is over. A profiler inside of another service leaves nothing in this one.
    fn settle(&self, observer: &mut dyn Observer) {
        if observer.instead().is_none() {
            std::thread::sleep(self.aftermath);
        }
    }

    pub(crate) fn end(self) -> Result<()> {
        self.load.end()?;
        self.service.end()
    }
}
