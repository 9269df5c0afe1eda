//! What a thread of the world can do: the probes of the events, up to the first point at which others can get in.

use profiler_common::task::state_word::{CANCELLED, COMPLETE, NOTIFIED};

use super::parts::Part;
use super::{Handlers, LIVE_TASKS, NESTING, Op, Open, RUNNING, Scope, Task, World, pick};
use crate::rules::Machine;
use crate::truth::{ScopeTruth, TaskTruth};

impl<M: Machine> World<M> {
    pub(super) fn act(&mut self, tid: usize, what: u8, op: Op) -> Result<(), String> {
        let live: Vec<usize> = (0..self.tasks.len()).filter(|task| self.tasks[*task].word & COMPLETE == 0).collect();
        match what {
            6..=9 => self.start(tid, op.which),
            10 | 11 if live.len() < LIVE_TASKS => self.spawn(tid, op.which),
            12..=15 => {
                if let Some(task) = pick(&live, op.which) {
                    self.wake(tid, task);
                }
            }
            16..=18 => {
                if let Some((task, sp)) = self.polling(tid) {
                    let snapshot = self.snapshot(tid, op.which);
                    self.threads[tid].part = Some(Part::IdleRead { task, sp, snapshot });
                }
            }
            19 => self.complete(tid, op.which)?,
            20..=22 => self.enter(tid, op.which),
            23..=26 => self.exit(tid, op.which),
            27 => self.end_one(tid, op.which)?,
            28 => {
                if let Some((task, ..)) = self.innermost(tid) {
                    self.tasks[task].truth.defer();
                    self.kernel.defer(self.tasks[task].header);
                }
            }
            29 => {
                if let Some(task) = pick(&live, op.which) {
                    self.abort(task);
                }
            }
            30 => self.shut_down(tid, &live, op.which)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn spawn(&mut self, tid: usize, which: u8) {
        let id = self.tasks.len();
        // Addresses are reused as soon as no task and no wake under way holds them.
        let header = (1..=64).map(|place| place * 0x100).find(|header| {
            let held = |task: usize| self.tasks[task].header == *header;
            !(0..id).any(|task| held(task) && self.tasks[task].word & COMPLETE == 0)
                && !self.threads.iter().any(|thread| thread.part.as_ref().is_some_and(|part| held(part.task())))
        });
        let Some(header) = header else { return };
        let mut task = Task { header, word: NOTIFIED, truth: TaskTruth::default() };
        if !which.is_multiple_of(4) {
            task.truth.spawned(self.now);
            self.kernel.spawn(tid, header, id as u64 + 1, self.now);
        }
        self.tasks.push(task);
        self.queue.push(id);
    }

    pub(super) fn start(&mut self, tid: usize, which: u8) {
        let depth = self.threads[tid].open.len();
        if depth >= NESTING {
            return;
        }
        let Some(task) = pick(&self.queue, which) else { return };
        self.queue.retain(|queued| *queued != task);
        let sp = 0x7000_0000 - depth as u64 * 0x1000;
        let header = self.tasks[task].header;
        // A site that one poll can reach again takes a second poll at the same depth for the first, if the end between them is lost.
        let repeats = self.handlers != Handlers::Lossy;
        assert!(self.kernel.start_arrive(tid, header, sp, repeats), "a new poll is not a repeated one");
        let snapshot = self.snapshot(tid, which);
        self.kernel.task_row(header, task as u64 + 1, snapshot.now_ns);
        self.threads[tid].part = Some(Part::StartTake { task, sp, snapshot });
    }

    pub(super) fn wake(&mut self, tid: usize, task: usize) {
        let known = self.kernel.tasks.contains_key(&self.tasks[task].header);
        let stamp = self.now;
        self.threads[tid].part = Some(if known { Part::WakeRead { task, stamp } } else { Part::WakeRun { task } });
    }

    pub(super) fn complete(&mut self, tid: usize, which: u8) -> Result<(), String> {
        let Some((task, sp)) = self.polling(tid) else { return Ok(()) };
        // The future is dropped before the task completes (tokio `harness.rs`, `poll_future`).
        self.end_all(tid, task)?;
        let snapshot = self.snapshot(tid, which);
        self.threads[tid].part = Some(Part::CompleteEnd { task, sp, snapshot });
        Ok(())
    }

    pub(super) fn shut_down(&mut self, tid: usize, live: &[usize], which: u8) -> Result<(), String> {
        let busy = |task: usize| {
            self.tasks[task].word & RUNNING != 0
                || self.threads.iter().any(|thread| thread.part.as_ref().is_some_and(|part| part.task() == task))
        };
        let idle: Vec<usize> = live.iter().copied().filter(|task| !busy(*task)).collect();
        let Some(task) = pick(&idle, which) else { return Ok(()) };
        if !self.threads[tid].open.is_empty() {
            return Ok(());
        }
        self.tasks[task].word |= RUNNING | CANCELLED;
        self.queue.retain(|queued| *queued != task);
        self.end_all(tid, task)?;
        let snapshot = self.snapshot(tid, which);
        self.threads[tid].part = Some(Part::CompleteEnd { task, sp: 0x7000_0000, snapshot });
        Ok(())
    }

    pub(super) fn abort(&mut self, task: usize) {
        // Between the read of the word and the exchange it makes the poll go on unseen: a limit, told in the crate's docs.
        let late = |part: &Part| matches!(part, Part::IdleRun { task: idle } if *idle == task);
        if self.threads.iter().any(|thread| thread.part.as_ref().is_some_and(late)) {
            return;
        }
        self.tasks[task].word |= CANCELLED;
        self.notify(task);
    }

    /// Tokio's `transition_to_notified_by_ref` and what follows.
    pub(super) fn notify(&mut self, task: usize) {
        let word = &mut self.tasks[task].word;
        if *word & (NOTIFIED | COMPLETE) == 0 {
            *word |= NOTIFIED;
            if *word & RUNNING == 0 {
                self.queue.push(task);
            }
            self.tasks[task].truth.notify(self.now);
        }
    }

    pub(super) fn enter(&mut self, tid: usize, which: u8) {
        if self.threads[tid].open.len() >= NESTING {
            return;
        }
        let around = self.innermost(tid).map(|(_, _, around)| around);
        let owner = around.map_or(Err(tid), |around| Ok(around.task));
        let own: Vec<usize> = (0..self.scopes.len())
            .filter(|scope| self.scopes[*scope].task == owner && !self.scopes[*scope].inside && !self.scopes[*scope].over)
            .collect();
        let scope = match pick(&own, which >> 1) {
            Some(scope) if own.len() > 2 || which.is_multiple_of(2) => scope,
            _ => {
                let sequence = self.scopes.len() as u64 + 1;
                let truth = ScopeTruth::default();
                self.scopes.push(Scope { sequence, task: owner, inside: false, over: false, truth });
                self.scopes.len() - 1
            }
        };
        let snapshot = self.snapshot(tid, which);
        let sequence = self.scopes[scope].sequence;
        self.kernel.enter(tid, sequence, &snapshot);
        self.scopes[scope].truth.enter(tid, snapshot.now_ns, snapshot.torn, around);
        self.scopes[scope].inside = true;
        self.threads[tid].open.push(Open::Scope(scope));
    }

    pub(super) fn exit(&mut self, tid: usize, which: u8) {
        let Some(&Open::Scope(scope)) = self.threads[tid].open.last() else { return };
        let snapshot = self.snapshot(tid, which);
        self.kernel.exit(tid, self.scopes[scope].sequence, &snapshot);
        self.scopes[scope].truth.exit(snapshot.now_ns, snapshot.torn);
        self.scopes[scope].inside = false;
        self.threads[tid].open.pop();
    }

    pub(super) fn end_one(&mut self, tid: usize, which: u8) -> Result<(), String> {
        let owner = self.innermost(tid).map_or(Err(tid), |(task, ..)| Ok(task));
        let own: Vec<usize> = (0..self.scopes.len())
            .filter(|scope| self.scopes[*scope].task == owner && !self.scopes[*scope].inside && !self.scopes[*scope].over)
            .collect();
        pick(&own, which).map_or(Ok(()), |scope| self.end_scope(tid, scope))
    }

    pub(super) fn end_all(&mut self, tid: usize, task: usize) -> Result<(), String> {
        for scope in 0..self.scopes.len() {
            if self.scopes[scope].task == Ok(task) && !self.scopes[scope].over {
                self.end_scope(tid, scope)?;
            }
        }
        Ok(())
    }

    pub(super) fn end_scope(&mut self, tid: usize, scope: usize) -> Result<(), String> {
        self.now += 1;
        let snapshot = self.snapshot(tid, 0);
        let sequence = self.scopes[scope].sequence;
        self.kernel.scope_end(tid, sequence, &snapshot);
        self.scopes[scope].over = true;
        if self.handlers == Handlers::Lossy {
            return Ok(());
        }
        let expected = self.scopes[scope].truth.expected(&self.history, snapshot.now_ns, None);
        let row = self.kernel.requests.last().ok_or("an ended scope left no record")?.1;
        self.exact(&expected);
        expected
            .check(&row.states, row.polls, row.wakes_unseen, row.longest_poll_ns)
            .map_err(|why| format!("ended scope {sequence}: {why}\n{row:?}\n{expected:?}"))
    }
}
