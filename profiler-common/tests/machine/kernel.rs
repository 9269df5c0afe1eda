//! The kernel side's handlers over rows in ordinary maps, cut into the parts between which others can get in.
//!
//! Mirrors `profiler-ebpf/src/{poll,wake,spawn,scopes,sched}.rs` line by line, without the gate (always open) and the map limits.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use profiler_common::clock::Snapshot;
use profiler_common::frame::{FrameKind, FrameStack, PollFrame};
use profiler_common::limits::FRAME_DEPTH;
use profiler_common::loss::{LOSSES, Loss};
use profiler_common::scope::ScopeRow;
use profiler_common::task::{TaskRow, state_word};
use profiler_common::thread::ThreadRow;

use crate::rules::Machine;

/// The maps.
pub(crate) struct Kernel<M> {
    /// By thread id.
    pub(crate) threads: Vec<ThreadRow>,
    /// Live tasks by header address.
    pub(crate) tasks: BTreeMap<u64, TaskRow>,
    /// Live scopes by sequence number.
    pub(crate) scopes: BTreeMap<u64, ScopeRow>,
    /// Finished tasks, as `finish` saw them.
    pub(crate) finished: Vec<TaskRow>,
    /// Ended scopes, as the ring buffer got them.
    pub(crate) requests: Vec<(u64, ScopeRow)>,
    /// While set, no event arrives: it is lost.
    pub(crate) deaf: bool,
    lost: [u64; LOSSES],
    machine: PhantomData<M>,
}

impl<M: Machine> Kernel<M> {
    /// `threads` threads, all known.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads: vec![ThreadRow::NEW; threads],
            tasks: BTreeMap::new(),
            scopes: BTreeMap::new(),
            finished: Vec::new(),
            requests: Vec::new(),
            deaf: false,
            lost: [0; LOSSES],
            machine: PhantomData,
        }
    }

    /// How often `loss` was counted.
    pub(crate) fn lost(&self, loss: Loss) -> u64 {
        self.lost[loss as usize]
    }

    /// Every loss that was counted.
    pub(crate) fn losses(&self) -> Vec<(&'static str, u64)> {
        Loss::ALL.iter().filter(|loss| self.lost(**loss) != 0).map(|loss| (loss.name(), self.lost(*loss))).collect()
    }

    /// Counts `many` of `loss`.
    pub(crate) fn lose(&mut self, loss: Loss, many: u32) {
        self.lost[loss as usize] += u64::from(many);
    }

    fn drop_stale(&mut self, tid: usize, sp: u64) {
        let stale = M::drop_stale(&mut self.threads[tid].frames, sp);
        self.lose(Loss::StaleFrame, stale);
    }

    /// `poll::start` up to the snapshot: stale frames go. False if the site was reached again within one poll.
    pub(crate) fn start_arrive(&mut self, tid: usize, header: u64, sp: u64, repeats: bool) -> bool {
        if self.deaf {
            return true;
        }
        self.drop_stale(tid, sp.wrapping_sub(1));
        if let Some(top) = self.threads[tid].frames.top()
            && top.sp == sp
        {
            if top.kind == FrameKind::Poll as u32 && top.key == header && repeats {
                return false;
            }
            self.drop_stale(tid, sp);
        }
        true
    }

    /// `spawn::task_row`.
    pub(crate) fn task_row(&mut self, header: u64, id: u64, now_ns: u64) {
        if self.deaf {
            return;
        }
        if let Some(row) = self.tasks.get(&header) {
            if row.id == id {
                return;
            }
            let old = *row;
            self.lose(Loss::AddressReused, 1);
            self.finished.push(old);
        }
        let mut row = TaskRow { id, ..TaskRow::default() };
        row.found(now_ns);
        self.tasks.insert(header, row);
    }

    /// The first half of `poll::open`: the wake is taken.
    pub(crate) fn start_take(&mut self, header: u64) -> u64 {
        if self.deaf {
            return 0;
        }
        self.tasks.get_mut(&header).map_or(0, |row| std::mem::take(&mut row.first_wake_ns))
    }

    /// The rest of `poll::start`.
    pub(crate) fn start_open(&mut self, tid: usize, header: u64, sp: u64, snapshot: &Snapshot, wake_ns: u64) {
        if self.deaf {
            return;
        }
        let Some(row) = self.tasks.get_mut(&header) else { return };
        let started = M::poll_start(row, snapshot, tid as u32, wake_ns);
        let frame =
            PollFrame { generation: row.generation, request: row.request, ready_ns: started.ready_ns, start_ns: row.last_ns };
        self.lose(Loss::PollEndUnseen, u32::from(started.end_unseen));
        self.lose(Loss::ClockBackwards, u32::from(started.backwards));
        if !self.threads[tid].frames.push(FrameStack::poll(header, sp, frame)) {
            self.lose(Loss::FrameStackFull, 1);
        }
    }

    /// `poll::idle` from the read of the header's `word` on.
    pub(crate) fn idle(&mut self, tid: usize, header: u64, sp: u64, word: u64, snapshot: &Snapshot, repeats: bool) {
        if self.deaf {
            return;
        }
        self.drop_stale(tid, sp);
        if word & state_word::CANCELLED != 0 {
            return;
        }
        let notified = word & state_word::NOTIFIED != 0;
        if !self.tasks.contains_key(&header) {
            self.lose(Loss::EndWithoutStart, 1);
            return;
        }
        match M::close(&mut self.threads[tid].frames, FrameKind::Poll, header) {
            Some(closed) => {
                self.lose(Loss::StaleFrame, closed.inside);
                self.end(header, closed.frame.generation, snapshot, notified);
            }
            None => match self.tasks.get_mut(&header) {
                Some(row) if repeats && row.polls != 0 => row.on_idle_again(notified),
                _ => self.lose(Loss::EndWithoutStart, 1),
            },
        }
    }

    fn end(&mut self, header: u64, generation: u32, snapshot: &Snapshot, notified: bool) {
        let Some(row) = self.tasks.get_mut(&header) else { return };
        if row.generation != generation {
            self.lose(Loss::LateEnd, 1);
            return;
        }
        let backwards = M::poll_end(row, snapshot, notified);
        self.lose(Loss::ClockBackwards, u32::from(backwards));
    }

    /// `poll::returned`.
    pub(crate) fn returned(&mut self, tid: usize, snapshot: &Snapshot) {
        if self.deaf {
            return;
        }
        let Some(key) = self.threads[tid].frames.top().map(|top| top.task) else {
            self.lose(Loss::EndWithoutStart, 1);
            return;
        };
        let Some(closed) = M::close(&mut self.threads[tid].frames, FrameKind::Poll, key) else {
            self.lose(Loss::EndWithoutStart, 1);
            return;
        };
        self.lose(Loss::StaleFrame, closed.inside);
        self.end(key, closed.frame.generation, snapshot, false);
    }

    /// `poll::complete`, behind the snapshot.
    pub(crate) fn complete(&mut self, tid: usize, header: u64, sp: u64, snapshot: &Snapshot) {
        if self.deaf {
            return;
        }
        self.drop_stale(tid, sp);
        if let Some(closed) = M::close(&mut self.threads[tid].frames, FrameKind::Poll, header) {
            self.lose(Loss::StaleFrame, closed.inside);
        }
        let Some(mut row) = self.tasks.remove(&header) else { return };
        let wake_ns = row.first_wake_ns;
        let backwards = M::task_end(&mut row, snapshot, wake_ns);
        self.lose(Loss::ClockBackwards, u32::from(backwards));
        self.finished.push(row);
    }

    /// `wake::wake` from the compare-exchange on.
    pub(crate) fn wake_note(&mut self, header: u64, stamp_ns: u64) {
        if self.deaf {
            return;
        }
        let Some(row) = self.tasks.get_mut(&header) else { return };
        if row.first_wake_ns == 0 {
            row.first_wake_ns = stamp_ns;
        }
        row.wakes += 1;
    }

    /// `wake::defer`.
    pub(crate) fn defer(&mut self, header: u64) {
        if self.deaf {
            return;
        }
        if let Some(row) = self.tasks.get_mut(&header) {
            M::defer(row);
        }
    }

    /// `spawn::spawn`.
    pub(crate) fn spawn(&mut self, tid: usize, header: u64, id: u64, now_ns: u64) {
        if self.deaf {
            return;
        }
        let request = self.threads[tid].frames.current_request();
        self.task_row(header, id, now_ns);
        if let Some(row) = self.tasks.get_mut(&header)
            && row.polls == 0
        {
            row.spawned(now_ns, request);
        }
    }

    /// `scopes::enter`, behind the snapshot.
    pub(crate) fn enter(&mut self, tid: usize, sequence: u64, snapshot: &Snapshot) {
        if self.deaf {
            return;
        }
        let thread = &mut self.threads[tid];
        let outer = thread.frames.top().copied().unwrap_or_default();
        let frame = thread.frames.scope(sequence, sequence);
        let pushed = thread.frames.push(frame);
        let row = self.scopes.entry(sequence).or_default();
        let backwards = M::enter(row, snapshot, tid as u32, &outer);
        self.lose(Loss::FrameStackFull, u32::from(!pushed));
        self.lose(Loss::ClockBackwards, u32::from(backwards));
    }

    /// `scopes::exit`, behind the snapshot.
    pub(crate) fn exit(&mut self, tid: usize, sequence: u64, snapshot: &Snapshot) {
        if self.deaf {
            return;
        }
        let Some(closed) = M::close(&mut self.threads[tid].frames, FrameKind::Scope, sequence) else {
            self.lose(Loss::ScopeExitUnmatched, 1);
            return;
        };
        self.lose(Loss::StaleFrame, closed.inside);
        let Some(row) = self.scopes.get_mut(&sequence) else { return };
        let backwards = M::exit(row, snapshot);
        self.lose(Loss::ClockBackwards, u32::from(backwards));
    }

    /// `scopes::end`, behind the snapshot.
    pub(crate) fn scope_end(&mut self, tid: usize, sequence: u64, snapshot: &Snapshot) {
        if self.deaf {
            return;
        }
        let outer = self.threads[tid].frames.top().copied().unwrap_or_default();
        let Some(mut row) = self.scopes.remove(&sequence) else { return };
        let backwards = M::scope_end(&mut row, snapshot, &outer);
        self.lose(Loss::ClockBackwards, u32::from(backwards));
        self.requests.push((sequence, row));
    }

    /// The identity, for every live row and the last finished ones, as they stand and as they would be at `at_ns`.
    pub(crate) fn identity(&self, at_ns: u64) -> Result<(), String> {
        let check = |what: &str, wall: u64, span: u64| {
            if wall == span { Ok(()) } else { Err(format!("{what}: the states add up to {wall}, the wall time is {span}")) }
        };
        for row in self.finished.last().into_iter().chain(self.tasks.values()) {
            check("task", row.states.wall_ns(), row.last_ns - row.first_ns)?;
            let thread = self.threads.get(row.tid as usize);
            for seen in [thread, None] {
                let live = row.projected(seen, at_ns);
                check("task, projected", live.states.wall_ns(), at_ns.max(row.last_ns) - row.first_ns)?;
            }
        }
        for row in self.requests.last().map(|(_, row)| row).into_iter().chain(self.scopes.values()) {
            check("scope", row.states.wall_ns(), row.last_ns - row.first_ns)?;
            let (thread, task) = (self.threads.get(row.tid as usize), self.tasks.get(&row.task));
            for (thread, task) in [(thread, task), (None, None)] {
                let live = row.projected(thread, task, at_ns);
                check("scope, projected", live.states.wall_ns(), live.last_ns - row.first_ns)?;
            }
        }
        match self.threads.iter().find(|row| row.frames.depth as usize > FRAME_DEPTH) {
            Some(row) => Err(format!("{} frames on one stack", row.frames.depth)),
            None => Ok(()),
        }
    }
}
