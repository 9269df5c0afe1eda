//! How fast the sampling clock ticks, and what the kernel side wakes the daemon for. A tick is an interrupt that whoever runs pays for: on a
//! virtual machine 10 to 20 µs, so 997 a second took 1.6 % of a CPU where 99 took 0.15 %. And whatever wakes the daemon takes a CPU from
//! somebody. So a clock is fast only while it has something to show.
//!
//! The pace follows what was seen until now and nothing of what is to come, and each sample stands for the period that held when it was
//! taken: so the expected weight of any stretch of running time is that time, whatever the pace.

use profiler_common::gate::{TELL_BEGIN, TELL_END, TELL_SAMPLE};

use super::mode::Mode;
use crate::attach::Pace;

/// How long the clock ticks on when the last wanted request has ended (ns): where they come one after another, starting it for each costs
/// more than letting it be.
const HOLD_NS: u64 = 1_000_000_000;

/// How long the clock is fast behind a sample of a wanted request (ns).
const FAST_NS: u64 = 250_000_000;

/// How the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Whoever is not wanted is to lose nothing: the clock rests where nothing is in flight, and is fast where it has met a wanted request.
    Quiet,
    /// Everybody reaches probes already: the clock is never at rest, and fast while something is in flight.
    Busy,
}

/// What is known at a look of the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// When (ns).
    pub(super) now_ns: u64,
    /// Whether a request that was asked for is in flight.
    pub(super) in_flight: bool,
    /// When the last sample inside a wanted request was taken (ns), 0 for never.
    pub(super) sampled_ns: u64,
    /// Whether the session is to end with a request that has not ended yet: there will be no second one to be sampled better.
    pub(super) awaits_end: bool,
}

/// The pace, and what it rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    manners: Manners,
    /// When a request was last known to be in flight (ns), 0 for never.
    in_flight_ns: u64,
    pace: Pace,
}

impl Pacing {
    /// As the session starts.
    pub(super) fn new(mode: Mode) -> Self {
        let (manners, pace) = if mode == Mode::Request { (Manners::Quiet, Pace::Rest) } else { (Manners::Busy, Pace::Slow) };
        Self { manners, in_flight_ns: 0, pace }
    }

    /// The pace now.
    pub(super) const fn pace(&self) -> Pace {
        self.pace
    }

    /// The pace from now on, and what the kernel side is to wake the daemon for.
    pub(super) fn look(&mut self, seen: &Seen) -> (Pace, u32) {
        if seen.in_flight {
            self.in_flight_ns = seen.now_ns;
        }
        let since = |then_ns: u64| if then_ns == 0 { u64::MAX } else { seen.now_ns.saturating_sub(then_ns) };
        self.pace = match self.manners {
            Manners::Busy if seen.in_flight => Pace::Fast,
            Manners::Busy => Pace::Slow,
            Manners::Quiet if seen.in_flight && (seen.awaits_end || since(seen.sampled_ns) < FAST_NS) => Pace::Fast,
            Manners::Quiet if since(self.in_flight_ns) < HOLD_NS => Pace::Slow,
            Manners::Quiet => Pace::Rest,
        };
        (self.pace, self.tell(seen.awaits_end))
    }

    /// What the kernel side is to wake the daemon for at this pace.
    pub(super) fn tell(&self, awaits_end: bool) -> u32 {
        let begin = match (self.manners, self.pace) {
            (_, Pace::Fast) => false,
            (Manners::Quiet, Pace::Slow) => awaits_end,
            (Manners::Quiet, Pace::Rest) | (Manners::Busy, _) => true,
        };
        let sample = self.manners == Manners::Quiet && self.pace == Pace::Slow;
        let bit = |holds: bool, bit| if holds { bit } else { 0 };
        bit(begin, TELL_BEGIN) | bit(sample, TELL_SAMPLE) | bit(awaits_end, TELL_END)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn seen(now_ns: u64) -> Seen {
        Seen { now_ns, ..Seen::default() }
    }

    #[test]
    fn a_quiet_clock_rests_until_a_wanted_request_comes_and_a_while_after_it() {
        let mut pacing = Pacing::new(Mode::Request);
        assert_eq!(pacing.look(&seen(5 * S)), (Pace::Rest, TELL_BEGIN));
        assert_eq!(pacing.look(&Seen { in_flight: true, ..seen(6 * S) }), (Pace::Slow, TELL_SAMPLE));
        assert_eq!(pacing.look(&seen(7 * S - 1)), (Pace::Slow, TELL_SAMPLE));
        assert_eq!(pacing.look(&seen(7 * S)), (Pace::Rest, TELL_BEGIN));
    }

    #[test]
    fn a_sample_of_a_wanted_request_makes_a_quiet_clock_fast_while_it_is_in_flight() {
        let mut pacing = Pacing::new(Mode::Request);
        let sampled = Seen { in_flight: true, sampled_ns: 6 * S, ..seen(6 * S + 10) };
        assert_eq!(pacing.look(&sampled), (Pace::Fast, 0));
        assert_eq!(pacing.look(&Seen { in_flight: false, ..sampled }).0, Pace::Slow);
        assert_eq!(pacing.look(&Seen { now_ns: 6 * S + FAST_NS, ..sampled }).0, Pace::Slow);
    }

    #[test]
    fn one_request_that_ends_the_session_is_sampled_fast_from_its_begin() {
        let mut pacing = Pacing::new(Mode::Request);
        assert_eq!(pacing.tell(true), TELL_BEGIN | TELL_END);
        let one = Seen { in_flight: true, awaits_end: true, ..seen(S) };
        assert_eq!(pacing.look(&one), (Pace::Fast, TELL_END));
        // Another of those that were asked for is still to come.
        assert_eq!(pacing.look(&Seen { in_flight: false, ..one }), (Pace::Slow, TELL_BEGIN | TELL_SAMPLE | TELL_END));
    }

    #[test]
    fn a_busy_clock_is_never_at_rest() {
        let mut pacing = Pacing::new(Mode::Process);
        assert_eq!(pacing.pace(), Pace::Slow);
        assert_eq!(pacing.look(&seen(S)), (Pace::Slow, TELL_BEGIN));
        assert_eq!(pacing.look(&Seen { in_flight: true, ..seen(2 * S) }), (Pace::Fast, 0));
        assert_eq!(pacing.look(&seen(2 * S + 1)), (Pace::Slow, TELL_BEGIN));
    }
}
