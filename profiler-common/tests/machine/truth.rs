//! The truth: what each thread did, stretch by stretch, and from it the states of tasks and scopes by the table of design section 2
//! and the rules of section 5. Nothing here is incremental: every expectation is summed anew from the recorded intervals.
//!
//! A wake takes time: from its handler's stamp to Tokio's own exchange. Where handlers are cut into parts, the moment a task became
//! ready is known to lie between the two, so a gap has a lowest and a highest time for it. Where they are whole, both are one.

use profiler_common::states::States;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// On a CPU.
    Running,
    /// Runnable, off CPU.
    Preempted,
    /// Asleep.
    Blocked,
    /// Stopped or traced, which counts as blocked.
    Stopped,
}

/// What a thread did: each entry holds until the next.
#[derive(Debug)]
pub(crate) struct History(Vec<(u64, Doing)>);

impl History {
    /// A thread off its CPU, runnable.
    pub(crate) fn new() -> Self {
        Self(vec![(0, Doing::Preempted)])
    }

    /// From `at_ns` on the thread does `doing`.
    pub(crate) fn push(&mut self, at_ns: u64, doing: Doing) {
        self.0.push((at_ns, doing));
    }

    /// What it does now.
    pub(crate) fn doing(&self) -> Doing {
        self.0.last().map_or(Doing::Preempted, |entry| entry.1)
    }

    /// Whether it waits for a CPU since it was woken.
    pub(crate) fn woken(&self) -> bool {
        matches!(self.0.as_slice(), [.., (_, Doing::Blocked | Doing::Stopped), (_, Doing::Preempted)])
    }

    /// How [`from`, `to`] divides.
    fn add(&self, from: u64, to: u64, sum: &mut Expected) {
        let first = self.0.partition_point(|entry| entry.0 <= from).saturating_sub(1);
        for (place, &(began, doing)) in self.0.iter().enumerate().skip(first) {
            if began >= to {
                break;
            }
            let ended = self.0.get(place + 1).map_or(u64::MAX, |next| next.0);
            let part = ended.min(to).saturating_sub(began.max(from));
            match doing {
                Doing::Running => sum.running += part,
                Doing::Preempted => sum.preempted += part,
                Doing::Blocked => sum.blocked += part,
                Doing::Stopped => {
                    sum.blocked += part;
                    sum.stopped += part;
                }
            }
        }
    }
}

/// What a row must say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) wall: u64,
    pub(crate) running: u64,
    pub(crate) preempted: u64,
    pub(crate) blocked: u64,
    pub(crate) stopped: u64,
    pub(crate) suspended: (u64, u64),
    pub(crate) unseen: (u64, u64),
    pub(crate) wakes_unseen: u64,
    pub(crate) polls: u64,
    pub(crate) longest: u64,
    pub(crate) torn: bool,
}

/// When a task became ready for a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// Between these two moments.
    Between(u64, u64),
    /// No event says when.
    Unseen,
}

/// One poll of a task or scope.
#[derive(Clone, Copy, Debug)]
struct Polled {
    thread: usize,
    from: u64,
    /// `None` while open.
    to: Option<u64>,
    torn: bool,
}

/// One stretch between two polls, divided.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: u64,
    to: u64,
    lead: Lead,
    /// How much of the suspended part counts as unexplained, whatever the lead.
    unseen: bool,
}

impl Gap {
    fn add(&self, sum: &mut Expected) {
        let (low, high) = match self.lead {
            Lead::Between(low, high) => (low.clamp(self.from, self.to) - self.from, high.clamp(self.from, self.to) - self.from),
            Lead::Unseen => (self.to - self.from, self.to - self.from),
        };
        sum.suspended.0 += low;
        sum.suspended.1 += high;
        if self.unseen {
            sum.unseen.0 += low;
            sum.unseen.1 += high;
        }
    }
}

/// What polls and gaps have in common between tasks and scopes.
#[derive(Debug, Default)]
struct Ledger {
    polls: Vec<Polled>,
    gaps: Vec<Gap>,
    first: Option<u64>,
    unseen: u64,
}

impl Ledger {
    fn open(&self) -> Option<&Polled> {
        self.polls.last().filter(|poll| poll.to.is_none())
    }

    /// The sum up to `at`; `tail` divides what follows the last poll.
    fn expected(&self, threads: &[History], at: u64, tail: Option<Gap>) -> Expected {
        let mut sum = Expected { wakes_unseen: self.unseen, polls: self.polls.len() as u64, ..Expected::default() };
        for poll in &self.polls {
            let to = poll.to.unwrap_or(at);
            threads[poll.thread].add(poll.from, to, &mut sum);
            sum.longest = sum.longest.max(to - poll.from);
            sum.torn |= poll.torn;
        }
        self.gaps.iter().chain(tail.as_ref()).for_each(|gap| gap.add(&mut sum));
        sum.wall = at - self.first.unwrap_or(at);
        sum
    }
}

/// The truth of one task.
#[derive(Debug, Default)]
pub(crate) struct TaskTruth {
    ledger: Ledger,
    /// End of the last poll, or the spawn.
    last: u64,
    /// Ready from `last` on: spawned, or notified when the last poll ended.
    ready: bool,
    deferred: bool,
    pub(crate) yields: u64,
    pub(crate) wakes: u64,
    /// Stamps of the wakes noted since the last poll start took them.
    noted: Vec<u64>,
    /// When Tokio's word became notified.
    notified: Option<u64>,
}

impl TaskTruth {
    /// Seen being spawned.
    pub(crate) fn spawned(&mut self, at: u64) {
        self.ledger.first = Some(at);
        (self.last, self.ready, self.notified) = (at, true, Some(at));
    }

    /// Whether there is anything to expect.
    pub(crate) fn known(&self) -> bool {
        self.ledger.first.is_some()
    }

    /// Whether it is in a poll.
    pub(crate) fn polled(&self) -> bool {
        self.ledger.open().is_some()
    }

    /// A wake's stamp is noted.
    pub(crate) fn note(&mut self, stamp: u64) {
        self.noted.push(stamp);
        self.wakes += 1;
    }

    /// Tokio's word becomes notified.
    pub(crate) fn notify(&mut self, at: u64) {
        self.notified = Some(at);
    }

    /// The notes are taken for a poll.
    pub(crate) fn take(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.noted)
    }

    fn lead(&self, noted: &[u64], at: u64) -> Lead {
        let notified = self.notified.unwrap_or(at);
        let noted = noted.iter().copied().min();
        if self.ready || self.deferred {
            let low = noted.unwrap_or(self.last).min(self.last);
            let high = if self.deferred && notified > self.last { self.last } else { notified };
            Lead::Between(low, high.max(low))
        } else {
            noted.map_or(Lead::Unseen, |low| Lead::Between(low, notified.max(low)))
        }
    }

    /// A poll starts, for which `noted` was taken. Says what led to it.
    pub(crate) fn start(&mut self, thread: usize, at: u64, torn: bool, noted: &[u64]) -> Lead {
        let lead = self.lead(noted, at);
        if self.ledger.first.is_some() {
            self.ledger.gaps.push(Gap { from: self.last, to: at, lead, unseen: lead == Lead::Unseen });
            self.ledger.unseen += u64::from(lead == Lead::Unseen);
        } else {
            self.ledger.first = Some(at);
        }
        (self.ready, self.deferred, self.notified) = (false, false, None);
        self.ledger.polls.push(Polled { thread, from: at, to: None, torn });
        lead
    }

    /// The task defers its own wake.
    pub(crate) fn defer(&mut self) {
        self.deferred = true;
    }

    /// The poll ends; `ready` if its word says so.
    pub(crate) fn end(&mut self, at: u64, torn: bool, ready: bool) {
        if let Some(poll) = self.ledger.polls.last_mut() {
            poll.to = Some(at);
            poll.torn |= torn;
        }
        self.yields += u64::from(self.deferred);
        (self.last, self.ready) = (at, ready);
    }

    /// The gap at the end, up to `at`; an unexplained one may still be explained.
    fn tail(&self, at: u64) -> Option<Gap> {
        let gap = Gap { from: self.last, to: at, lead: self.lead(&self.noted, at), unseen: false };
        (!self.polled()).then_some(gap)
    }

    /// What the row must say at `at`.
    pub(crate) fn expected(&self, threads: &[History], at: u64) -> Expected {
        self.ledger.expected(threads, at, self.tail(at))
    }
}

/// The poll around an event of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Around {
    pub(crate) task: usize,
    pub(crate) number: u64,
    pub(crate) start: u64,
    pub(crate) lead: Lead,
}

/// The truth of one scope.
#[derive(Debug, Default)]
pub(crate) struct ScopeTruth {
    ledger: Ledger,
    last: u64,
    around: Option<Around>,
    pub(crate) wakes: u64,
}

impl ScopeTruth {
    /// The scope is entered inside the poll `around`.
    pub(crate) fn enter(&mut self, thread: usize, at: u64, torn: bool, around: Option<Around>) {
        if self.ledger.first.is_none() {
            self.ledger.first = Some(at);
        } else {
            let mut gap = Gap { from: self.last, to: at, lead: Lead::Unseen, unseen: false };
            // In the poll that it was left in, no wake came between: it stayed suspended.
            if let Some(around) = around {
                let again = self.around.is_some_and(|left| (left.task, left.number) == (around.task, around.number));
                if around.lead == Lead::Unseen {
                    self.ledger.unseen += 1;
                } else {
                    self.wakes += 1;
                }
                if !again {
                    gap.unseen = around.lead == Lead::Unseen;
                    gap.lead = if gap.unseen { Lead::Between(around.start, around.start) } else { around.lead };
                }
            }
            self.ledger.gaps.push(gap);
        }
        self.around = around;
        self.ledger.polls.push(Polled { thread, from: at, to: None, torn });
    }

    /// Its poll ends.
    pub(crate) fn exit(&mut self, at: u64, torn: bool) {
        if let Some(poll) = self.ledger.polls.last_mut() {
            poll.to = Some(at);
            poll.torn |= torn;
        }
        self.last = at;
    }

    /// What the row must say at `at`. `task` is its task's truth; none outside any task, and none for one that has ended, which was
    /// suspended to its end: a poll that does not enter it leaves it so.
    pub(crate) fn expected(&self, threads: &[History], at: u64, task: Option<&TaskTruth>) -> Expected {
        let mut tail = None;
        if self.ledger.open().is_none() {
            let lead = match task {
                Some(task) if task.polled() && task.noted.is_empty() => Lead::Unseen,
                // Only what has been noted since the open poll began, whatever led to that.
                Some(task) if task.polled() => {
                    let low = task.noted.iter().copied().min().unwrap_or(at);
                    Lead::Between(low, task.notified.unwrap_or(at).max(low))
                }
                Some(task) => task.lead(&task.noted, at),
                None => Lead::Unseen,
            };
            tail = Some(Gap { from: self.last, to: at, lead, unseen: false });
        }
        self.ledger.expected(threads, at, tail)
    }
}

impl Expected {
    /// Whether a row says it. A torn snapshot leaves only the sum of the polled states.
    pub(crate) fn check(&self, row: &States, polls: u64, wakes_unseen: u64, longest: u64) -> Result<(), String> {
        let same = |what: &str, is: u64, must: u64| {
            if is == must { Ok(()) } else { Err(format!("{what} is {is}, must be {must}")) }
        };
        let within = |what: &str, is: u64, (low, high): (u64, u64)| {
            if (low..=high).contains(&is) { Ok(()) } else { Err(format!("{what} is {is}, must lie in {low}..={high}")) }
        };
        same("wall", row.wall_ns(), self.wall)?;
        same("polled", row.running_ns + row.preempted_ns + row.blocked_ns, self.running + self.preempted + self.blocked)?;
        if !self.torn {
            same("running", row.running_ns, self.running)?;
            same("preempted", row.preempted_ns, self.preempted)?;
            same("blocked", row.blocked_ns, self.blocked)?;
            same("stopped", row.stopped_ns, self.stopped)?;
        }
        within("suspended", row.suspended_ns, self.suspended)?;
        within("unseen", row.unseen_ns, self.unseen)?;
        same("polls", polls, self.polls)?;
        same("wakes unseen", wakes_unseen, self.wakes_unseen)?;
        same("longest poll", longest, self.longest)
    }
}
