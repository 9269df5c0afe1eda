//! The five states of a task, and the time spent in each.

use serde::{Deserialize, Serialize};

/// What a live task, or a scope, is doing at one instant. It is always exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Polled, its thread on a CPU.
    Running,
    /// Polled, its thread runnable but off CPU.
    Preempted,
    /// Polled, its thread asleep in the kernel: it blocks a worker.
    Blocked,
    /// Ready, waiting for a worker.
    Scheduled,
    /// Waiting at an await.
    Suspended,
}

impl State {
    /// Every state, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Running, Self::Preempted, Self::Blocked, Self::Scheduled, Self::Suspended];

    /// The state's name as users read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Preempted => "preempted",
            Self::Blocked => "blocked",
            Self::Scheduled => "scheduled",
            Self::Suspended => "suspended",
        }
    }
}

/// Time spent in each state, in nanoseconds.
///
/// Invariant: the five add up to the wall time. There is no field for the wall, so no second number can disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// On a CPU: the CPU time.
    pub running_ns: u64,
    /// Runnable, off CPU, within a poll.
    pub preempted_ns: u64,
    /// Asleep in the kernel within a poll. Contains [`Self::stopped_ns`].
    pub blocked_ns: u64,
    /// Ready and waiting for a worker.
    pub scheduled_ns: u64,
    /// Waiting at an await.
    pub suspended_ns: u64,
    /// The part of [`Self::blocked_ns`] in which the thread was stopped or traced (`SIGSTOP`, a debugger): not the
    /// service's own doing. It is no sixth state and not added again.
    pub stopped_ns: u64,
    /// The part of [`Self::suspended_ns`] that no event explains: a wake or the end of a poll was not seen, so some of it
    /// may have been another state. Not added again either.
    pub unseen_ns: u64,
}

impl States {
    /// The wall time: the exact sum of the five states.
    ///
    /// Saturates at 2^64 - 1 ns (584 years), so a corrupt record gives a large number and not a small one.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        State::ALL.iter().fold(0_u64, |wall, &state| wall.saturating_add(self.of(state)))
    }

    /// The time spent in one state.
    #[must_use]
    pub const fn of(&self, state: State) -> u64 {
        match state {
            State::Running => self.running_ns,
            State::Preempted => self.preempted_ns,
            State::Blocked => self.blocked_ns,
            State::Scheduled => self.scheduled_ns,
            State::Suspended => self.suspended_ns,
        }
    }

    /// Adds another row's time, state by state.
    pub const fn add(&mut self, other: &Self) {
        self.running_ns = self.running_ns.saturating_add(other.running_ns);
        self.preempted_ns = self.preempted_ns.saturating_add(other.preempted_ns);
        self.blocked_ns = self.blocked_ns.saturating_add(other.blocked_ns);
        self.scheduled_ns = self.scheduled_ns.saturating_add(other.scheduled_ns);
        self.suspended_ns = self.suspended_ns.saturating_add(other.suspended_ns);
        self.stopped_ns = self.stopped_ns.saturating_add(other.stopped_ns);
        self.unseen_ns = self.unseen_ns.saturating_add(other.unseen_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_is_the_five_and_not_the_stopped_part_again() {
        let states = States {
            running_ns: 1,
            preempted_ns: 20,
            blocked_ns: 300,
            scheduled_ns: 4_000,
            suspended_ns: 50_000,
            stopped_ns: 200,
            unseen_ns: 30_000,
        };
        assert_eq!(states.wall_ns(), 54_321);
    }

    #[test]
    fn adding_rows_adds_their_walls() {
        let mut sum = States { running_ns: 3, suspended_ns: 4, ..States::default() };
        sum.add(&States { running_ns: 10, blocked_ns: 7, stopped_ns: 2, unseen_ns: 1, ..States::default() });
        assert_eq!(
            sum,
            States { running_ns: 13, blocked_ns: 7, suspended_ns: 4, stopped_ns: 2, unseen_ns: 1, ..States::default() }
        );
        assert_eq!(sum.wall_ns(), 24);
    }
}
