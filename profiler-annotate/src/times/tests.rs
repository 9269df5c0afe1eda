//! The arithmetic of a scope's own times, over every short history.

use super::*;

/// What happens next, `step` nanoseconds after the last.
#[derive(Clone, Copy, Debug)]
enum Event {
    Poll {
        step: u64,
        long: u64,
    },
    Wake {
        step: u64,
    },
    /// The clock of another processor, a little behind.
    PollBehind,
}

const EVENTS: [Event; 6] = [
    Event::Poll { step: 0, long: 0 },
    Event::Poll { step: 3, long: 5 },
    Event::Wake { step: 0 },
    Event::Wake { step: 7 },
    Event::Poll { step: 0, long: 11 },
    Event::PollBehind,
];

/// A scope's history beside the truth of it, which is kept in another way: as a list of stretches.
#[derive(Clone, Default)]
struct History {
    sums: Sums,
    now: u64,
    woken: u64,
    polled: u64,
    ready: u64,
    waiting: u64,
}

impl History {
    fn poll(&mut self, step: u64, long: u64) {
        self.now += step;
        if self.sums.polls > 0 {
            let between = self.now - self.sums.last_ns;
            let ready = if self.woken == 0 { 0 } else { between.min(self.now - self.woken) };
            self.ready += ready;
            self.waiting += between - ready;
        }
        self.sums.enter(self.now, self.woken);
        self.woken = 0;
        self.now += long;
        self.polled += long;
        self.sums.exit(self.now);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Poll { step, long } => self.poll(step, long),
            Event::Wake { step } => {
                self.now += step;
                if self.woken == 0 {
                    self.woken = self.now;
                }
            }
            Event::PollBehind => {
                // Nothing passes by such a clock, and nothing is taken back.
                let before = self.sums;
                self.sums.enter(self.sums.last_ns.saturating_sub(2), 0);
                self.sums.exit(self.sums.last_ns.saturating_sub(1));
                if before.polls > 0 {
                    assert_eq!(self.sums.last_ns, before.last_ns);
                } else {
                    self.now = self.now.max(self.sums.last_ns);
                }
                self.woken = 0;
            }
        }
    }

    fn check(&self) {
        let sums = &self.sums;
        assert_eq!(sums.in_poll_ns + sums.scheduled_ns + sums.suspended_ns, sums.last_ns - sums.first_ns, "{sums:?}");
        assert!(sums.longest_poll_ns <= sums.in_poll_ns, "{sums:?}");
        assert_eq!(sums.wakes + sums.wakes_unseen, sums.polls.saturating_sub(1), "{sums:?}");
        assert_eq!((sums.in_poll_ns, sums.scheduled_ns, sums.suspended_ns), (self.polled, self.ready, self.waiting), "{sums:?}");
    }
}

/// Check every history of six events: 46,656 of them.
#[test]
fn states_add_up_whatever_happens() {
    fn go_on(history: &History, left: u32) {
        history.check();
        for event in EVENTS.into_iter().filter(|_| left > 0) {
            let mut next = history.clone();
            next.happen(event);
            go_on(&next, left - 1);
        }
    }
    go_on(&History { now: 1000, ..History::default() }, 6);
}

#[test]
fn a_wait_that_is_dropped_is_suspended() {
    let mut sums = Sums::default();
    sums.enter(10, 0);
    sums.exit(15);
    sums.drop_waiting(40);
    assert_eq!((sums.in_poll_ns, sums.suspended_ns, sums.last_ns), (5, 25, 40));
}

#[test]
fn the_first_wake_counts_and_is_taken_once() {
    let times = Times::new(1, true);
    times.woken();
    let first = times.first_wake_ns.load(Ordering::Relaxed);
    assert_ne!(first, 0);
    times.woken();
    assert_eq!((times.take_wake(), times.take_wake()), (first, 0));
}

/// Check that a wake inside of the scope's own poll makes it ready from that poll's end on, whoever else wakes it, and that only this thread is inside.
#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn a_wake_inside_of_its_poll_makes_it_ready_at_once() {
    let times = Times::new(1, true);
    let noted = || times.first_wake_ns.load(Ordering::Relaxed);
    // SAFETY: this test's alone.
    let kept = || unsafe { Kept::new(&times) };
    let poll = kept().enter();
    std::thread::scope(|scope| scope.spawn(|| times.woken()).join()).unwrap();
    assert!(noted() > IN_POLL, "another thread is not inside");
    times.woken();
    assert_eq!(noted(), IN_POLL);
    drop(poll);
    let waited = std::time::Duration::from_millis(1);
    std::thread::sleep(waited);
    drop(kept().enter());
    let sums = kept().sums();
    assert_eq!((sums.wakes, sums.suspended_ns), (1, 0));
    assert!(u128::from(sums.scheduled_ns) >= waited.as_nanos());
    times.woken();
    assert!(noted() > IN_POLL, "it is not polled");
}

/// Check that a scope's block names the one around it from the moment at which the thread's word points to it, and nobody afterwards.
#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn scopes_inside_one_another_are_a_chain() {
    let (outer, inner) = (Times::new(1, true), Times::new(2, true));
    // SAFETY: each is this test's alone.
    let parent = |times: &Times| unsafe { *times.parent.get() };
    // SAFETY: as above.
    let kept = |times| unsafe { Kept::new(times) };
    let around = kept(&outer).enter();
    assert_eq!((abi::current_times(), parent(&outer)), (ptr::from_ref(&outer), ptr::null()));
    let inside = kept(&inner).enter();
    assert_eq!((abi::current_times(), parent(&inner)), (ptr::from_ref(&inner), ptr::from_ref(&outer)));
    drop(inside);
    assert_eq!((abi::current_times(), parent(&inner)), (ptr::from_ref(&outer), ptr::null()));
    drop(around);
    assert_eq!(abi::current_times(), ptr::null());
}
