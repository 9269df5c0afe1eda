//! What the profiler's numbers may be, given what the fixture measured itself.
//!
//! The fixture reads its clocks a few microseconds inside of where the probes stand, and a probe's own trap falls in between,
//! so every bound has a part that grows with the number of tasks or polls. What a virtual machine's host steals between a
//! probe and a clock read is in nobody's account: a comparison may be tried again ([`Attempts`]), the identity may not.

use fixture_service::truth::{Outcome, Row};

use crate::report::Times;

/// Wall and state bounds: this much for each task, whatever its length.
const PER_TASK_NS: u64 = 50_000;
/// CPU bound for each task, whatever its length: what its first polls run of the kernel and of our programs between our clock and the fixture's. On
/// cold caches that is some 10 µs a poll, and as much for a spawn in one, whose site is single-stepped in these programs.
const CPU_PER_TASK_NS: u64 = 40_000;
/// One poll more puts two more clock reads and two more traps between fixture and profiler. The two promises above are for
/// a few polls; a task with hundreds gets this for each beyond the third.
const PER_POLL_NS: u64 = 5_000;
const FEW_POLLS: u64 = 3;
/// `__schedule` (kernel/sched/core.c) reads the CPU clock and the run delay's clock before it picks the next thread, and
/// `sched_switch` stands after: each switch inside a poll puts that way, and our program on it, between the two accounts.
const PER_SWITCH_NS: u64 = 10_000;

/// Sums of the truth over the rows that one row of the report stands for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth {
    /// Rows.
    pub count: u64,
    /// Spawn (or first poll, where the spawn does not count) to end.
    pub wall_ns: u64,
    /// By the thread's CPU clock.
    pub cpu_ns: u64,
    /// Runnable without a CPU, by schedstat.
    pub run_delay_ns: u64,
    /// Asleep in blocking calls.
    pub slept_ns: u64,
    /// Switches inside polls.
    pub switches: u64,
    /// In polls, and in none of the three: interrupts, stolen time, sleeps that the fixture did not plan, and whatever
    /// happened between two of its clock reads.
    pub unexplained_ns: u64,
    /// Ready, without a worker.
    pub scheduled_ns: u64,
    /// At awaits.
    pub suspended_ns: u64,
    /// Gaps in which the fixture saw no wake, although there may have been one (an abort goes past the waker).
    pub unwoken_ns: u64,
    /// Polls of the fixture's future.
    pub polls: u64,
    /// Rows that were dropped at an await: the profiler may count the poll that drops the future, the fixture cannot.
    pub dropped: u64,
}

impl Truth {
    /// The sum of `rows`. Without `from_spawn` a row begins with its first poll, as a scope does, or a task whose spawn has
    /// no probe site.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>, from_spawn: bool) -> Self {
        let mut sum = Self::default();
        for row in rows {
            let before = if from_spawn { row.first_delay_ns } else { 0 };
            sum.count += 1;
            sum.wall_ns += row.wall_ns() - row.first_delay_ns + before;
            sum.cpu_ns += row.cpu_ns;
            sum.run_delay_ns += row.run_delay_ns;
            sum.slept_ns += row.slept_ns;
            sum.switches += row.switches;
            sum.unexplained_ns += row.unexplained_ns();
            sum.scheduled_ns += row.scheduled_ns + before;
            sum.suspended_ns += row.suspended_ns;
            sum.unwoken_ns += row.unwoken_ns;
            sum.polls += row.polls;
            sum.dropped += u64::from(row.outcome == Outcome::Dropped);
        }
        sum
    }

    /// Everything in which `seen` and `polls` disagree with the truth. Empty: they agree.
    #[must_use]
    pub fn against(&self, name: &str, seen: &Times, polls: u64) -> Vec<String> {
        let many = PER_POLL_NS * self.polls.saturating_sub(FEW_POLLS * self.count);
        let flat = PER_TASK_NS * self.count + many;
        let switched = PER_SWITCH_NS * self.switches;
        let cpu = self.cpu_ns / 100 + CPU_PER_TASK_NS * self.count + many + switched;
        // A poll that drops the future runs, and is over when the fixture's last clock is read: what it takes is in one account alone.
        let dropping = CPU_PER_TASK_NS * polls.saturating_sub(self.polls).min(self.dropped);
        let wall = self.wall_ns / 1000 + flat;
        let off_cpu = |time: u64| time / 100 + flat + switched;
        let bounds = [
            Bound::around("wall", seen.wall_ns, self.wall_ns, wall, 0),
            // Interrupts and stolen time lie in `running`, and by kernel configuration not in the thread's CPU clock.
            Bound::around("running", seen.running_ns, self.cpu_ns, cpu, self.unexplained_ns + dropping),
            // Preempted between the reads of two clocks: the one has the wait, the other has not.
            Bound::around("preempted", seen.preempted_ns, self.run_delay_ns, off_cpu(self.run_delay_ns), self.unexplained_ns),
            // A sleep that the fixture did not plan (a lock, a page fault) is among the unexplained.
            Bound::around("blocked", seen.blocked_ns, self.slept_ns, off_cpu(self.slept_ns), self.unexplained_ns),
            // In an unwoken gap the end of `suspended` is unknown to the fixture.
            Bound::around("scheduled", seen.scheduled_ns, self.scheduled_ns, wall, self.unwoken_ns),
            Bound::around("suspended", seen.suspended_ns, self.suspended_ns - self.unwoken_ns, wall, self.unwoken_ns),
        ];
        let mut wrong: Vec<String> = bounds.iter().filter_map(|bound| bound.broken(name)).collect();
        if polls < self.polls || polls > self.polls + self.dropped {
            wrong.push(format!("{name}: {polls} polls seen, the fixture counted {} (dropped: {})", self.polls, self.dropped));
        }
        wrong
    }
}

/// A number and where it may lie.
struct Bound {
    what: &'static str,
    seen: u64,
    truth: u64,
    low: u64,
    high: u64,
}

impl Bound {
    fn around(what: &'static str, seen: u64, truth: u64, tolerance: u64, above: u64) -> Self {
        Self { what, seen, truth, low: truth.saturating_sub(tolerance), high: truth + tolerance + above }
    }

    fn broken(&self, name: &str) -> Option<String> {
        let Self { what, seen, truth, low, high } = self;
        if (low..=high).contains(&seen) {
            return None;
        }
        Some(format!("{name}: {what} {seen} ns, the fixture measured {truth} ns, allowed {low} to {high}"))
    }
}

/// Comparisons that may be tried again, because another tenant of the machine can spoil one: each must agree once, and
/// a good part must agree at once.
#[derive(Debug, Default)]
pub struct Attempts {
    most: usize,
    begun: usize,
    open: Option<Vec<(String, Vec<String>)>>,
    compared: usize,
    disagreed: usize,
}

impl Attempts {
    /// For no more than `most` of them, which [`Attempts::go_on`] counts.
    #[must_use]
    pub fn up_to(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Whether there is another attempt to make: something is open, and there are some left. Begins it.
    pub fn go_on(&mut self) -> bool {
        let is_wanted = !self.settled() && self.begun < self.most;
        self.begun += usize::from(is_wanted);
        is_wanted
    }

    /// Notes what an attempt found: a name and what is wrong with it, for every comparison made.
    pub fn note(&mut self, found: Vec<(String, Vec<String>)>) {
        for (_, wrong) in &found {
            // Shown if the test fails, or with --nocapture: how often the machine spoils what is nobody's fault.
            for wrong in wrong {
                eprintln!("this attempt: {wrong}");
            }
        }
        self.compared += found.len();
        self.disagreed += found.iter().filter(|(_, wrong)| !wrong.is_empty()).count();
        let still_wrong = match self.open.take() {
            None => found,
            // A name that the attempt did not compare is as wrong as before.
            Some(before) => before
                .into_iter()
                .filter_map(|(name, wrong)| match found.iter().find(|(other, _)| *other == name) {
                    Some((_, now)) if now.is_empty() => None,
                    Some((_, now)) => Some((name, now.clone())),
                    None => Some((name, wrong)),
                })
                .collect(),
        };
        self.open = Some(still_wrong.into_iter().filter(|(_, wrong)| !wrong.is_empty()).collect());
    }

    /// Has every comparison agreed once?
    #[must_use]
    pub fn settled(&self) -> bool {
        self.open.as_ref().is_some_and(Vec::is_empty)
    }

    /// The names of the comparisons that have not agreed yet.
    #[must_use]
    pub fn open(&self) -> Vec<String> {
        self.open.iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// How many comparisons were made.
    #[must_use]
    pub fn compared(&self) -> usize {
        self.compared
    }

    /// What never agreed; an error too if nothing was compared at all, or if three of four comparisons disagreed: that is no
    /// machine's noise.
    pub fn verdict(self) -> crate::Result<()> {
        let Self { open, compared, disagreed, .. } = self;
        let mut wrong: Vec<String> = open.unwrap_or_default().into_iter().flat_map(|(_, wrong)| wrong).collect();
        if disagreed * 4 >= compared * 3 {
            wrong.push(format!("{disagreed} of {compared} comparisons disagreed"));
        }
        crate::failure::all_right(wrong)
    }
}
