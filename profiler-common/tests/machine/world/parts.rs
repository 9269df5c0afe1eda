//! The rest of each handler, part by part, and what Tokio does once the handler is over.

use profiler_common::clock::Snapshot;
use profiler_common::task::state_word::{CANCELLED, COMPLETE, NOTIFIED};

use super::{Handlers, Open, RUNNING, World};
use crate::rules::Machine;
use crate::truth::{Around, Lead};

/// What a handler still has to do on its thread.
#[derive(Clone, Debug)]
pub(super) enum Part {
    StartTake { task: usize, sp: u64, snapshot: Snapshot },
    StartOpen { task: usize, sp: u64, snapshot: Snapshot, wake_ns: u64, noted: Vec<u64> },
    StartRun { task: usize, sp: u64, lead: Lead, start: u64 },
    IdleRead { task: usize, sp: u64, snapshot: Snapshot },
    IdleRun { task: usize },
    WakeRead { task: usize, stamp: u64 },
    WakeNote { task: usize, stamp: u64, told: bool, true_wake: bool },
    WakeRun { task: usize },
    CompleteEnd { task: usize, sp: u64, snapshot: Snapshot },
    CompleteRun { task: usize },
}

impl Part {
    pub(super) fn task(&self) -> usize {
        match *self {
            Self::StartTake { task, .. }
            | Self::StartOpen { task, .. }
            | Self::StartRun { task, .. }
            | Self::IdleRead { task, .. }
            | Self::IdleRun { task }
            | Self::WakeRead { task, .. }
            | Self::WakeNote { task, .. }
            | Self::WakeRun { task }
            | Self::CompleteEnd { task, .. }
            | Self::CompleteRun { task } => task,
        }
    }
}

impl<M: Machine> World<M> {
    /// Does the next part of the handler on thread `tid`.
    pub(super) fn step(&mut self, tid: usize) -> Result<(), String> {
        let Some(part) = self.threads[tid].part.take() else { return Ok(()) };
        let id = part.task();
        let header = self.tasks[id].header;
        let next = match part {
            Part::StartTake { task, sp, snapshot } => {
                let wake_ns = self.kernel.start_take(header);
                let noted = self.tasks[task].truth.take();
                Some(Part::StartOpen { task, sp, snapshot, wake_ns, noted })
            }
            Part::StartOpen { task, sp, snapshot, wake_ns, noted } => {
                self.kernel.start_open(tid, header, sp, &snapshot, wake_ns);
                let lead = self.tasks[task].truth.start(tid, snapshot.now_ns, snapshot.torn, &noted);
                Some(Part::StartRun { task, sp, lead, start: snapshot.now_ns })
            }
            Part::StartRun { task, sp, lead, start } => {
                self.threads[tid].polls += 1;
                let around = Around { task, number: self.threads[tid].polls << 8 | tid as u64, start, lead };
                self.threads[tid].open.push(Open::Poll { task, sp, around });
                self.tasks[task].word = self.tasks[task].word & !NOTIFIED | RUNNING;
                if self.tasks[task].word & CANCELLED != 0 {
                    self.complete(tid, 0)?;
                }
                self.threads[tid].part.take()
            }
            Part::IdleRead { task, sp, snapshot } => {
                let word = self.tasks[task].word;
                self.kernel.idle(tid, header, sp - 0x40, word, &snapshot, true);
                if word & CANCELLED != 0 {
                    self.complete(tid, 0)?;
                    self.threads[tid].part.take()
                } else {
                    self.tasks[task].truth.end(snapshot.now_ns, snapshot.torn, word & NOTIFIED != 0);
                    self.threads[tid].open.pop();
                    Some(Part::IdleRun { task })
                }
            }
            Part::IdleRun { task } => {
                let word = &mut self.tasks[task].word;
                *word &= !RUNNING;
                if *word & NOTIFIED != 0 {
                    self.queue.push(task);
                }
                None
            }
            Part::WakeRead { task, stamp } => {
                let word = self.tasks[task].word;
                let (told, true_wake) = (M::effective(word), word & (NOTIFIED | COMPLETE) == 0);
                Some(Part::WakeNote { task, stamp, told, true_wake })
            }
            Part::WakeNote { task, stamp, told, true_wake } => {
                if told {
                    self.kernel.wake_note(header, stamp);
                }
                if true_wake {
                    self.tasks[task].truth.note(stamp);
                }
                Some(Part::WakeRun { task })
            }
            Part::WakeRun { task } => {
                self.notify(task);
                None
            }
            Part::CompleteEnd { task, sp, snapshot } => {
                self.finish(tid, task, sp, &snapshot)?;
                Some(Part::CompleteRun { task })
            }
            Part::CompleteRun { task } => {
                self.tasks[task].word = COMPLETE;
                if let Some(place) =
                    self.threads[tid].open.iter().position(|open| matches!(open, Open::Poll { task: of, .. } if *of == task))
                {
                    self.threads[tid].open.truncate(place);
                }
                None
            }
        };
        self.threads[tid].part = next;
        Ok(())
    }

    pub(super) fn finish(&mut self, tid: usize, task: usize, sp: u64, snapshot: &Snapshot) -> Result<(), String> {
        let header = self.tasks[task].header;
        let finished = self.kernel.finished.len();
        self.kernel.complete(tid, header, sp - 0x40, snapshot);
        let truth = &mut self.tasks[task].truth;
        if !truth.known() || self.handlers == Handlers::Lossy {
            return Ok(());
        }
        if truth.polled() {
            truth.end(snapshot.now_ns, snapshot.torn, false);
        }
        let expected = self.tasks[task].truth.expected(&self.history, snapshot.now_ns);
        let row = self.kernel.finished.get(finished).ok_or("a finished task left no row")?;
        self.exact(&expected);
        expected
            .check(&row.states, row.polls, row.wakes_unseen, row.longest_poll_ns)
            .map_err(|why| format!("finished task {task}: {why}\n{row:?}\n{expected:?}"))
    }
}
