//! What one member did when: its recorded polls and waits as pieces without a gap, from its start to its end.

use super::node::{Node, Span, Wait};
use crate::model::states::State;

/// A stretch of a member's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From here.
    pub start_ns: u64,
    /// To here, later than the start.
    pub end_ns: u64,
    /// What was done.
    pub doing: Doing,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is in this state: running, preempted, blocked or scheduled.
    In(State),
    /// It is polled, with these times somewhere inside; the rest is running. The stretches of it were not all recorded.
    Poll {
        /// Runnable without a CPU.
        preempted_ns: u64,
        /// Asleep in the kernel.
        blocked_ns: u64,
    },
    /// It is suspended, in the wait of this place.
    Suspended(Option<usize>),
    /// It is not known.
    Unknown(Unknown),
}

/// Why a part of a critical path is not known. Nothing of it is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Polls of it were not recorded, or let go since: only its sums are known.
    NotRecorded,
    /// The window ended inside a poll, whose record is written at its end.
    InPoll,
    /// The awaited task is none of the family: it was spawned before the attach, elsewhere, or unseen.
    NotOfFamily,
    /// Several tasks were awaited, none of which ended.
    Several,
    /// It awaits a task that awaits it.
    Cycle,
    /// More tasks await one another than are followed.
    TooDeep,
}

impl Unknown {
    /// What people read.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NotRecorded => "its polls were not recorded",
            Self::InPoll => "in a poll that had not ended",
            Self::NotOfFamily => "in a task that is not known as the request's",
            Self::Several => "in one of several tasks, none of which had ended",
            Self::Cycle => "in a task that awaits this one",
            Self::TooDeep => "in a task too many awaits away",
        }
    }
}

/// The pieces of a member, in order, from its start to its end.
#[must_use]
pub fn timeline(node: &Node) -> Vec<Piece> {
    let mut line = Line { pieces: Vec::new(), at: node.start_ns, end: node.end_ns() };
    let is_whole = u64::try_from(node.spans.len()).is_ok_and(|seen| seen >= node.counts.polls);
    let mut waits = node.waits.iter().enumerate().peekable();
    for span in &node.spans {
        while let Some((place, wait)) = waits.next_if(|(_, wait)| wait.start_ns < span.start_ns) {
            line.wait(place, wait, span.start_ns);
        }
        line.gap(span.start_ns, span.ready_ns, is_whole);
        line.poll(span);
    }
    for (place, wait) in waits {
        line.wait(place, wait, u64::MAX);
    }
    let rest = match (is_whole, node.complete) {
        // A task that is aborted at an await ends without a poll.
        (true, true) => Doing::Suspended(None),
        (true, false) if !node.spans.is_empty() || node.counts.polls == 0 => Doing::Suspended(None),
        (false, false) if !node.spans.is_empty() => Doing::Unknown(Unknown::InPoll),
        _ => Doing::Unknown(Unknown::NotRecorded),
    };
    line.up_to(u64::MAX, rest);
    line.pieces
}

struct Line {
    pieces: Vec<Piece>,
    at: u64,
    end: u64,
}

impl Line {
    /// Goes on to `to`, within the member's time.
    fn up_to(&mut self, to: u64, doing: Doing) {
        let to = to.min(self.end);
        if to > self.at {
            self.pieces.push(Piece { start_ns: self.at, end_ns: to, doing });
            self.at = to;
        }
    }

    fn wait(&mut self, place: usize, wait: &Wait, before: u64) {
        self.up_to(wait.start_ns, Doing::Unknown(Unknown::NotRecorded));
        self.up_to(wait.woken_ns().min(before), Doing::Suspended(Some(place)));
        self.up_to(wait.woken_ns().saturating_add(wait.scheduled_ns).min(before), Doing::In(State::Scheduled));
    }

    /// What no wait tells: nothing was walked, or it is the time from the spawn to the first poll.
    fn gap(&mut self, to: u64, ready_ns: Option<u64>, is_whole: bool) {
        match ready_ns {
            _ if !is_whole && !self.is_first(ready_ns) => self.up_to(to, Doing::Unknown(Unknown::NotRecorded)),
            Some(ready) => {
                self.up_to(ready.min(to), Doing::Suspended(None));
                self.up_to(to, Doing::In(State::Scheduled));
            }
            None => self.up_to(to, Doing::Suspended(None)),
        }
    }

    /// Whether the member is ready since its start: no poll can have been before.
    fn is_first(&self, ready_ns: Option<u64>) -> bool {
        self.pieces.is_empty() && ready_ns.is_some_and(|ready| ready <= self.at)
    }

    fn poll(&mut self, span: &Span) {
        let stretches = |of: fn(&super::Stretch) -> u64| span.stretches.iter().map(of).fold(0_u64, u64::saturating_add);
        let seen = (stretches(|one| one.blocked_ns), stretches(|one| one.preempted_ns));
        let whole = self.at <= span.start_ns && span.end_ns <= self.end && seen == (span.blocked_ns, span.preempted_ns);
        if !whole || !in_turn(span) {
            let doing = Doing::Poll { preempted_ns: span.preempted_ns, blocked_ns: span.blocked_ns };
            return self.up_to(span.end_ns, doing);
        }
        for one in &span.stretches {
            self.up_to(one.start_ns, Doing::In(State::Running));
            self.up_to(one.start_ns.saturating_add(one.blocked_ns), Doing::In(State::Blocked));
            self.up_to(end_of(one), Doing::In(State::Preempted));
        }
        self.up_to(span.end_ns, Doing::In(State::Running));
    }
}

const fn end_of(one: &super::Stretch) -> u64 {
    one.start_ns.saturating_add(one.blocked_ns).saturating_add(one.preempted_ns)
}

/// Whether the stretches lie inside the poll, one after another.
fn in_turn(span: &Span) -> bool {
    let mut at = span.start_ns;
    span.stretches.iter().all(|one| {
        let follows = one.start_ns >= at && end_of(one) <= span.end_ns;
        at = end_of(one);
        follows
    })
}
