//! A world that plays Tokio and the scheduler by their rules: it does what an operation asks for where that is possible, tells the
//! kernel side of it as the probes would, and notes the truth.

mod act;
mod clock;
mod parts;

use profiler_common::task::state_word::COMPLETE;

use crate::kernel::Kernel;
use crate::rules::Machine;
use crate::truth::{Around, History, ScopeTruth, TaskTruth};
use parts::Part;

/// Tokio's bit for a task that is being polled (`runtime/task/state.rs`).
const RUNNING: u64 = 1;
const CPUS: usize = 2;
const THREADS: usize = 4;
const LIVE_TASKS: usize = 6;
const NESTING: usize = 5;

/// One operation; what it means depends on what is possible.
#[derive(Clone, Copy)]
pub(crate) struct Op {
    /// Which kind.
    pub(crate) what: u8,
    /// Which CPU or thread.
    pub(crate) who: u8,
    /// Which of the possible objects or variants.
    pub(crate) which: u8,
    /// How much time passes before it (ns).
    pub(crate) wait: u16,
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, who, which, wait } = self;
        write!(f, "{{{} {who} {which} +{wait}}}", what % 32)
    }
}

/// What may get between the parts of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handlers {
    /// Nothing.
    Whole,
    /// Anything; and switches land between the reads of a snapshot.
    InParts,
    /// As in parts; besides, one event in eight never arrives, and the truth is no longer asked for.
    Lossy,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    Poll { task: usize, sp: u64, around: Around },
    Scope(usize),
}

#[derive(Default)]
struct Thread {
    cpu: Option<usize>,
    open: Vec<Open>,
    part: Option<Part>,
    polls: u64,
}

struct Task {
    header: u64,
    word: u64,
    truth: TaskTruth,
}

struct Scope {
    sequence: u64,
    /// `None`: entered outside any task, on this thread.
    task: Result<usize, usize>,
    inside: bool,
    over: bool,
    truth: ScopeTruth,
}

/// The world.
pub(crate) struct World<M> {
    now: u64,
    handlers: Handlers,
    cpus: [Option<usize>; CPUS],
    threads: Vec<Thread>,
    history: Vec<History>,
    tasks: Vec<Task>,
    queue: Vec<usize>,
    scopes: Vec<Scope>,
    torn: u64,
    /// The machine under test.
    pub(crate) kernel: Kernel<M>,
}

fn pick<T: Copy>(from: &[T], which: u8) -> Option<T> {
    from.get(usize::from(which).checked_rem(from.len())?).copied()
}

impl<M: Machine> World<M> {
    /// A world with nothing running.
    pub(crate) fn new(handlers: Handlers) -> Self {
        Self {
            now: 1000,
            handlers,
            cpus: [None; CPUS],
            threads: (0..THREADS).map(|_| Thread::default()).collect(),
            history: (0..THREADS).map(|_| History::new()).collect(),
            tasks: Vec::new(),
            queue: Vec::new(),
            scopes: Vec::new(),
            torn: 0,
            kernel: Kernel::new(THREADS),
        }
    }

    /// Snapshots that no read agreed on.
    pub(crate) fn torn(&self) -> u64 {
        self.torn
    }

    /// Polls, scopes and finished tasks so far: what a run must have to mean anything.
    pub(crate) fn size(&self) -> (u64, usize, usize) {
        (self.threads.iter().map(|thread| thread.polls).sum(), self.scopes.len(), self.kernel.finished.len())
    }

    /// Does `op` as far as it is possible now.
    pub(crate) fn apply(&mut self, op: Op) -> Result<(), String> {
        let lossy = self.handlers == Handlers::Lossy;
        // Also time that stands still.
        self.now += u64::from(op.wait) + u64::from(!lossy);
        self.kernel.deaf = lossy && op.wait % 8 == 7;
        match op.what % 32 {
            0..=4 => self.switch(op),
            5 => self.wake_thread(usize::from(op.who) % THREADS, op.which),
            what => {
                if let Some(tid) = self.cpus[usize::from(op.who) % CPUS] {
                    if self.threads[tid].part.is_some() {
                        self.step(tid)?;
                    } else {
                        self.act(tid, what, op)?;
                    }
                    while self.handlers == Handlers::Whole && self.threads[tid].part.is_some() {
                        self.step(tid)?;
                    }
                }
            }
        }
        self.kernel.identity(self.now)?;
        if lossy { Ok(()) } else { self.compare() }
    }

    fn innermost(&self, tid: usize) -> Option<(usize, u64, Around)> {
        self.threads[tid].open.iter().rev().find_map(|open| match *open {
            Open::Poll { task, sp, around } => Some((task, sp, around)),
            Open::Scope(_) => None,
        })
    }

    /// The innermost open poll, if nothing is open inside it.
    fn polling(&self, tid: usize) -> Option<(usize, u64)> {
        match self.threads[tid].open.last() {
            Some(&Open::Poll { task, sp, .. }) => Some((task, sp)),
            _ => None,
        }
    }

    /// Whole handlers leave nothing to doubt.
    fn exact(&self, expected: &crate::truth::Expected) {
        if self.handlers == Handlers::Whole {
            assert_eq!(expected.suspended.0, expected.suspended.1, "the model itself is in doubt");
            assert!(!expected.torn, "nobody tears a snapshot here");
        }
    }

    /// Every live row, projected to now, against the truth.
    fn compare(&self) -> Result<(), String> {
        let between = |task: usize| {
            let parts = self.threads.iter().filter_map(|thread| thread.part.as_ref());
            parts.into_iter().any(|part| {
                part.task() == task && !matches!(part, Part::WakeRead { .. } | Part::WakeNote { .. } | Part::WakeRun { .. })
            })
        };
        for (id, task) in self.tasks.iter().enumerate() {
            if task.word & COMPLETE != 0 || !task.truth.known() || between(id) {
                continue;
            }
            let row = self.kernel.tasks.get(&task.header).ok_or("a live task has no row")?;
            let row = row.projected(self.kernel.threads.get(row.tid as usize), self.now);
            let expected = task.truth.expected(&self.history, self.now);
            self.exact(&expected);
            let (yields, wakes) = (task.truth.yields, task.truth.wakes);
            let counts =
                if (row.yields, row.wakes) == (yields, wakes) { Ok(()) } else { Err(format!("{yields} yields, {wakes} wakes")) };
            counts
                .and_then(|()| expected.check(&row.states, row.polls, row.wakes_unseen, row.longest_poll_ns))
                .map_err(|why| format!("task {id}: {why}\n{row:?}\n{expected:?}"))?;
        }
        for scope in self.scopes.iter().filter(|scope| !scope.over) {
            if scope.task.is_ok_and(between) {
                continue;
            }
            let row = self.kernel.scopes.get(&scope.sequence).ok_or("a live scope has no row")?;
            let thread = self.kernel.threads.get(row.tid as usize);
            let wakes = row.wakes;
            let row = row.projected(thread, self.kernel.tasks.get(&row.task), self.now);
            let task = scope.task.ok().map(|task| &self.tasks[task].truth);
            let expected = scope.truth.expected(&self.history, self.now, task);
            self.exact(&expected);
            let wakes = if wakes == scope.truth.wakes { Ok(()) } else { Err(format!("{} wakes", scope.truth.wakes)) };
            wakes
                .and_then(|()| expected.check(&row.states, row.polls, row.wakes_unseen, row.longest_poll_ns))
                .map_err(|why| format!("scope {}: {why}\n{row:?}\n{expected:?}", scope.sequence))?;
        }
        Ok(())
    }
}
