//! Where requests' rows lie, and how those that are done at once tell of their poll.

use profiler_common::limits::SCOPE_SLOTS;
use profiler_common::record::{POLL_OF_SCOPE, PollRecord};
use profiler_common::scope::ScopeSlot;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep, spin};
use crate::player::poll::{pending, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::session::{Session, View};

/// The polls of requests that were told of.
fn polls(view: &View) -> Vec<PollRecord> {
    view.0.polls.iter().filter(|poll| poll.what == POLL_OF_SCOPE).copied().collect()
}

/// Check that requests whose numbers lead to the same slot are in flight side by side, each with its own row, and that the slot is another's once
/// it is free: while others that found it taken are in the map still, and after.
#[test]
fn requests_that_share_a_slot_are_kept_apart() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let record = Record::new(b"order-42");
    let scopes: Vec<Scope> = (0..5).map(|nth| Scope::new(&record, 5 + nth * u64::from(SCOPE_SLOTS))).collect();
    let places: Vec<u32> = scopes.iter().map(|scope| ScopeSlot::place(scope.sequence)).collect();
    assert_eq!(places, [places[0]; 5]);
    let [first, second, third, fourth, fifth] = &scopes[..] else { unreachable!() };
    for scope in [first, second, third, second] {
        scope.polled(|| ());
    }
    let view = session.collect();
    let polls = |scope| view.request(scope).polls;
    assert_eq!((polls(first), polls(second), polls(third), view.0.live_requests.len()), (1, 2, 1, 3));
    first.end();
    // It gets the slot.
    fourth.polled(|| ());
    second.polled(|| ());
    second.end();
    fifth.polled(|| ());
    third.polled(|| ());
    for scope in [fourth, third, fifth] {
        scope.end();
    }
    let view = session.collect();
    assert_eq!([first, second, third, fourth, fifth].map(|scope| view.ended(scope).polls), [1, 3, 2, 1, 1]);
    assert_eq!((view.0.live_requests.len(), view.0.ended_requests.len()), (0, 5));
    view.lost(&[]);
    Ok(())
}

/// Check that as many requests as there are slots, and as many more, are in flight at once and end in any order.
#[test]
fn all_slots_and_the_map_are_used_at_once() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let record = Record::new(b"order-42");
    let scopes: Vec<Scope> = (1..=3 * u64::from(SCOPE_SLOTS)).map(|sequence| Scope::new(&record, sequence)).collect();
    for scope in &scopes {
        scope.polled(|| ());
    }
    assert_eq!(session.collect().0.live_requests.len(), scopes.len());
    scopes.iter().rev().for_each(|scope| _ = scope.polled(|| ()));
    scopes.iter().step_by(2).chain(scopes.iter().skip(1).step_by(2)).for_each(|scope| _ = scope.end());
    let view = session.collect();
    assert!(scopes.iter().all(|scope| view.ended(scope).polls == 2));
    assert_eq!((view.0.live_requests.len(), view.0.ended_requests.len()), (0, scopes.len()));
    view.lost(&[]);
    Ok(())
}

/// Check that the poll of a request that is done in it is told once, with the times of its row and the wake that led to it: before its end and after.
#[test]
fn a_request_that_is_done_at_once_has_its_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let (task, record) = (Task::new(Kind::First, 7), Record::new(b"order-42"));
    let scope = Scope::new(&record, 3);
    pending(&task, || ());
    let woken = wake(&task);
    let mut seen = None;
    pending(&task, || {
        let entered = scope.enter();
        spin(MS);
        sleep(2);
        let left = scope.done();
        seen = Some((entered, left, session.collect()));
        scope.end();
    });
    let (entered, left, between) = seen.expect("it was polled");
    let view = session.collect();
    let row = view.ended(&scope);
    for polls in [polls(&between), polls(&view)] {
        assert_eq!(polls.len(), 1, "{polls:?}");
        let poll = polls[0];
        assert_eq!(
            (poll.task, poll.task_id, poll.task_type, poll.request, poll.tid),
            (task.header(), 7, Kind::First as u32, 3, row.tid)
        );
        assert!(entered.holds(poll.start_ns) && left.holds(poll.end_ns), "{poll:?}");
        assert!(woken.holds(poll.ready_ns), "{poll:?}");
        let states = row.states;
        let off = (poll.off.preempted_ns, poll.off.blocked_ns, poll.off.stopped_ns);
        assert_eq!(off, (states.preempted_ns, states.blocked_ns, states.stopped_ns));
        assert_eq!(poll.end_ns - poll.start_ns, states.running_ns + states.preempted_ns + states.blocked_ns);
    }
    view.lost(&[]);
    Ok(())
}

/// Check that a request that was said to be done and is polled once more has both polls told.
#[test]
fn a_request_that_goes_on_after_it_was_done_has_all_polls() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 3);
    let first = (scope.enter(), scope.done());
    let second = scope.polled(|| ());
    scope.end();
    let view = session.collect();
    assert_eq!(view.ended(&scope).polls, 2);
    let polls = polls(&view);
    assert_eq!(polls.len(), 2, "{polls:?}");
    for (poll, (entered, left)) in polls.iter().zip([first, second]) {
        assert!(entered.holds(poll.start_ns) && left.holds(poll.end_ns), "{poll:?}");
    }
    view.lost(&[]);
    Ok(())
}
