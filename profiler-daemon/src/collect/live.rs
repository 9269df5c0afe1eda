//! What is asked for: rows in the maps, as they are at one moment.

use std::collections::{HashMap as StdHashMap, HashSet};

use aya::maps::{Array, HashMap};
use profiler_common::loss::Loss;
use profiler_common::record::PollRecord;
use profiler_common::scope::{ENDED, ScopeRow};
use profiler_common::task::TaskRow;
use profiler_common::thread::{ThreadPlaces, ThreadRow};
use profiler_common::totals::TypeTotals;

use super::losses::walks;
use super::open::{self, Open};
use super::{Collected, Collector, LiveRow, SampledTask, awaits, rows, scopes};
use crate::attach::{AttachError, Attached, keys, typed};

impl Collector {
    /// The rows, and what has begun and not ended at `at_ns`.
    pub(super) fn collect_open(&mut self, attached: &mut Attached, at_ns: u64) -> Result<(Collected, Open), AttachError> {
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
        collected.polls.extend(only_polls(&collected.ended_requests));
        collected.ended_requests.extend(self.requests.iter().copied());
        collected.ended_requests.extend(self.routes.kept());
        collected.routes = self.routes.told();
        let ended: HashSet<u64> = collected.ended_requests.iter().map(|(scope, _)| *scope).collect();
        collected.live_requests.retain(|(scope, _)| !ended.contains(scope));
        collected.polls.extend(only_polls(&collected.live_requests));
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
        for read in scopes::all(attached)? {
            match read {
                // Ended just now, or left here because the ring buffer was full: taken out at the next look.
                rows::Read::Whole((scope, row)) if row.flags & ENDED != 0 => {
                    collected.ended_requests.push((scope, row));
                }
                rows::Read::Whole((scope, row)) => {
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
}

/// The polls that are told by these rows and by no record.
fn only_polls(rows: &[(u64, ScopeRow)]) -> Vec<PollRecord> {
    rows.iter().filter_map(|(scope, row)| row.only_poll(*scope)).collect()
}

/// The rows of all threads, and how many were being written at every try.
fn read_threads(attached: &mut Attached) -> Result<(StdHashMap<u32, ThreadRow>, u64), AttachError> {
    let before = thread_places(attached)?;
    let map: Array<_, ThreadRow> = typed(attached.ebpf(), "THREADS")?;
    let (mut threads, mut torn) = (StdHashMap::new(), 0);
    for (place, tid) in before.made() {
        match rows::whole(|| map.get(&place, 0).ok().map(rows::Switches), |_| 0) {
            rows::Read::Whole(row) => drop(threads.insert(tid, row.0)),
            rows::Read::Torn => torn += 1,
            rows::Read::Gone => {}
        }
    }
    // Another thread may have got the place meanwhile, and the row is then that one's.
    let after = thread_places(attached)?;
    for (_, tid) in before.made().filter(|(place, tid)| after.tids.get(*place as usize) != Some(tid)) {
        threads.remove(&tid);
    }
    Ok((threads, torn))
}

fn thread_places(attached: &mut Attached) -> Result<Box<ThreadPlaces>, AttachError> {
    let places: Array<_, ThreadPlaces> = typed(attached.ebpf(), "THREAD_PLACES")?;
    places.get(&0, 0).map(Box::new).map_err(|source| AttachError::Map { map: "THREAD_PLACES", source })
}
