//! Drains the ring buffer and reads the maps into plain rows; counts every loss. Knows nothing of what becomes of them.

mod awaits;
mod collected;
mod foreign;
mod in_flight;
mod keep;
mod open;
mod places;
mod records;
mod routes;
mod rows;
mod sampled;
mod slow;
mod spawned;

use std::collections::{HashMap as StdHashMap, HashSet};
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap, PerCpuArray};
use profiler_common::limits::TRACE_ID_BYTES;
use profiler_common::loss::{LOSSES, Loss};
use profiler_common::record::{BackRecord, PollRecord, WakeRecord};
use profiler_common::scope::{ScopeRow, TIMED};
use profiler_common::task::TaskRow;
use profiler_common::thread::ThreadRow;
use profiler_common::totals::TypeTotals;
use profiler_common::unwind::Walks;

use crate::attach::{AttachError, Attached, keys, typed};
use crate::text::hex;
pub use awaits::Awaits;
pub use collected::{Collected, Doing, LiveRow, LiveTask, Off, Sample, Stack};
use foreign::ForeignIds;
pub use foreign::{ForeignId, ForeignSum};
use in_flight::InFlight;
use keep::Latest;
use open::Open;
use places::Places;
pub use places::{Place, PlaceSum};
use records::Record;
pub use routes::Route;
use routes::Routes;
use sampled::Sampled;
pub use sampled::{PollCode, SampledOwner, SampledTask};
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

    /// Takes everything out of the ring buffer, and the requests that found it full out of the map. Returns how many requests ended.
    pub fn drain(&mut self, attached: &mut Attached) -> Result<usize, AttachError> {
        let mut ended = self.drain_ring(attached)?;
        let kept = kernel_count(attached, Loss::RingFullRequest)?;
        if kept != self.kept_in_map {
            self.kept_in_map = kept;
            ended += self.sweep(attached)?;
        }
        self.prune_in_flight(attached)?;
        self.let_go();
        Ok(ended)
    }

    /// Forgets requests in flight whose rows are gone or ended although no record of their end came.
    fn prune_in_flight(&mut self, attached: &mut Attached) -> Result<(), AttachError> {
        let goes_on = |scope| {
            let map: HashMap<_, u64, ScopeRow> = typed(attached.ebpf(), "SCOPES")?;
            Ok(map.get(&scope, 0).is_ok_and(|row| row.flags & profiler_common::scope::ENDED == 0))
        };
        self.in_flight.prune(Instant::now(), goes_on).map(drop)
    }

    /// Lets go of what is left of requests that were too fast.
    fn let_go(&mut self) {
        if !self.threshold.begin_pass() {
            return;
        }
        let threshold = &self.threshold;
        // A stack of a slow request around a fast one is still the slow one's.
        let kept = |stack: &Stack| {
            let of_some = stack.requests.iter().any(|request| *request != 0);
            let of_slow = stack.requests.iter().any(|request| *request != 0 && !threshold.was_too_fast(*request));
            !of_some || of_slow
        };
        self.samples.retain(|sample| kept(&sample.stack));
        self.off_cpu.retain(|off| kept(&off.stack));
        self.polls.retain(|poll| !threshold.was_too_fast(poll.request));
        self.waits.retain(|wait| !threshold.was_too_fast(wait.request));
        self.children.retain(|row| !threshold.was_too_fast(row.request));
    }

    fn drain_ring(&mut self, attached: &mut Attached) -> Result<usize, AttachError> {
        let ring = attached.ring()?;
        let mut ended = 0;
        while let Some(item) = ring.next() {
            match Record::parse(&item) {
                Some(Record::Sample(mut sample)) => {
                    if let Some(sampled) = &mut self.sampled {
                        sampled.cut(&mut sample.stack);
                        sampled.sample(&sample);
                    }
                    self.foreign.sample(&sample);
                    if sample.stack.requests.iter().any(|request| *request != 0) {
                        self.sampled_ns = sample.stack.time_ns;
                    }
                    self.samples.push(sample);
                }
                Some(Record::Foreign(record)) => self.foreign.name(&record),
                // Its end was still going on when it was swept.
                Some(Record::Request(scope, _)) if self.swept.remove(&scope) => {}
                Some(Record::Request(scope, row)) if row.flags & TIMED != 0 => {
                    ended += 1;
                    self.routes.end(scope, &row);
                }
                Some(Record::Request(scope, row)) => ended += usize::from(self.end(scope, &row)),
                Some(Record::Child(row)) => self.children.push(*row),
                // One that is not completed by a record of its return is replaced by the thread's next.
                Some(Record::Off(mut stack, syscall)) => {
                    if let Some(sampled) = &mut self.sampled {
                        sampled.cut(&mut stack);
                    }
                    self.foreign.sight(&stack);
                    drop(self.away.insert(stack.tid, (stack, syscall)));
                }
                Some(Record::Back(back)) => self.back(&back),
                Some(Record::Poll(poll)) => self.polls.push(poll),
                Some(Record::Wake(wake)) => self.wakes.push(wake),
                Some(Record::Begin(begin)) => self.in_flight.begin(begin.scope),
                Some(Record::Await(wait)) => self.waits.push(wait),
                Some(Record::Spawned(spawned)) => self.spawned.note(&spawned),
                None => self.lose(Loss::RecordUnknown),
            }
        }
        let workers = self.sampled.as_mut().map(Sampled::take_workers).unwrap_or_default();
        attached.leave_out(&workers)?;
        Ok(ended)
    }

    fn back(&mut self, back: &BackRecord) {
        // Its first half may have found the ring buffer full, which is counted.
        if let Some((stack, syscall)) = self.away.remove(&back.tid)
            && stack.time_ns == back.since_ns
        {
            let off = Off { stack, syscall, off: back.off };
            if let Some(sampled) = &mut self.sampled {
                sampled.off(&off);
            }
            self.foreign.off(&off);
            if self.is_placed(&off) {
                self.blocking.add(&off);
                self.off_cpu.push(off);
            }
        }
    }

    /// Whether a stretch is kept with its stack. Where there are no probes one outside of any task is not: it is a thread that waits for work, of which
    /// the first few have one until it is known that they do.
    fn is_placed(&self, off: &Off) -> bool {
        let requests = off.stack.requests.iter().any(|request| *request != 0);
        requests || self.sampled.as_ref().is_none_or(|sampled| sampled.owner(&off.stack) != SampledOwner::Outside)
    }

    /// A request has ended. Whether it is kept.
    fn end(&mut self, scope: u64, row: &ScopeRow) -> bool {
        self.in_flight.end(scope);
        if self.threshold.is_too_fast(scope, row.states.wall_ns()) {
            self.lose(Loss::RequestTooFast);
            return false;
        }
        self.ended_ids.push(row.id().to_vec());
        if row.trace_id != [0; TRACE_ID_BYTES] {
            self.ended_ids.push(hex(&row.trace_id).into_bytes());
        }
        self.requests.push((scope, *row));
        true
    }

    /// Takes the rows of ended requests out of the map, so that their places are free again.
    fn sweep(&mut self, attached: &mut Attached) -> Result<usize, AttachError> {
        let scopes: Vec<u64> = keys::<_, ScopeRow>(attached.ebpf(), "SCOPES")?;
        let mut map: HashMap<_, u64, ScopeRow> = typed(attached.ebpf(), "SCOPES")?;
        self.swept.clear();
        let mut kept = 0;
        for scope in scopes {
            if let rows::Read::Whole(row) = rows::whole(|| map.get(&scope, 0).ok(), |row| row.sequence)
                && row.flags & profiler_common::scope::ENDED != 0
                && map.remove(&scope).is_ok()
            {
                self.swept.insert(scope);
                kept += usize::from(self.end(scope, &row));
            }
        }
        Ok(kept)
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

    /// The rows, and what has begun and not ended at `at_ns`.
    fn collect_open(&mut self, attached: &mut Attached, at_ns: u64) -> Result<(Collected, Open), AttachError> {
        let _: usize = self.drain(attached)?;
        // Before the threads: one that ends in between is in neither until the next look, and never in both.
        let walked = awaits::walks_of_ended(attached)?;
        let (threads, torn) = read_threads(attached)?;
        let walked = threads.values().fold(walked, |sum, thread| sum.plus(&thread.walks));
        (0..torn).for_each(|_| self.lose(Loss::RowTorn));
        let mut collected = Collected { at_ns, ..Collected::default() };
        let raw_tasks = self.read_tasks(attached)?;
        let mut waits = awaits::Open::default();
        for (header, row) in &raw_tasks {
            let live = rows::live(*header, row, threads.get(&row.tid), at_ns);
            waits.add_task(row, &live.row);
            collected.tasks.push(live);
        }
        let mut foreign = self.foreign.clone();
        let open = Open::at(at_ns, &self.away, &raw_tasks, &threads);
        open.off_cpu.iter().for_each(|off| foreign.off(off));
        collected.foreign = foreign.into_all();
        collected.sampled = self.sampled_tasks(attached, &open, &threads)?;
        let tasks: StdHashMap<u64, TaskRow> = raw_tasks.into_iter().collect();
        self.read_scopes(attached, &mut collected, &mut waits, &threads, &tasks)?;
        let totals: Array<_, TypeTotals> = typed(attached.ebpf(), "TYPE_TOTALS")?;
        for row in totals.iter() {
            collected.totals.push(row.map_err(|source| AttachError::Map { map: "TYPE_TOTALS", source })?);
        }
        // What ended while the maps were read: its record says more than its live row.
        let _: usize = self.drain(attached)?;
        // A row seen in the map may have come by its record, or have been swept, meanwhile.
        let kept: HashSet<u64> = self.requests.iter().map(|(scope, _)| *scope).collect();
        collected.ended_requests.retain(|(scope, _)| !kept.contains(scope));
        collected.ended_requests.extend(self.requests.iter().copied());
        collected.ended_requests.extend(self.routes.kept());
        collected.routes = self.routes.told();
        let ended: HashSet<u64> = collected.ended_requests.iter().map(|(scope, _)| *scope).collect();
        collected.live_requests.retain(|(scope, _)| !ended.contains(scope));
        collected.ended_children.extend(self.children.iter().copied());
        let ended: HashSet<(u64, u64)> = collected.ended_children.iter().map(|row| (row.id, row.first_ns)).collect();
        collected.tasks.retain(|live| live.row.request == 0 || !ended.contains(&(live.row.id, live.row.first_ns)));
        collected.awaits = self.waits.collect(attached, waits, walked)?;
        collected.walks = walks(attached)?;
        collected.losses = self.losses(attached, &collected.walks)?;
        Ok((collected, open))
    }

    /// What was seen of each task of a target without probes, what goes on at the moment of `open` included.
    fn sampled_tasks(
        &self,
        attached: &mut Attached,
        open: &Open,
        threads: &StdHashMap<u32, ThreadRow>,
    ) -> Result<Vec<SampledTask>, AttachError> {
        let Some(mut sampled) = self.sampled.clone() else { return Ok(Vec::new()) };
        open.off_cpu.iter().for_each(|off| sampled.off(off));
        let mut outside = attached.outside()?;
        threads.values().filter_map(|thread| open::outside(thread, open.at_ns)).for_each(|off| outside.add(&off));
        sampled.outside(outside.stretches, &outside.off);
        Ok(sampled.into_all())
    }

    /// The rows of the tasks with these headers as they are at `at_ns`, in their order.
    pub fn live_tasks(&mut self, attached: &mut Attached, headers: &[u64], at_ns: u64) -> Result<Vec<LiveRow>, AttachError> {
        let (threads, _) = read_threads(attached)?;
        let map: HashMap<_, u64, TaskRow> = typed(attached.ebpf(), "TASKS")?;
        let mut found = Vec::with_capacity(headers.len());
        for header in headers {
            found.push(match rows::whole(|| map.get(header, 0).ok(), |row| row.sequence) {
                rows::Read::Whole(row) => LiveRow::Live(rows::live(*header, &row, threads.get(&row.tid), at_ns)),
                rows::Read::Torn => LiveRow::Torn,
                rows::Read::Gone => LiveRow::Gone,
            });
        }
        Ok(found)
    }

    fn lose(&mut self, loss: Loss) {
        *self.lost.entry(loss).or_default() += 1;
    }

    fn read_tasks(&mut self, attached: &mut Attached) -> Result<Vec<(u64, TaskRow)>, AttachError> {
        let headers: Vec<u64> = keys::<_, TaskRow>(attached.ebpf(), "TASKS")?;
        let map: HashMap<_, u64, TaskRow> = typed(attached.ebpf(), "TASKS")?;
        let mut found = Vec::with_capacity(headers.len());
        let mut torn = 0;
        for header in headers {
            match rows::whole(|| map.get(&header, 0).ok(), |row| row.sequence) {
                rows::Read::Whole(row) => found.push((header, row)),
                rows::Read::Torn => torn += 1,
                // It ended between the two calls; its record says the rest.
                rows::Read::Gone => {}
            }
        }
        (0..torn).for_each(|_| self.lose(Loss::RowTorn));
        Ok(found)
    }

    fn read_scopes(
        &mut self,
        attached: &mut Attached,
        collected: &mut Collected,
        waits: &mut awaits::Open,
        threads: &StdHashMap<u32, ThreadRow>,
        tasks: &StdHashMap<u64, TaskRow>,
    ) -> Result<(), AttachError> {
        let scopes: Vec<u64> = keys::<_, ScopeRow>(attached.ebpf(), "SCOPES")?;
        let map: HashMap<_, u64, ScopeRow> = typed(attached.ebpf(), "SCOPES")?;
        for scope in scopes {
            match rows::whole(|| map.get(&scope, 0).ok(), |row| row.sequence) {
                // Ended just now, or left here because the ring buffer was full: taken out at the next look.
                rows::Read::Whole(row) if row.flags & profiler_common::scope::ENDED != 0 => {
                    collected.ended_requests.push((scope, row));
                }
                rows::Read::Whole(row) => {
                    let projected = row.projected(threads.get(&row.tid), tasks.get(&row.task), collected.at_ns);
                    waits.add_scope(scope, &row, &projected);
                    collected.live_requests.push((scope, projected));
                }
                rows::Read::Torn => self.lose(Loss::RowTorn),
                rows::Read::Gone => {}
            }
        }
        Ok(())
    }

    /// Every counter: the kernel side's, the kernel's, and ours.
    fn losses(&self, attached: &mut Attached, walks: &Walks) -> Result<Vec<(Loss, u64)>, AttachError> {
        let misses = attached.recursion_misses();
        let memory = attached.unwind_memory();
        let mut losses = Vec::with_capacity(LOSSES);
        for loss in Loss::ALL {
            let kernel = kernel_count(attached, *loss)?;
            let ours = match loss {
                Loss::RecursionMiss => misses,
                Loss::SampleDropped => self.samples.dropped(),
                Loss::RequestDropped => self.requests.dropped(),
                Loss::ChildDropped => self.children.dropped(),
                Loss::BlockingPlaceDropped => self.blocking.dropped(),
                Loss::OffCpuDropped => self.off_cpu.dropped(),
                Loss::PollDropped => self.polls.dropped(),
                Loss::WakeDropped => self.wakes.dropped(),
                Loss::ForeignDropped => self.foreign.dropped(),
                Loss::AwaitDropped => self.waits.dropped(),
                Loss::UnwindRowsFull => memory.rows_left_out,
                Loss::UnwindRegionsFull => memory.regions_left_out,
                Loss::UnwindFileUnreadable => memory.files_without_rows,
                other => self.lost.get(other).copied().unwrap_or(0) + walks.cut_by(*other),
            };
            losses.push((*loss, kernel + ours));
        }
        Ok(losses)
    }
}

/// Every walk of a stack so far.
pub fn walks(attached: &mut Attached) -> Result<Walks, AttachError> {
    let map: PerCpuArray<_, Walks> = typed(attached.ebpf(), "WALKS")?;
    let values = map.get(&0, 0).map_err(|source| AttachError::Map { map: "WALKS", source })?;
    Ok(values.iter().fold(Walks::NONE, Walks::plus))
}

/// The ring buffer's file descriptor: readable when something is in it that somebody waits for (a request has begun).
pub fn ring_fd(attached: &mut Attached) -> Result<RawFd, AttachError> {
    Ok(attached.ring()?.as_raw_fd())
}

/// The kernel side's counter.
fn kernel_count(attached: &mut Attached, loss: Loss) -> Result<u64, AttachError> {
    let map: PerCpuArray<_, u64> = typed(attached.ebpf(), "LOSSES")?;
    let values = map.get(&(loss as u32), 0).map_err(|source| AttachError::Map { map: "LOSSES", source })?;
    Ok(values.iter().sum())
}

/// The rows of all threads, and how many were being written at every try.
fn read_threads(attached: &mut Attached) -> Result<(StdHashMap<u32, ThreadRow>, u64), AttachError> {
    let tids: Vec<u32> = keys::<_, ThreadRow>(attached.ebpf(), "THREADS")?;
    let map: HashMap<_, u32, ThreadRow> = typed(attached.ebpf(), "THREADS")?;
    let mut threads = StdHashMap::with_capacity(tids.len());
    let mut torn = 0;
    for tid in tids {
        match rows::whole(|| map.get(&tid, 0).ok().map(rows::Switches), |_| 0) {
            rows::Read::Whole(row) => drop(threads.insert(tid, row.0)),
            rows::Read::Torn => torn += 1,
            rows::Read::Gone => {}
        }
    }
    Ok((threads, torn))
}
