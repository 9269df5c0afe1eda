//! What comes by itself: records out of the ring buffer, and the rows of requests that found it full.

use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Instant;

use aya::maps::HashMap;
use profiler_common::limits::TRACE_ID_BYTES;
use profiler_common::loss::Loss;
use profiler_common::record::BackRecord;
use profiler_common::scope::{ENDED, ScopeRow, TIMED};

use super::losses::kernel_count;
use super::records::Record;
use super::sampled::Sampled;
use super::{Collector, Off, SampledOwner, Stack, rows, scopes};
use crate::attach::{AttachError, Attached, keys, typed};
use crate::text::hex;

impl Collector {
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
        let goes_on = |scope| scopes::goes_on(attached, scope);
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
    pub(super) fn is_placed(&self, off: &Off) -> bool {
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
        if let Some(poll) = row.only_poll(scope) {
            self.polls.push(poll);
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
                && row.flags & ENDED != 0
                && map.remove(&scope).is_ok()
            {
                self.swept.insert(scope);
                kept += usize::from(self.end(scope, &row));
            }
        }
        Ok(kept)
    }
}

/// The ring buffer's file descriptor: readable when something is in it that somebody waits for (a request has begun).
pub fn ring_fd(attached: &mut Attached) -> Result<RawFd, AttachError> {
    Ok(attached.ring()?.as_raw_fd())
}
