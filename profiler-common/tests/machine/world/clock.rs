//! The scheduler of the world, and the clock that handlers read.

use std::marker::PhantomData;

use profiler_common::clock::{ClockSource, OffCpu, Snapshot};
use profiler_common::thread::{OffReason, ThreadRow};

use super::{CPUS, Handlers, Op, THREADS, World, pick};
use crate::rules::Machine;
use crate::truth::{Doing, History};

/// The reads of a snapshot, with a switch out and back in before those that `disturb` says.
struct Reads<'world, M> {
    row: &'world mut ThreadRow,
    history: &'world mut History,
    now: &'world mut u64,
    disturb: u16,
    machine: PhantomData<M>,
}

impl<M: Machine> Reads<'_, M> {
    fn pass(&mut self) {
        let disturbed = self.disturb & 1 != 0;
        self.disturb >>= 1;
        if disturbed {
            *self.now += 2;
            M::switch_out(self.row, *self.now, OffReason::Asleep);
            self.history.push(*self.now, Doing::Blocked);
            *self.now += 3;
            self.row.on_wakeup(*self.now);
            self.history.push(*self.now, Doing::Preempted);
            *self.now += 5;
            M::switch_in(self.row, *self.now);
            self.history.push(*self.now, Doing::Running);
            *self.now += 1;
        }
    }
}

impl<M: Machine> ClockSource for Reads<'_, M> {
    fn sequence(&mut self) -> u32 {
        self.pass();
        self.row.sequence
    }
    fn off_cpu(&mut self) -> OffCpu {
        self.pass();
        self.row.off
    }
    fn now_ns(&mut self) -> u64 {
        self.pass();
        *self.now
    }
}

impl<M: Machine> World<M> {
    pub(super) fn switch(&mut self, op: Op) {
        let cpu = usize::from(op.who) % CPUS;
        let ready: Vec<usize> = (0..THREADS)
            .filter(|tid| self.threads[*tid].cpu.is_none() && self.history[*tid].doing() == Doing::Preempted)
            .collect();
        let next = pick(&ready, op.which >> 3);
        if let Some(tid) = self.cpus[cpu] {
            // What the scheduler says, and what it means.
            let (preempt, state, doing) = match op.which % 8 {
                0 => (true, 0, Doing::Preempted),
                1 => (true, 1, Doing::Preempted),
                2 => (false, 0, Doing::Preempted),
                3..=5 => (false, 1, Doing::Blocked),
                6 => (false, 2, Doing::Blocked),
                _ => (false, 0x108, Doing::Stopped),
            };
            if !self.kernel.deaf {
                M::switch_out(&mut self.kernel.threads[tid], self.now, M::reason(preempt, state));
            }
            self.history[tid].push(self.now, doing);
            self.threads[tid].cpu = None;
        }
        self.cpus[cpu] = next;
        if let Some(tid) = next {
            if !self.kernel.deaf {
                M::switch_in(&mut self.kernel.threads[tid], self.now);
            }
            self.history[tid].push(self.now, Doing::Running);
            self.threads[tid].cpu = Some(cpu);
        }
    }

    pub(super) fn wake_thread(&mut self, tid: usize, which: u8) {
        let sleeps = matches!(self.history[tid].doing(), Doing::Blocked | Doing::Stopped);
        // The wake-up of a thread that is about to sleep comes too, and must not be taken for the one that ends the sleep. One that has
        // been woken is not woken again (kernel/sched/core.c, `try_to_wake_up`).
        if sleeps || which.is_multiple_of(4) && !self.history[tid].woken() {
            self.kernel.threads[tid].on_wakeup(self.now);
        }
        if sleeps {
            self.history[tid].push(self.now, Doing::Preempted);
        }
    }

    pub(super) fn snapshot(&mut self, tid: usize, which: u8) -> Snapshot {
        let disturb = match self.handlers {
            Handlers::Whole => 0,
            Handlers::InParts | Handlers::Lossy if which >= 240 => u16::MAX,
            Handlers::InParts | Handlers::Lossy => {
                [0, 0, 0b1, 0b10, 0b100, 0b1000, 0b1010_0010, 0b10_0100][usize::from(which) % 8]
            }
        };
        let machine = PhantomData::<M>;
        let (row, history) = (&mut self.kernel.threads[tid], &mut self.history[tid]);
        let snapshot = M::snapshot(&mut Reads { row, history, now: &mut self.now, disturb, machine });
        self.torn += u64::from(snapshot.torn);
        snapshot
    }
}
