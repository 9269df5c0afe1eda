//! One profiled target from start to end: the steps in their order, and nothing else. What `run` and `record` have in common.

mod annotation;
mod await_cache;
mod awaits;
mod choice;
mod clock;
mod ending;
mod error;
mod foreign;
mod heap;
mod keys;
mod look;
mod manner;
mod mode;
mod naming;
mod object;
mod pace;
mod probes;
mod record;
mod render;
mod ring;
mod run;
mod sampled;
mod service;
mod setting;
mod sites;
mod snapshot;
mod start;
mod table;
mod task_ids;
mod times;
mod told;
mod unwind;

pub use awaits::{AwaitSight, AwaitSummary, KeySummary};
pub use choice::Choice;
pub use ending::Lost;
pub use error::SessionError;
pub use foreign::{DEFAULT_LABEL_KEY, ForeignSight, FoundContext};
pub use look::{Look, look_at_file, look_at_process};
pub use manner::{Manner, Subject};
pub use mode::Mode;
pub use naming::Naming;
pub use record::{Recorded, record};
pub use render::{ExecutorFrames, holders, render};
pub use run::{Ended, run};
pub use table::Tokens;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ending::{Count, Enough};
use foreign::Foreign;
use mode::ModeChosen;
use pace::{Pacing, Seen};
use sites::Sites;
use snapshot::Snapshots;
use table::Table;
use times::Keeping;
use unwind::Unwinding;

use crate::attach::{Attached, AwaitsOf, Pace, ProgramRuns, RunStatistics, monotonic_ns};
use crate::collect::{Collected, Collector};
use crate::inspect::Inspection;
use crate::inspect::awaits::{LoadedTable, Progress};
use crate::model::gather::{Setting, gather};
use crate::model::{Capture, Cost, ProgramCost, Symbols, TaskIds};
use crate::plan::Plan;
use crate::target::Target;
use crate::target::image::{Image, Runs};
use crate::target::mapped::Modules;

/// A target with the probes in and the window open.
#[derive(Debug)]
pub struct Session {
    attached: Attached,
    collector: Collector,
    setting: Setting,
    modules: Modules,
    /// Behind a lock of its own: names take seconds to look up, in which the session must go on draining.
    symbols: Arc<Mutex<Symbols>>,
    target: Target,
    /// The program that was attached to.
    image: Image,
    plan: Plan,
    inspection: Inspection,
    /// How requests are measured, and why so.
    mode: ModeChosen,
    /// The annotation's table in the target, where there is one. Dropping it asks for nothing any more.
    table: Option<Table>,
    /// Whether requests with good tokens are wanted.
    asks_tokens: bool,
    /// How fast the sampling clock ticks.
    pacing: Pacing,
    /// Tokens met, when it was last looked: a target that has ended tells nothing any more.
    tokens: Option<Tokens>,
    /// Whether requests keep their own times.
    keeping: Keeping,
    /// Counts runs of our programs as long as it lives, where that was asked for.
    statistics: Option<RunStatistics>,
    /// Request ids that were asked for one by one.
    awaited: HashSet<Vec<u8>>,
    /// How many requests have ended, and after how many a recording has what was asked for.
    count: Count,
    /// Those of them that have ended at least once.
    ended: HashSet<Vec<u8>>,
    closed: bool,
    unwinding: Unwinding,
    /// Ids of other libraries; `None`: requests are named by a key of the program's own.
    foreign: Option<Foreign>,
    awaits: AwaitSight,
    await_table: Option<Arc<LoadedTable>>,
    kernel_said: Vec<String>,
    snapshots: Snapshots,
    key_sentence: Option<String>,
    /// Whether probe sites find what belongs there.
    sites: Sites,
}

/// Lines of the kernel side's log that are kept.
const MAX_LINES: usize = 1000;

impl Session {
    /// Attaches to process `pid` and opens the window.
    ///
    /// Debug files are looked for in `debug_dirs` first. Reading a large program's debug information takes seconds: `progress` is told.
    pub fn start(
        pid: u32,
        subject: &Subject,
        manner: &Manner,
        debug_dirs: &[PathBuf],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, SessionError> {
        Self::start_at(Target::open(pid)?, subject, manner, debug_dirs, progress)
    }

    /// The same for a process that has been looked at already: between a look and a second one its pid may have become another's.
    pub fn start_at(
        target: Target,
        subject: &Subject,
        manner: &Manner,
        debug_dirs: &[PathBuf],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, SessionError> {
        let mut session = start::start(target, subject, manner, debug_dirs, progress)?;
        session.symbols.lock().unwrap_or_else(PoisonError::into_inner).add_debug_dirs(debug_dirs);
        session.snapshots.debug_dirs = debug_dirs.to_vec();
        Ok(session)
    }

    /// Walks the awaits of others, or nobody's, from now on. What a walk costs is measured so, with everything else as it is.
    pub fn walk_awaits(&mut self, of: AwaitsOf) -> Result<(), SessionError> {
        Ok(self.attached.walk_awaits(of)?)
    }

    /// Takes what has come since the last call. To be called several times a second, or the ring buffer fills up.
    pub fn tick(&mut self) -> Result<(), SessionError> {
        self.count.ended += self.collector.drain(&mut self.attached)?;
        if self.asks_tokens {
            self.tokens = self.table.as_ref().and_then(Table::tokens).or(self.tokens);
        }
        // What lies at the known addresses of a target that is lost is another program's now, or nothing.
        if !self.closed && self.lost().is_none() {
            let seen = Seen {
                now_ns: monotonic_ns(),
                in_flight: self.collector.is_request_in_flight() || self.is_foreign_near(),
                sampled_ns: self.collector.sampled_ns(),
                awaits_end: self.count.enough != Enough::Never && !self.has_what_was_asked(),
            };
            let (pace, tell) = self.pacing.look(&seen);
            self.attached.pace(pace, tell)?;
            self.sites.look_in_time(&mut self.attached)?;
            self.keeping.begin(&mut self.attached, self.table.as_mut())?;
            if self.mode.mode != Mode::Times {
                self.follow_mappings()?;
                self.follow_foreign()?;
            }
        }
        // Only ids that somebody asked for are kept: a daemon sees a new one with every request, for days.
        let Self { collector, awaited, ended, setting, .. } = self;
        let told = collector.take_ended_ids().into_iter().map(|id| setting.key.map_or_else(|| id.clone(), |key| key.text(&id)));
        ended.extend(told.filter(|id| awaited.contains(id)));
        let room = MAX_LINES.saturating_sub(self.kernel_said.len());
        self.kernel_said.extend(self.attached.said().into_iter().take(room));
        Ok(())
    }

    /// How long the loop may rest until it looks again: while only wanted requests are seen, every look takes a CPU from somebody, and what
    /// will not wait is said by the ring buffer itself.
    pub(crate) const fn rest(&self) -> Duration {
        match (self.mode.mode, self.pacing.pace()) {
            (Mode::Request, Pace::Fast) => QUIET_REST,
            (Mode::Request, Pace::Slow | Pace::Rest) => IDLE_REST,
            _ => REST,
        }
    }

    /// Looks at the target's mappings again from time to time, and soon where walks have met code that was not there before.
    fn follow_mappings(&mut self) -> Result<(), SessionError> {
        match self.unwinding.refresh_in_time(&mut self.attached, self.target.pid()) {
            Ok(false) => {}
            Ok(true) => {
                self.setting.unwind_tables = self.unwinding.tables();
                self.refresh_modules();
            }
            // What was seen of a target that has gone meanwhile is still to be told.
            Err(_) if self.target.has_exited() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether an id of another library that was asked for by name was seen a moment ago: it has no end that could be waited for.
    fn is_foreign_near(&self) -> bool {
        const MOMENT_NS: u64 = 1_000_000_000;
        let seen_ns = self.collector.foreign_seen_ns();
        !self.awaited.is_empty() && seen_ns != 0 && monotonic_ns().saturating_sub(seen_ns) < MOMENT_NS
    }

    /// Looks from time to time where other libraries keep ids of requests: libraries come late, and names of attributes too.
    fn follow_foreign(&mut self) -> Result<(), SessionError> {
        let Some(foreign) = &mut self.foreign else { return Ok(()) };
        match foreign.refresh_in_time(self.attached.foreign_unknown()?) {
            Ok(true) => Ok(self.attached.set_foreign(foreign.slots())?),
            Ok(false) => Ok(()),
            Err(_) if self.target.has_exited() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Everything known now, the window open or closed.
    pub fn capture(&mut self, detail: Detail) -> Result<Capture, SessionError> {
        if !self.closed {
            self.setting.window.end_ns = monotonic_ns();
        }
        let Self { collector, attached, setting, .. } = self;
        let collected: Collected = match detail {
            Detail::Stacks => collector.collect(attached, setting.window.end_ns)?,
            Detail::NoStacks => collector.collect_rows(attached, setting.window.end_ns)?,
        };
        let refused_sites = self.sites.refused(&mut self.attached)?;
        Ok(Capture { cost: self.cost(), refused_sites, ..gather(&self.setting, &collected) })
    }

    /// What names the addresses in stacks, with the mappings as they are now. Nothing is looked up by this.
    #[must_use]
    pub fn naming(&mut self) -> Naming {
        self.refresh_modules();
        Naming { symbols: Arc::clone(&self.symbols), modules: self.modules.clone() }
    }

    /// Why there is nothing more to see, once that is so.
    pub(crate) fn lost(&self) -> Option<Lost> {
        match self.image.now(&self.target) {
            _ if self.target.has_exited() => Some(Lost::Ended),
            Runs::TheSame => None,
            Runs::Another => Some(Lost::Exec),
            Runs::Nothing => Some(Lost::Ended),
        }
    }

    /// Looks at the target's mappings again: libraries may have come since the attach. A target that has gone keeps what was known.
    fn refresh_modules(&mut self) {
        if self.lost().is_none() {
            // A failure leaves the mappings as they were, and addresses outside them are shown as such.
            let _ = self.modules.update(self.target.pid());
        }
    }

    /// What our programs took, if that is counted.
    fn cost(&self) -> Option<Cost> {
        let clock_ns = self.statistics.as_ref()?.clock_ns();
        let row = |of: ProgramRuns| ProgramCost::new(of.name, of.runs, of.total_ns, of.recursion_misses);
        Some(Cost { clock_ns, programs: self.attached.runs().into_iter().map(row).collect() })
    }

    /// Closes the window and takes the probes out of the target. What was seen can still be asked for.
    pub fn finish(&mut self) -> Result<(), SessionError> {
        if self.closed {
            return Ok(());
        }
        self.refresh_modules();
        // First, so that scopes stop reaching their probes while these still count.
        if let Some(table) = &mut self.table {
            table.disarm();
        }
        self.setting.window.end_ns = self.attached.close()?;
        self.closed = true;
        self.tick()?;
        self.attached.detach();
        Ok(())
    }
}

/// How much of what was seen a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Stacks,
    /// Times and counts, without samples, stretches off the CPU, polls and wakes: they are many, and tables show none.
    NoStacks,
}

/// Between two looks into the ring buffer. It holds 8 MiB, some 20,000 stacks: two seconds and a half at the highest rate on two CPUs.
const REST: Duration = Duration::from_millis(50);
/// The same where only wanted requests are seen: at 997 samples a second the buffer holds ten seconds and more, and each look takes some 0.3 ms of
/// a CPU that others use. (Fifty looks a second took 1 % from a service whose clients shared the other CPU with them.)
const QUIET_REST: Duration = Duration::from_millis(250);
/// The same while the sampling clock is slow or rests.
const IDLE_REST: Duration = Duration::from_secs(1);

fn modules_of(pid: u32) -> Result<Modules, SessionError> {
    Modules::of_process(pid).map_err(SessionError::Modules)
}
