//! Scopes that are seen alone, without their tasks: woken through wakers of their own, with children that the annotation tells of.

use profiler_common::loss::Loss;
use profiler_common::scope::{NO_TASK, OWN_WAKER};
use profiler_common::task::{CHILD, CHILD_BLOCKING};
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep, spin};
use crate::player::scope::{Record, Scope};
use crate::session::{Session, Wish, scope_probes};

fn alone() -> Session {
    let wanted = Some(Vec::new());
    Session::open_with(&Wish { probes: scope_probes(), wanted, requests_only: true, ..Wish::default() })
}

/// Check that a scope is scheduled from its own wake on, and suspended where it is entered without one.
#[test]
fn a_scope_is_woken_by_itself() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = alone();
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 5);
    let first = scope.polled(|| spin(2 * MS));
    sleep(3);
    let woken = scope.wake();
    sleep(2);
    // Another wake before the poll changes nothing.
    scope.wake();
    let second = scope.polled(|| sleep(2));
    sleep(2);
    // Its task was woken for something else.
    let third = scope.polled(|| spin(MS));
    let entered = scope.enter();
    let done = scope.done();
    let ended = scope.end();
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let row = view.ended(&scope);
    assert_eq!((row.flags & (OWN_WAKER | NO_TASK), row.task, row.id()), (OWN_WAKER, 0, &b"order-42"[..]));
    assert_eq!((row.polls, row.wakes, row.wakes_unseen, row.states.unseen_ns), (4, 1, 2, 0));
    assert!(woken.until(second.0).contains(&row.states.scheduled_ns), "{row:?}");
    let gaps = [first.1.until(woken), second.1.until(third.0), third.1.until(entered), done.until(ended)];
    let suspended = gaps.iter().map(|gap| *gap.start()).sum()..=gaps.iter().map(|gap| *gap.end()).sum();
    assert!(suspended.contains(&row.states.suspended_ns), "{suspended:?} {row:?}");
    assert!(row.states.blocked_ns >= MS && row.states.running_ns >= 2 * MS, "{row:?}");
    assert!(view.0.tasks.is_empty());
    view.lost(&[]);
    Ok(())
}

/// Check that a child has its own time, from its spawn on, and belongs to the request of its parent and of its parent's parent.
#[test]
fn children_are_told_of() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = alone();
    let record = Record::new(b"order-42");
    let (root, child, grandchild) = (Scope::new(&record, 5), Scope::new(&record, CHILD | 6), Scope::new(&record, CHILD | 7));
    let mut spawned = None;
    root.polled(|| spawned = Some(root.spawn(&child, 0)));
    sleep(2);
    let entered = child.enter();
    child.spawn(&grandchild, 1);
    spin(2 * MS);
    child.exit();
    sleep(2);
    child.wake();
    sleep(1);
    child.enter();
    child.done();
    child.end();
    grandchild.polled(|| sleep(3));
    let view = session.collect();
    // One that is left for good has ended; the grandchild goes on.
    let [row] = &view.0.ended_children[..] else { panic!("{:?}", view.0.ended_children) };
    assert_eq!((row.id, row.request, row.polls, row.wakes), (CHILD | 6, 5, 2, 1));
    let [live] = &view.0.tasks[..] else { panic!("{:?}", view.0.tasks) };
    assert_eq!((live.row.id, live.row.request, live.row.flags & CHILD_BLOCKING), (CHILD | 7, 5, CHILD_BLOCKING));
    if view.hides_a_switch() {
        return Ok(());
    }
    let ready = spawned.unwrap().until(entered);
    assert!(row.states.scheduled_ns >= *ready.start() + MS && row.states.scheduled_ns < 100 * MS, "{ready:?} {row:?}");
    assert!(row.states.running_ns >= 2 * MS && row.states.suspended_ns >= 2 * MS, "{row:?}");
    view.lost(&[]);
    Ok(())
}

/// Check that a child of nobody known makes no row, and that its wakes do nothing.
#[test]
fn a_child_of_nobody_is_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = alone();
    let record = Record::new(b"order-42");
    let (unknown, child) = (Scope::new(&record, 5), Scope::new(&record, CHILD | 6));
    unknown.spawn(&child, 0);
    child.wake();
    child.polled(|| ());
    child.end();
    let view = session.collect();
    assert!(view.0.tasks.is_empty() && view.0.live_requests.is_empty());
    view.lost(&[(Loss::ChildUnknown, 2)]);
    Ok(())
}
