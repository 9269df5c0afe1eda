//! Machines with one thing wrong each. That every one of them is found shows that the properties look where they should.
//!
//! | mutant | what is wrong | found by |
//! | --- | --- | --- |
//! | `SwappedBuckets` | preempted and blocked change places | whole |
//! | `WakeNotClamped` | a wake during a poll is counted from the wake, not from the poll's end | whole |
//! | `StateBeforePreempt` | `prev_state` is tested before `preempt` | whole |
//! | `StaleWakeupCounts` | a wake-up from before the switch-out ends the sleep | whole |
//! | `LastPollIsLongest` | the longest poll is the last one | whole |
//! | `EveryWakeCounts` | a wake that finds the task notified is noted too | whole |
//! | `YieldSuspends` | a deferred wake is not seen as a yield | whole |
//! | `WakeForgotten` | the wake taken at a poll's start is dropped | whole |
//! | `EndIgnoresWake` | a task shut down while ready was never ready | whole |
//! | `DroppedScopeWasReady` | a scope dropped by a poll that did not enter it was scheduled since that poll's wake | whole |
//! | `ReentryWasReady` | a scope entered again in one poll was scheduled in between | whole |
//! | `NestingForgotten` | a nested poll drops the frame of the poll around it | whole |
//! | `SnapshotOnce` | the sequence number is not read again | in parts |
//! | `PolledNotClamped` | clocks that moved further than the time are believed | riot |
//! | `BackwardsBelieved` | a poll's end before its start moves the row back | riot |
//! | `EndUnseenHidden` | a missed end is not reported | riot |
//! | `BackwardsHidden` | an event older than the row is not reported | riot |

use profiler_common::clock::{ClockSource, Snapshot};
use profiler_common::frame::{Frame, FrameStack};
use profiler_common::scope::{INSIDE, ScopeRow};
use profiler_common::task::{Started, TaskRow};
use profiler_common::thread::{OffReason, ThreadRow};

use proptest::test_runner::{TestCaseError, TestError};

use crate::hostile::{self, riot};
use crate::rules::Machine;
use crate::world::Handlers;
use crate::{ops, play, runner};

struct SwappedBuckets;
impl Machine for SwappedBuckets {
    fn poll_end(row: &mut TaskRow, snapshot: &Snapshot, notified: bool) -> bool {
        let before = row.states;
        let backwards = row.on_poll_end(snapshot, notified);
        let (preempted, blocked) = (row.states.preempted_ns - before.preempted_ns, row.states.blocked_ns - before.blocked_ns);
        row.states.preempted_ns = before.preempted_ns + blocked;
        row.states.blocked_ns = before.blocked_ns + preempted;
        backwards
    }
}

struct WakeNotClamped;
impl Machine for WakeNotClamped {
    fn poll_start(row: &mut TaskRow, snapshot: &Snapshot, tid: u32, wake_ns: u64) -> Started {
        if wake_ns != 0 {
            row.states.scheduled_ns += row.last_ns.saturating_sub(wake_ns);
        }
        row.on_poll_start(snapshot, tid, wake_ns)
    }
}

struct StateBeforePreempt;
impl Machine for StateBeforePreempt {
    fn reason(preempt: bool, prev_state: u64) -> OffReason {
        OffReason::of_switch(preempt && prev_state == 0, prev_state)
    }
}

struct StaleWakeupCounts;
impl Machine for StaleWakeupCounts {
    fn switch_out(row: &mut ThreadRow, now_ns: u64, reason: OffReason) {
        row.on_switch_out(now_ns, reason);
        if row.woken_ns != 0 {
            row.woken_ns = now_ns;
        }
    }
}

struct LastPollIsLongest;
impl Machine for LastPollIsLongest {
    fn poll_end(row: &mut TaskRow, snapshot: &Snapshot, notified: bool) -> bool {
        row.longest_poll_ns = 0;
        row.on_poll_end(snapshot, notified)
    }
}

struct EveryWakeCounts;
impl Machine for EveryWakeCounts {
    fn effective(_word: u64) -> bool {
        true
    }
}

struct YieldSuspends;
impl Machine for YieldSuspends {
    fn defer(_row: &mut TaskRow) {}
}

struct WakeForgotten;
impl Machine for WakeForgotten {
    fn poll_start(row: &mut TaskRow, snapshot: &Snapshot, tid: u32, _wake_ns: u64) -> Started {
        row.on_poll_start(snapshot, tid, 0)
    }
}

struct EndIgnoresWake;
impl Machine for EndIgnoresWake {
    fn task_end(row: &mut TaskRow, snapshot: &Snapshot, _wake_ns: u64) -> bool {
        row.on_end(snapshot, 0)
    }
}

struct DroppedScopeWasReady;
impl Machine for DroppedScopeWasReady {
    fn scope_end(row: &mut ScopeRow, snapshot: &Snapshot, outer: &Frame) -> bool {
        if row.flags & INSIDE == 0 && outer.task == row.task && outer.ready_ns != 0 {
            let since = outer.ready_ns.clamp(row.last_ns, snapshot.now_ns);
            row.states.suspended_ns += since - row.last_ns;
            row.states.scheduled_ns += snapshot.now_ns - since;
            row.last_ns = snapshot.now_ns;
        }
        row.on_end(snapshot)
    }
}

struct ReentryWasReady;
impl Machine for ReentryWasReady {
    fn enter(row: &mut ScopeRow, snapshot: &Snapshot, tid: u32, outer: &Frame) -> bool {
        row.on_enter(snapshot, tid, &Frame { start_ns: u64::MAX, ..*outer })
    }
}

struct NestingForgotten;
impl Machine for NestingForgotten {
    fn drop_stale(frames: &mut FrameStack, sp: u64) -> u32 {
        frames.drop_stale(sp + 0x1000)
    }
}

struct SnapshotOnce;
impl Machine for SnapshotOnce {
    fn snapshot(source: &mut impl ClockSource) -> Snapshot {
        let _ = source.sequence();
        let off = source.off_cpu();
        Snapshot { now_ns: source.now_ns(), off, torn: false }
    }
}

struct PolledNotClamped;
impl Machine for PolledNotClamped {
    fn poll_end(row: &mut TaskRow, snapshot: &Snapshot, notified: bool) -> bool {
        let moved = snapshot.off.since(&row.off_at_start).preempted_ns;
        row.states.preempted_ns += moved.saturating_sub(snapshot.now_ns.saturating_sub(row.last_ns));
        row.on_poll_end(snapshot, notified)
    }
}

struct BackwardsBelieved;
impl Machine for BackwardsBelieved {
    fn poll_end(row: &mut TaskRow, snapshot: &Snapshot, notified: bool) -> bool {
        let backwards = row.on_poll_end(snapshot, notified);
        row.last_ns = snapshot.now_ns.max(row.first_ns);
        backwards
    }
}

struct EndUnseenHidden;
impl Machine for EndUnseenHidden {
    fn poll_start(row: &mut TaskRow, snapshot: &Snapshot, tid: u32, wake_ns: u64) -> Started {
        Started { end_unseen: false, ..row.on_poll_start(snapshot, tid, wake_ns) }
    }
}

struct BackwardsHidden;
impl Machine for BackwardsHidden {
    fn exit(row: &mut ScopeRow, snapshot: &Snapshot) -> bool {
        row.on_exit(snapshot);
        false
    }
}

/// Enough cases for every mutant; the first that shows it ends the search.
const CASES: u32 = 1000;

fn by_world<M: Machine>(name: &str, handlers: Handlers) {
    let found = runner(CASES, 0).run(&ops(), |ops| match play::<M>(handlers, &ops) {
        Ok(world) if handlers == Handlers::Whole && !world.kernel.losses().is_empty() => Err(TestCaseError::fail("a loss")),
        Ok(_) => Ok(()),
        Err(why) => Err(TestCaseError::fail(why)),
    });
    assert!(matches!(found, Err(TestError::Fail(..))), "nothing was found wrong with {name}");
}

fn by_riot<M: Machine>(name: &str, cases: u32) {
    let found = runner(cases, 0).run(&hostile::events(), |events| riot::<M>(&events).map_err(TestCaseError::fail));
    assert!(matches!(found, Err(TestError::Fail(..))), "nothing was found wrong with {name}");
}

macro_rules! found {
    ($how:ident, $with:expr; $($mutant:ident),* $(,)?) => { $( $how::<$mutant>(stringify!($mutant), $with); )* };
}

/// Check that the truth tells every mutant that misplaces time.
#[test]
fn mutants_found_with_whole_handlers() {
    found!(by_world, Handlers::Whole;
        SwappedBuckets, WakeNotClamped, StateBeforePreempt, StaleWakeupCounts, LastPollIsLongest, EveryWakeCounts, YieldSuspends,
        WakeForgotten, EndIgnoresWake, DroppedScopeWasReady, ReentryWasReady, NestingForgotten,
    );
}

/// Check that a snapshot that does not re-read is told by switches between its reads.
#[test]
fn mutants_found_with_handlers_in_parts() {
    found!(by_world, Handlers::InParts; SnapshotOnce);
}

/// Check that lies of the clocks and hidden notes are told by events in any order.
#[test]
fn mutants_found_by_riot() {
    found!(by_riot, CASES; PolledNotClamped, BackwardsBelieved, EndUnseenHidden, BackwardsHidden);
}
