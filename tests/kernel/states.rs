//! Each of the five states, brought about on purpose.

use profiler_common::states::States;
use profiler_common::task::state_word::CANCELLED;
use profiler_daemon::collect::Doing;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep, spin};
use crate::player::poll::{complete, defer, idle, pending, poll, ready, spawn, wake};
use crate::player::task::{Kind, Task};
use crate::session::{Session, View};

/// The time in polls (ns).
fn polled(states: &States) -> u64 {
    states.running_ns + states.preempted_ns + states.blocked_ns
}

/// Check that a poll that computes is running, as long as the thread's own CPU clock says.
#[test]
fn a_busy_poll_runs() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let whole = pending(&task, || spin(20 * MS));
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let row = view.task(&task);
    assert!(whole.start.until(whole.end).contains(&polled(&row.states)), "{whole:?} {row:?}");
    assert!(row.states.running_ns >= whole.cpu_ns - whole.cpu_ns / 50, "{whole:?} {row:?}");
    assert!(row.states.blocked_ns < MS, "{row:?}");
    assert_eq!((row.id, row.polls, row.states.stopped_ns), (7, 1, 0));
    assert_eq!(row.longest_poll_ns, polled(&row.states));
    session.collect().lost(&[]);
    Ok(())
}

/// Check that a poll whose thread sleeps in the kernel is blocked.
#[test]
fn a_sleeping_poll_is_blocked() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let whole = pending(&task, || sleep(20));
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let row = view.task(&task);
    assert!(whole.start.until(whole.end).contains(&polled(&row.states)), "{whole:?} {row:?}");
    // The sleep ends with the wake-up; how long the thread then waits for a CPU is preempted.
    assert!(row.states.blocked_ns >= 19 * MS, "{row:?}");
    assert!(row.states.running_ns < 5 * MS, "{row:?}");
    assert_eq!(row.states.stopped_ns, 0);
    Ok(())
}

/// Check that a poll that still sleeps when it is looked at is blocked up to that moment.
#[test]
fn an_open_poll_is_divided_up_to_now() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    std::thread::scope(|scope| {
        let (started, starts) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let task = &task;
        scope.spawn(move || {
            pending(task, || {
                started.send(()).unwrap();
                // Until it is told, or nobody is there to tell.
                let _ = ends.recv();
            })
        });
        starts.recv().unwrap();
        // It is open however late we look; how late it came to wait is the machine's business.
        let view = std::iter::repeat_with(|| {
            sleep(30);
            session.collect()
        });
        let is_blocked = |view: &View| view.live(task).is_some_and(|live| live.row.states.blocked_ns >= 20 * MS);
        let view = view.take(100).find(is_blocked).expect("the poll never waits");
        drop(end);
        let live = view.live(task).unwrap();
        assert_eq!(live.doing, Doing::Blocked);
        assert_eq!(live.row.last_ns, view.0.at_ns);
        assert!(live.row.states.blocked_ns >= 20 * MS, "{live:?}");
    });
    Ok(())
}

/// Check that a gap between polls is suspended until the wake and scheduled from it on.
#[test]
fn a_wake_splits_the_gap() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let first = pending(&task, || ());
    sleep(5);
    assert_eq!(session.collect().live(&task).unwrap().doing, Doing::Suspended);
    let woken = wake(&task);
    sleep(3);
    assert_eq!(session.collect().live(&task).unwrap().doing, Doing::Scheduled);
    let second = pending(&task, || ());
    let row = session.collect().task(&task);
    // What is suspended since the second poll is in the row too, up to the moment of the reading.
    let since = row.last_ns - second.end.after..=row.last_ns - second.end.before;
    let suspended = first.end.until(woken);
    let suspended = suspended.start() + since.start()..=suspended.end() + since.end();
    assert!(suspended.contains(&row.states.suspended_ns), "{suspended:?} {row:?}");
    assert!(woken.until(second.start).contains(&row.states.scheduled_ns), "{row:?}");
    assert_eq!((row.polls, row.wakes, row.wakes_unseen, row.states.unseen_ns), (2, 1, 0, 0));
    session.collect().lost(&[]);
    Ok(())
}

/// Check that only the first of several wakes counts, and that one of a notified task does not.
#[test]
fn the_first_wake_counts() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    pending(&task, || ());
    let woken = wake(&task);
    sleep(3);
    wake(&task);
    let second = ready(&task, || ());
    let totals = session.collect().totals(Kind::First);
    assert!(woken.until(second.start).contains(&totals.states.scheduled_ns), "{totals:?}");
    assert_eq!((totals.count, totals.polls, totals.wakes), (1, 2, 1));
    Ok(())
}

/// Check that a poll that ends with its task notified leaves it scheduled.
#[test]
fn a_task_woken_while_polled_is_scheduled() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let first = pending(&task, || _ = wake(&task));
    sleep(5);
    assert_eq!(session.collect().live(&task).unwrap().doing, Doing::Scheduled);
    let second = ready(&task, || ());
    let totals = session.collect().totals(Kind::First);
    assert!(first.end.until(second.start).contains(&totals.states.scheduled_ns), "{totals:?}");
    assert_eq!((totals.states.suspended_ns, totals.wakes, totals.wakes_unseen), (0, 1, 0));
    Ok(())
}

/// Check that a gap whose wake was not seen is suspended, and marked as what no event explains.
#[test]
fn an_unseen_wake_is_owned_up_to() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let first = pending(&task, || ());
    sleep(2);
    let second = ready(&task, || ());
    let totals = session.collect().totals(Kind::First);
    assert!(first.end.until(second.start).contains(&totals.states.suspended_ns), "{totals:?}");
    assert_eq!(totals.states.unseen_ns, totals.states.suspended_ns);
    assert_eq!((totals.wakes, totals.wakes_unseen, totals.states.scheduled_ns), (0, 1, 0));
    Ok(())
}

/// Check that a spawned task is scheduled from its spawn to its first poll.
#[test]
fn a_spawn_starts_the_clock() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let (seen, unseen) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    let spawned = spawn(&seen);
    sleep(3);
    let first = ready(&seen, || ());
    ready(&unseen, || ());
    let view = session.collect();
    let (seen, unseen) = (view.totals(Kind::First), view.totals(Kind::Second));
    assert!(spawned.until(first.start).contains(&seen.states.scheduled_ns), "{seen:?}");
    assert!(spawned.until(first.end).contains(&seen.states.wall_ns()), "{seen:?}");
    assert_eq!((seen.spawns_unseen, unseen.spawns_unseen), (0, 1));
    assert_eq!((unseen.states.scheduled_ns, unseen.states.suspended_ns), (0, 0));
    view.lost(&[]);
    Ok(())
}

/// Check that a cancelled task's poll goes on behind the idle site, until it completes.
#[test]
fn cancellation_keeps_the_poll_open() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let (mut tried, mut completed) = (None, None);
    let start = poll(&task, || {
        task.set(CANCELLED);
        tried = Some(idle(&task));
        sleep(5);
        completed = Some(complete(&task));
    });
    let view = session.collect();
    let totals = view.totals(Kind::First);
    assert!(start.until(completed.unwrap()).contains(&polled(&totals.states)), "{tried:?} {totals:?}");
    assert!(totals.states.blocked_ns >= 4 * MS, "{totals:?}");
    assert_eq!((totals.count, totals.polls), (1, 1));
    view.lost(&[]);
    Ok(())
}

/// Check that a poll inside a poll is in both, and that neither disturbs the other.
#[test]
fn polls_nest() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let (outer, inner) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    let mut within = None;
    let around = ready(&outer, || {
        spin(2 * MS);
        within = Some(ready(&inner, || spin(3 * MS)));
        spin(2 * MS);
    });
    let within = within.unwrap();
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let (outer, inner) = (view.totals(Kind::First), view.totals(Kind::Second));
    assert!(around.start.until(around.end).contains(&polled(&outer.states)), "{outer:?}");
    assert!(within.start.until(within.end).contains(&polled(&inner.states)), "{inner:?}");
    assert!(outer.states.running_ns >= inner.states.running_ns + 3 * MS, "{outer:?} {inner:?}");
    view.lost(&[]);
    Ok(())
}

/// Check that a task that defers its own wake is ready from the end of its poll on, whichever word of the waker is the header.
#[test]
fn a_deferred_wake_is_a_yield() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let vtable = 0x1234;
    let polls = [[task.header(), vtable], [vtable, task.header()]].map(|waker| {
        let whole = pending(&task, || _ = defer(waker));
        sleep(3);
        // The worker has polled its other tasks and wakes the deferred ones.
        wake(&task);
        whole
    });
    let last = ready(&task, || ());
    let totals = session.collect().totals(Kind::First);
    let gaps = [polls[0].end.until(polls[1].start), polls[1].end.until(last.start)];
    let scheduled = gaps[0].start() + gaps[1].start()..=gaps[0].end() + gaps[1].end();
    assert!(scheduled.contains(&totals.states.scheduled_ns), "{scheduled:?} {totals:?}");
    assert_eq!((totals.states.suspended_ns, totals.yields, totals.wakes_unseen), (0, 2, 0));
    session.collect().lost(&[]);
    Ok(())
}

/// Check that a task that is shut down without a poll ends, and that its time is divided up to its end.
#[test]
fn a_task_can_complete_without_a_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let (never_polled, suspended) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    let spawned = spawn(&never_polled);
    let idled = pending(&suspended, || ());
    sleep(3);
    let (first, second) = (complete(&never_polled), complete(&suspended));
    let view = session.collect();
    let (never_polled, suspended) = (view.totals(Kind::First), view.totals(Kind::Second));
    assert!(spawned.until(first).contains(&never_polled.states.scheduled_ns), "{never_polled:?}");
    assert_eq!((never_polled.count, never_polled.polls), (1, 0));
    assert!(idled.end.until(second).contains(&suspended.states.suspended_ns), "{suspended:?}");
    assert_eq!((suspended.count, suspended.polls), (1, 1));
    assert!(view.0.tasks.is_empty());
    view.lost(&[]);
    Ok(())
}
