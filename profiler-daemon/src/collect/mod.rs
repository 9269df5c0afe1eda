//! Drains the ring buffer and reads the maps into plain rows; counts every loss. Knows nothing of what becomes of them.

mod awaits;
mod collected;
mod drain;
mod foreign;
mod in_flight;
mod keep;
mod live;
mod losses;
mod open;
mod places;
mod records;
mod routes;
mod rows;
mod sampled;
mod scopes;
mod sightings;
mod slow;
mod spawned;

use std::collections::{HashMap as StdHashMap, HashSet};
use std::time::Duration;

use profiler_common::limits::SCOPE_SLOTS;
use profiler_common::loss::Loss;
use profiler_common::record::{PollRecord, WakeRecord};
use profiler_common::scope::ScopeRow;
use profiler_common::task::TaskRow;

use crate::attach::{AttachError, Attached};
pub use awaits::Awaits;
pub use collected::{Collected, Doing, LiveRow, LiveTask, Off, Sample, Stack};
pub use drain::ring_fd;
pub use foreign::ForeignId;
use foreign::ForeignIds;
use in_flight::InFlight;
use keep::Latest;
pub use losses::walks;
use places::Places;
pub use places::{Place, PlaceSum};
pub use routes::Route;
use routes::Routes;
use sampled::Sampled;
pub use sampled::{PollCode, SampledOwner, SampledTask};
pub use sightings::Sightings;
use slow::Threshold;
use spawned::Spawned;

/// The most samples that are kept. At 99 Hz on two busy CPUs that is a quarter of an hour.
const MAX_SAMPLES: usize = 200_000;
/// The most finished requests that are kept.
const MAX_REQUESTS: usize = 20_000;
/// The most finished children that are kept.
const MAX_CHILDREN: usize = 100_000;

/// The most stretches off the CPU that are kept.
const MAX_OFF_CPU: usize = 100_000;
/// The most polls that are kept.
const MAX_POLLS: usize = 300_000;
/// The most wakes that are kept.
const MAX_WAKES: usize = 300_000;

/// Of each of these a daemon keeps no more, which stays for days: some 14 MB together. A busy service has a hundred thousand of each a second, and
/// 300,000 of each are 80 MB for three seconds instead of a half.
const OF_A_DAEMON: usize = 50_000;
/// And so many finished requests, 900 bytes each.
const REQUESTS_OF_A_DAEMON: usize = 12_000;

/// What has come out of the ring buffer so far.
#[derive(Debug)]
pub struct Collector {
    samples: Latest<Sample>,
    off_cpu: Latest<Off>,
    blocking: Places,
    /// Threads that are off their CPU inside a poll, by thread id.
    away: StdHashMap<u32, (Stack, Option<u32>)>,
    polls: Latest<PollRecord>,
    waits: awaits::Waits,
    wakes: Latest<WakeRecord>,
    /// Requests asked for by name that have begun and not ended.
    in_flight: InFlight,
    /// When a sample was last taken inside a wanted request (ns), 0 for never.
    sampled_ns: u64,
    foreign: ForeignIds,
    /// Tasks of a target without probes.
    sampled: Option<Sampled>,
    requests: Latest<(u64, ScopeRow)>,
    /// Those that kept their own times.
    routes: Routes,
    children: Latest<TaskRow>,
    spawned: Spawned,
    /// Requests that were faster are not kept.
    threshold: Threshold,
    lost: StdHashMap<Loss, u64>,
    /// Ids of requests that ended since somebody asked.
    ended_ids: Vec<Vec<u8>>,
    /// How many requests had found the ring buffer full when we last looked for their rows.
    kept_in_map: u64,
    /// The requests whose rows were taken out of the map then.
    swept: HashSet<u64>,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            samples: Latest::of(MAX_SAMPLES),
            off_cpu: Latest::of(MAX_OFF_CPU),
            blocking: Places::default(),
            away: StdHashMap::new(),
            polls: Latest::of(MAX_POLLS),
            waits: awaits::Waits::default(),
            wakes: Latest::of(MAX_WAKES),
            in_flight: InFlight::default(),
            sampled_ns: 0,
            foreign: ForeignIds::default(),
            sampled: None,
            requests: Latest::of(MAX_REQUESTS),
            routes: Routes::default(),
            children: Latest::of(MAX_CHILDREN),
            spawned: Spawned::default(),
            threshold: Threshold::default(),
            lost: StdHashMap::new(),
            ended_ids: Vec::new(),
            kept_in_map: 0,
            swept: HashSet::new(),
        }
    }
}

impl Collector {
    /// One that folds requests that keep their own times by these beginnings of ids, and else by what their ids have in common.
    #[must_use]
    pub fn by_routes(prefixes: Vec<Vec<u8>>) -> Self {
        Self { routes: Routes::by(prefixes), ..Self::default() }
    }

    /// One for a target without probes: whose task a thread polls is told by `polls`, and by the task's id if `ids` can be read.
    #[must_use]
    pub fn of_samples(polls: PollCode, ids: bool) -> Self {
        Self { sampled: Some(Sampled::new(polls, ids)), ..Self::default() }
    }

    /// One that keeps requests that took at least so long, and nothing of the others.
    #[must_use]
    pub fn of_requests_slower_than(least: Duration) -> Self {
        Self { threshold: Threshold::of(least), ..Self::default() }
    }

    /// The same, keeping what a daemon does.
    #[must_use]
    pub fn of_a_daemon(mut self) -> Self {
        self.polls = Latest::of(OF_A_DAEMON);
        self.wakes = Latest::of(OF_A_DAEMON);
        self.waits = awaits::Waits::of(OF_A_DAEMON);
        self.requests = Latest::of(REQUESTS_OF_A_DAEMON);
        self
    }

    /// The same, keeping no fewer finished requests than there may be in flight where the map has room for so many, for all of these can end at
    /// once.
    #[must_use]
    pub fn with_room_for(mut self, requests: u32) -> Self {
        self.requests = self.requests.with_room_for(requests.saturating_add(SCOPE_SLOTS) as usize);
        self
    }

    /// Whether a request that was asked for by name is in flight.
    #[must_use]
    pub fn is_request_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// When a sample was last taken inside a wanted request (ns, `CLOCK_MONOTONIC`), 0 for never.
    #[must_use]
    pub const fn sampled_ns(&self) -> u64 {
        self.sampled_ns
    }

    /// When an id of another library's was last seen (ns, `CLOCK_MONOTONIC`), 0 for never.
    #[must_use]
    pub const fn foreign_seen_ns(&self) -> u64 {
        self.foreign.last_ns()
    }

    /// The ids of the requests that ended since the last call.
    pub fn take_ended_ids(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.ended_ids)
    }

    /// Reads the maps and puts everything together. `at_ns` is the moment up to which live rows are divided: the window's end, or now.
    pub fn collect(&mut self, attached: &mut Attached, at_ns: u64) -> Result<Collected, AttachError> {
        let (mut collected, mut open) = self.collect_open(attached, at_ns)?;
        open.off_cpu.retain(|off| self.is_placed(off));
        collected.samples.extend(self.samples.iter().cloned());
        let mut blocking = self.blocking.clone();
        open.off_cpu.iter().for_each(|off| blocking.add(off));
        collected.blocking = blocking.into_all();
        collected.off_cpu.extend(self.off_cpu.iter().cloned().chain(open.off_cpu));
        collected.polls.extend(self.polls.iter().copied().chain(open.polls));
        collected.wakes.extend(self.wakes.iter().copied());
        self.spawned.rename(&mut collected);
        Ok(collected)
    }

    /// As [`Collector::collect`], without what is much and in no table: samples, stretches off the CPU and their places, polls and wakes.
    pub fn collect_rows(&mut self, attached: &mut Attached, at_ns: u64) -> Result<Collected, AttachError> {
        let mut collected = self.collect_open(attached, at_ns)?.0;
        self.spawned.rename(&mut collected);
        Ok(collected)
    }

    fn lose(&mut self, loss: Loss) {
        *self.lost.entry(loss).or_default() += 1;
    }
}
