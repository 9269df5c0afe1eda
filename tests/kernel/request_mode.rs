//! Scopes that are seen alone, without their tasks: woken through wakers of their own, with children that the annotation tells of.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Check that a scope that is woken inside its own poll, as by a future that wakes itself, is scheduled from the end of that poll on and never
/// suspended.
#[test]
fn a_scope_that_wakes_itself_is_scheduled() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = alone();
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 5);
    let first = scope.polled(|| {
        scope.wake();
        spin(MS);
    });
    sleep(3);
    let entered = scope.enter();
    let done = scope.done();
    let ended = scope.end();
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let row = view.ended(&scope);
    assert_eq!((row.polls, row.wakes, row.wakes_unseen), (2, 1, 0), "{row:?}");
    // Nothing but what lies between its last exit and its end.
    assert!(done.until(ended).contains(&row.states.suspended_ns), "{row:?}");
    assert!(first.1.until(entered).contains(&row.states.scheduled_ns), "{row:?}");
    view.lost(&[]);
    Ok(())
}

/// Check that ids that are given out while a request or a child of it is polled are counted, each for the innermost request, and neither those
/// of its children that are followed nor what comes in between.
#[test]
fn tasks_that_may_be_its_own_are_counted() -> Result<()> {
    static IDS: AtomicU64 = AtomicU64::new(1);
    let spawn = |count| _ = IDS.fetch_add(count, Ordering::Relaxed);
    needs_root!();
    let _turn = turn();
    let wish = Wish { probes: scope_probes(), wanted: Some(Vec::new()), requests_only: true, ..Wish::default() };
    let mut session = Session::open_with(&Wish { task_ids: Some(IDS.as_ptr() as u64), ..wish });
    let record = Record::new(b"order-42");
    let [outer, inner] = [5, 6].map(|number| Scope::new(&record, number));
    let (child, late) = (Scope::new(&record, CHILD | 7), Scope::new(&record, CHILD | 8));
    spawn(10);
    outer.polled(|| {
        spawn(1);
        outer.spawn(&child, 0);
        spawn(1);
        inner.polled(|| spawn(2));
        outer.spawn(&late, 0);
        // Its own id, and one that is nobody's.
        spawn(2);
    });
    spawn(20);
    child.polled(|| spawn(4));
    outer.polled(|| ());
    inner.end();
    outer.end();
    // A child that outlives its request.
    late.polled(|| spawn(8));
    let view = session.collect();
    assert_eq!((view.ended(&outer).ids_given, view.ended(&inner).ids_given), (1 + 1 + 4, 2));
    view.lost(&[(Loss::ChildPerhapsUnfollowed, 1 + 1 + 4 + 2 + 8)]);
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
