//! Ids of other libraries: whose the numbers in records are, and what was seen of each since the attach.
//!
//! Sums are kept beside the samples and stretches, because of those only the latest so many are.

use std::collections::HashMap;

use profiler_common::foreign::{ForeignRecord, is_foreign};
use profiler_common::limits::REQUEST_ID_BYTES;

use super::{Off, Sample, Sightings, Stack};

/// The most ids that are kept.
const MAX_IDS: usize = 20_000;
/// Tasks of an id that are told apart.
const MAX_TASKS: usize = 64;

/// An id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignId {
    /// Its number.
    pub number: u64,
    /// The id; empty where its record was lost.
    pub id: Vec<u8>,
    /// `WHAT_TRACE`, `WHAT_ATTRIBUTE` or `WHAT_LABEL` of `profiler_common::foreign`, 0 where its record was lost.
    pub what: u32,
    /// The trace id that stood beside it when it was first seen, zeros for none.
    pub trace_id: [u8; 16],
    /// What was seen of it, the end of a stretch off the CPU included.
    pub sum: Sightings,
    /// Ids of the tasks in whose polls it was seen, the first 64; 0 stands for those without an id.
    pub tasks: Vec<u64>,
}

/// Every id.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignIds {
    ids: HashMap<u64, ForeignId>,
    dropped: u64,
    last_ns: u64,
}

impl ForeignIds {
    /// The id behind a number.
    pub(super) fn name(&mut self, record: &ForeignRecord) {
        let id = self.entry(record.number);
        let length = (record.id_len as usize).min(REQUEST_ID_BYTES);
        id.id = record.id.get(..length).unwrap_or_default().to_vec();
        id.what = record.what;
        if id.trace_id == [0; 16] {
            id.trace_id = record.trace_id;
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample) {
        if let Some(sum) = self.sight(&sample.stack) {
            sum.sample(sample);
        }
    }

    /// A stretch that is over, or as far as it has come.
    pub(super) fn off(&mut self, off: &Off) {
        let Some(sum) = self.sight(&off.stack) else { return };
        sum.off(off);
        let last_ns = sum.last_ns;
        self.last_ns = self.last_ns.max(last_ns);
    }

    /// The id in which `stack` was taken, if it was in one; it was seen then.
    pub(super) fn sight(&mut self, stack: &Stack) -> Option<&mut Sightings> {
        let number = stack.requests.iter().copied().find(|number| is_foreign(*number))?;
        self.last_ns = self.last_ns.max(stack.time_ns);
        let id = self.entry(number);
        id.sum.seen(stack.time_ns);
        if !id.tasks.contains(&stack.task_id) && id.tasks.len() < MAX_TASKS {
            id.tasks.push(stack.task_id);
        }
        Some(&mut id.sum)
    }

    fn entry(&mut self, number: u64) -> &mut ForeignId {
        if self.ids.len() >= MAX_IDS && !self.ids.contains_key(&number) {
            self.drop_oldest();
        }
        self.ids.entry(number).or_insert_with(|| ForeignId { number, ..ForeignId::default() })
    }

    /// Lets a tenth go at once: looking for the oldest goes through all.
    fn drop_oldest(&mut self) {
        let mut seen: Vec<(u64, u64)> = self.ids.iter().map(|(number, id)| (id.sum.last_ns, *number)).collect();
        seen.sort_unstable();
        for (_, number) in seen.into_iter().take(MAX_IDS / 10) {
            self.ids.remove(&number);
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// When any was last seen (ns), 0 for never.
    pub(super) const fn last_ns(&self) -> u64 {
        self.last_ns
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All that were seen, in the order in which they first were. One that was named and whose sample found the ring buffer full was not.
    pub(super) fn into_all(self) -> Vec<ForeignId> {
        let mut all: Vec<ForeignId> = self.ids.into_values().filter(|id| id.sum.first_ns != 0).collect();
        all.sort_by_key(|id| (id.sum.first_ns, id.number));
        all
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::clock::OffCpu;
    use profiler_common::foreign::{WHAT_LABEL, foreign_number};
    use profiler_common::unwind::End;

    use super::*;

    fn stack(number: u64, time_ns: u64, task_id: u64) -> Stack {
        Stack {
            time_ns,
            tid: 1,
            task_type: None,
            task_id,
            requests: [number, 5, 0, 0],
            poll_start_ns: 0,
            frames: Box::default(),
            end: End::Poll,
        }
    }

    fn record(number: u64, name: &[u8]) -> ForeignRecord {
        let mut id = [0; REQUEST_ID_BYTES];
        id[..name.len()].copy_from_slice(name);
        let id_len = u32::try_from(name.len()).unwrap();
        ForeignRecord { kind: 20, tid: 1, time_ns: 1, number, what: WHAT_LABEL, id_len, id, trace_id: [0; 16], span_id: [0; 8] }
    }

    /// Check that times go to the id that they were seen in, that the end of a stretch is a sighting, and that others' are nobody's.
    #[test]
    fn sums_are_of_the_id_that_was_seen() {
        let (one, other) = (foreign_number(7), foreign_number(9));
        let mut ids = ForeignIds::default();
        ids.name(&record(one, b"one"));
        ids.sample(&Sample { stack: stack(one, 100, 3), period_ns: 10 });
        ids.sample(&Sample { stack: stack(other, 150, 4), period_ns: 10 });
        ids.sample(&Sample { stack: stack(8, 999, 4), period_ns: 10 });
        let off = OffCpu { preempted_ns: 5, blocked_ns: 50, stopped_ns: 1 };
        ids.off(&Off { stack: stack(one, 120, 4), syscall: None, off });
        assert_eq!(ids.last_ns(), 175);
        let all = ids.into_all();
        assert_eq!((all.len(), all[0].id.as_slice(), all[1].id.as_slice()), (2, &b"one"[..], &b""[..]));
        let expected = Sightings {
            first_ns: 100,
            last_ns: 175,
            samples: 1,
            sampled_ns: 10,
            stretches: 1,
            blocked_ns: 50,
            preempted_ns: 5,
            stopped_ns: 1,
        };
        assert_eq!((all[0].sum, all[0].tasks.as_slice()), (expected, &[3, 4][..]));
    }

    /// Check that of too many ids those go that were seen longest ago, and are counted.
    #[test]
    fn the_oldest_ids_go() {
        let mut ids = ForeignIds::default();
        for time in 1..=MAX_IDS as u64 + 1 {
            ids.sample(&Sample { stack: stack(foreign_number(time), time, 0), period_ns: 1 });
        }
        assert_eq!(ids.dropped(), MAX_IDS as u64 / 10);
        let all = ids.into_all();
        assert_eq!((all.first().unwrap().sum.first_ns, all.len()), (MAX_IDS as u64 / 10 + 1, MAX_IDS - MAX_IDS / 10 + 1));
    }
}
