//! What a session is about, and how it measures: what its caller chooses.

use super::SessionError;
use super::choice::Choice;
use super::keys::NamingKey;
use super::mode::Mode;
use crate::attach::{Handlers, MAX_RATE_HZ, Rate, Room};

/// What a session is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Every task, and every request where there is the annotation.
    AllTasks,
    /// Every request.
    AllRequests,
    /// These requests.
    Requests(Choice),
}

/// Request ids, and traces.
type Named = (Vec<Vec<u8>>, Vec<[u8; 16]>);

impl Subject {
    /// Whether every request has to be measured, whatever its id.
    pub(super) const fn is_open(&self) -> bool {
        match self {
            Self::Requests(choice) => choice.is_open(),
            Self::AllTasks | Self::AllRequests => true,
        }
    }

    /// The ids that are asked for one by one, and the traces that they may stand for.
    pub(super) fn named(&self, key: Option<&NamingKey>) -> Result<Named, SessionError> {
        Ok(match (self, key) {
            (Self::Requests(choice), Some(key)) => (key.values(&choice.ids)?, Vec::new()),
            (Self::Requests(choice), None) => (choice.ids.clone(), choice.traces()),
            (Self::AllTasks | Self::AllRequests, _) => (Vec::new(), Vec::new()),
        })
    }
}

/// How a session measures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself, and none follows from another")]
pub struct Manner {
    /// Stack samples a second on each CPU. `None`: 99, and the most there can be while a request that was asked for by name is in flight; in
    /// request mode none while nothing wanted is in flight, and at most 997 (`super::pace` says when).
    pub rate_hz: Option<u32>,
    /// Whether every poll and wake is wanted, not only the long ones.
    pub timeline: bool,
    /// Whether to leave out where tasks wait.
    pub no_awaits: bool,
    /// Whether to leave out the probes on wakes: cheaper, and what is `scheduled` is not known from `suspended`.
    pub no_wakes: bool,
    /// Whether to leave out stacks of stored wakers, which stand in where there are no layouts.
    pub no_await_wakers: bool,
    /// Whether runs of the kernel side's programs are counted and timed.
    pub stats: bool,
    /// The task-local key that names requests; `None`: the annotation does.
    pub request_key: Option<String>,
    /// The attribute or label of other libraries that names requests; `None`: [`super::DEFAULT_LABEL_KEY`].
    pub label_key: Option<String>,
    /// How requests are measured; `None`: by what only they reach, where the program's annotation allows that.
    pub mode: Option<Mode>,
    /// Whether children of wanted requests are followed wherever they are spawned, at the price of probes on every poll.
    pub follow_spawns: bool,
    /// Whether this stays for days: less is kept of what has ended.
    pub is_daemon: bool,
    /// How many tasks and requests there is room for.
    pub room: Room,
    /// Beginnings of request ids that are a route each, where requests are folded by route.
    pub routes: Vec<Vec<u8>>,
    /// Which programs are attached: empty ones show a benchmark its floor.
    pub handlers: Handlers,
}

/// Samples a second of what goes on all the time. No round number, so that samples do not march in step with a program's own timers.
const SLOW_HZ: u32 = 99;

/// The same while a wanted request is in flight and others are not to notice.
const QUIET_HZ: u32 = 997;

impl Manner {
    pub(super) fn rate(&self, subject: &Subject, mode: Mode) -> Rate {
        match (self.rate_hz, subject) {
            // What it costs is what it is chosen for.
            (None, _) if mode == Mode::Sample => Rate { slow_hz: SLOW_HZ, fast_hz: SLOW_HZ },
            // A tick costs whoever runs, and others are to lose nothing.
            (None, Subject::Requests(_)) if mode == Mode::Request => Rate { slow_hz: SLOW_HZ, fast_hz: QUIET_HZ },
            (Some(hz), _) => Rate { slow_hz: hz, fast_hz: hz },
            (None, Subject::Requests(_)) => Rate { slow_hz: SLOW_HZ, fast_hz: MAX_RATE_HZ },
            (None, _) => Rate { slow_hz: SLOW_HZ, fast_hz: SLOW_HZ },
        }
    }
}
