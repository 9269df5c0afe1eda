//! The ends of polls: every kind of site that can see one, and what becomes of a poll whose end nobody saw.

use std::sync::mpsc::channel;

use aya::maps::Array;
use profiler_common::loss::Loss;
use profiler_common::site::{Site, SiteRole};
use profiler_common::task::{POLLED, READY};
use profiler_common::thread::ThreadPlaces;
use profiler_daemon::attach::Probe;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, Move, sleep};
use crate::player::poll::{complete, deeper, enter, idle, pending, poll, ready, spawn, unfinished_poll, wake};
use crate::player::task::{Kind, Task};
use crate::player::triggers;
use crate::session::{Session, Wish, probe, task_probes};

/// Check that a poll's end is seen where the function returns, by a probe before its `ret` or by a return probe.
#[test]
fn a_return_ends_the_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let by_probe = vec![
        probe(SiteRole::PollStart, triggers::trigger_poll_with_return as *const ()),
        probe(SiteRole::PollReturn, triggers::trigger_poll_return as *const ()),
    ];
    let returned = probe(SiteRole::PollReturn, triggers::trigger_poll_returned as *const ());
    let by_return_probe =
        vec![probe(SiteRole::PollStart, triggers::trigger_poll_returned as *const ()), Probe { on_return: true, ..returned }];
    let functions = [triggers::trigger_poll_with_return, triggers::trigger_poll_returned];
    for (probes, function) in [by_probe, by_return_probe].into_iter().zip(functions) {
        let mut session = Session::open_with(&Wish { probes, ..Wish::default() });
        let (outer, inner) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
        let mut within = None;
        let around = Move::of(|| {
            enter(function, outer.header(), || {
                within = Some(Move::of(|| _ = enter(function, inner.header(), || sleep(3))));
                sleep(2);
            });
        });
        let view = session.collect();
        let (outer, inner) = (view.task(&outer), view.task(&inner));
        assert_eq!((outer.flags & POLLED, inner.flags & POLLED, outer.polls, inner.polls), (0, 0, 1, 1));
        assert!(inner.states.blocked_ns >= 2 * MS && outer.states.blocked_ns >= 4 * MS, "{outer:?} {inner:?}");
        let (around, within) = (around.after - around.before, within.map(|within| within.after - within.before));
        assert!(outer.longest_poll_ns <= around && Some(inner.longest_poll_ns) <= within, "{outer:?} {inner:?}");
        view.lost(&[]);
    }
    Ok(())
}

/// Check that start and idle are told right inside one function, behind pushes, with the start in a loop: one poll each call.
#[test]
fn inlined_sites_count_each_poll_once() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let inlined = |role, function: unsafe extern "C" fn(), repeats| {
        let probe = probe(role, function as *const ());
        Probe { site: Site { repeats, pushed: triggers::INLINED_PUSHES, ..probe.site }, ..probe }
    };
    let probes = vec![
        inlined(SiteRole::PollStart, triggers::trigger_poll_inlined_start, true),
        inlined(SiteRole::PollIdle, triggers::trigger_poll_inlined_idle, false),
    ];
    let mut session = Session::open_with(&Wish { probes, ..Wish::default() });
    let task = Task::new(Kind::First, 7);
    (0..5).for_each(|_| triggers::trigger_poll_inlined(task.header()));
    let view = session.collect();
    let row = view.task(&task);
    assert_eq!((row.polls, row.flags & POLLED), (5, 0));
    view.lost(&[]);
    Ok(())
}

/// Check that the retry of an exchange that found the task notified meanwhile turns suspended into scheduled, and ends no second poll.
#[test]
fn a_retried_idle_only_brings_the_notice() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    poll(&task, || {
        triggers::trigger_idle_retried(task.header());
        task.notify();
        triggers::trigger_idle_retried(task.header());
    });
    let view = session.collect();
    let row = view.task(&task);
    assert_eq!((row.polls, row.flags & (POLLED | READY), row.states.suspended_ns), (1, READY, 0));
    view.lost(&[]);
    Ok(())
}

/// Check that a poll that was left without an end is noticed by the next poll at its place, and by its task's next poll.
#[test]
fn a_missing_end_is_noticed() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let (left, other) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    // From one place, so that the stack pointer is the same: when the second starts, the first has gone.
    let starts = [&left, &other].map(unfinished_poll);
    session.collect().lost(&[(Loss::StaleFrame, 1)]);
    // An end from below the second poll's frame is that poll's, although its function has been left: nothing tells.
    deeper(|| _ = idle(&other));
    sleep(2);
    let again = pending(&left, || ());
    let view = session.collect();
    view.lost(&[(Loss::StaleFrame, 1), (Loss::PollEndUnseen, 1)]);
    let row = view.task(&left);
    // What lies between the two starts is nobody's: no event explains it.
    assert!(starts[0].until(again.start).contains(&row.states.unseen_ns), "{row:?}");
    assert_eq!((row.polls, row.wakes_unseen), (2, 1));
    Ok(())
}

/// Check that an end in an outer poll closes the inner poll's frame too, counted.
#[test]
fn an_outer_end_closes_what_is_inside() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let (outer, inner) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    pending(&outer, || _ = unfinished_poll(&inner));
    let view = session.collect();
    assert_eq!((view.task(&outer).flags & POLLED, view.task(&inner).flags & POLLED), (0, POLLED));
    view.lost(&[(Loss::StaleFrame, 1)]);
    Ok(())
}

/// Check that an end whose task was polled elsewhere meanwhile changes nothing and is counted.
#[test]
fn a_late_end_changes_nothing() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let (polled, polls) = channel();
    let (left, leaves) = channel::<()>();
    std::thread::scope(|scope| {
        let task = &task;
        scope.spawn(move || {
            poll(task, || {
                polled.send(()).unwrap();
                leaves.recv().unwrap();
                idle(task);
            })
        });
        polls.recv().unwrap();
        pending(task, || ());
        let before = session.collect().task(task);
        left.send(()).unwrap();
        let before = (before.polls, before.longest_poll_ns, before.generation);
        while session.collect().0.losses.iter().all(|(loss, count)| *loss != Loss::LateEnd || *count == 0) {}
        let after = session.collect().task(task);
        assert_eq!((after.polls, after.longest_poll_ns, after.generation), before);
    });
    session.collect().lost(&[(Loss::PollEndUnseen, 1), (Loss::LateEnd, 1)]);
    Ok(())
}

/// Check that ends of polls that began before the window are counted and make no row.
#[test]
fn an_end_without_a_start_makes_no_row() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::attach(&Wish::default());
    let (idled, known, completed) = (Task::new(Kind::First, 7), Task::new(Kind::First, 8), Task::new(Kind::First, 9));
    poll(&idled, || {
        session.attached.open().unwrap();
        // Something must make the thread known.
        ready(&known, || ());
        idle(&idled);
    });
    complete(&completed);
    let view = session.collect();
    assert!(view.0.tasks.is_empty());
    assert_eq!(view.totals(Kind::First).count, 1);
    view.lost(&[(Loss::EndWithoutStart, 1), (Loss::TaskUnseen, 1)]);
    Ok(())
}

/// Check that a thread's row goes with the thread, and that its task's row stays.
#[test]
fn a_thread_takes_its_row_along() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let (tid, stays, leaves) = {
        let (told, tells) = channel();
        let (leave, leaves) = channel::<()>();
        let header = task.header();
        let thread = std::thread::spawn(move || {
            enter(triggers::trigger_poll, header, || triggers::trigger_idle(header));
            // SAFETY: no arguments.
            told.send(unsafe { libc::gettid() }.cast_unsigned()).unwrap();
            leaves.recv().unwrap();
        });
        (tells.recv().unwrap(), thread, leave)
    };
    assert!(threads(&mut session).contains(&tid));
    leaves.send(()).unwrap();
    stays.join().unwrap();
    // Before 6.16 a join can come back before the thread says that it exits (kernel/exit.c, `do_exit`).
    let given_up = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while threads(&mut session).contains(&tid) {
        assert!(std::time::Instant::now() < given_up, "thread {tid} has left its row behind");
    }
    let row = session.collect().task(&task);
    assert_eq!((row.tid, row.polls), (tid, 1));
    Ok(())
}

fn threads(session: &mut Session) -> Vec<u32> {
    let map = session.attached.ebpf().map_mut("THREAD_PLACES").unwrap();
    let places: Array<_, ThreadPlaces> = map.try_into().unwrap();
    places.get(&0, 0).unwrap().made().map(|(_, tid)| tid).collect()
}

/// Check that a wake and a spawn come from a thread that has never polled, and that neither makes a row of it.
#[test]
fn waking_and_spawning_threads_have_no_row() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_with(&Wish { probes: task_probes(), ..Wish::default() });
    let task = Task::new(Kind::First, 7);
    spawn(&task);
    task.start_running();
    wake(&task);
    assert!(threads(&mut session).is_empty());
    let view = session.collect();
    assert_eq!((view.task(&task).wakes, view.task(&task).polls), (1, 0));
    view.lost(&[]);
    Ok(())
}
