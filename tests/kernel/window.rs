//! The window and the way out: nothing counts outside the one, nothing is left after the other.

use profiler_common::site::SiteRole;
use profiler_daemon::attach::{AttachError, Attached, LinkKind, Probe, UprobeMulti, uprobe_multi};
use profiler_tests::serial::turn;
use profiler_tests::text::changed_bytes;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{Move, sleep};
use crate::player::poll::{complete, idle, pending, poll, ready, spawn, wake};
use crate::player::scope::{Record, Scope};
use crate::player::semaphores::{self, Semaphore};
use crate::player::task::{Kind, Task};
use crate::player::triggers;
use crate::session::{Session, Wish, all_probes, probe};

/// The kinds of link that this kernel has.
fn link_kinds() -> Vec<LinkKind> {
    let multi = (uprobe_multi() == UprobeMulti::Works).then_some(LinkKind::Multi);
    [Some(LinkKind::Single), multi].into_iter().flatten().collect()
}

/// Check that nothing counts before the window opens and after it closes, and that what is open then is divided up to its end.
#[test]
fn only_the_window_counts() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::attach(&Wish { probes: all_probes(), ..Wish::default() });
    let record = Record::new(b"order-42");
    let everything = |task: &Task, sequence| {
        let scope = Scope::new(&record, sequence);
        spawn(task);
        pending(task, || _ = scope.polled(|| ()));
        wake(task);
        ready(task, || _ = scope.end());
    };
    everything(&Task::new(Kind::First, 1), 1);
    let view = session.collect();
    assert_eq!((view.0.tasks.len(), view.totals(Kind::First).count, view.0.ended_requests.len()), (0, 0, 0));

    let opened = session.attached.open().unwrap();
    everything(&Task::new(Kind::First, 2), 2);
    let (suspended, polled, unending) = (Task::new(Kind::Second, 3), Task::new(Kind::Second, 4), Scope::new(&record, 3));
    pending(&suspended, || ());
    let mut start = None;
    let mut closed = None;
    poll(&polled, || {
        start = Some(unending.enter());
        sleep(2);
        let mut closed_ns = 0;
        let during = Move::of(|| closed_ns = session.close());
        closed = Some((during, closed_ns));
        unending.exit();
        unending.end();
        idle(&polled);
    });
    let (during, closed_ns) = closed.unwrap();
    assert!(opened < closed_ns && during.holds(closed_ns));
    let before = session.collect();
    everything(&Task::new(Kind::First, 5), 5);
    wake(&suspended);
    complete(&polled);
    complete(&suspended);
    let after = session.collect();
    for view in [&before, &after] {
        assert_eq!((view.totals(Kind::First).count, view.totals(Kind::Second).count), (1, 0));
        assert_eq!((view.0.ended_requests.len(), view.0.live_requests.len(), view.0.tasks.len()), (1, 1, 2));
        assert_eq!([view.task(&suspended), view.task(&polled)].map(|row| row.last_ns), [closed_ns; 2]);
        assert_eq!(view.request(&unending).last_ns, closed_ns);
        view.lost(&[]);
    }
    assert_eq!(before.0.tasks, after.0.tasks);
    assert_eq!(before.0.live_requests, after.0.live_requests);
    Ok(())
}

fn with_semaphores(probes: Vec<Probe>) -> Vec<Probe> {
    probes.into_iter().zip(semaphores::ALL.iter().cycle()).map(|(probe, semaphore)| semaphore.on(probe)).collect()
}

fn raised() -> Vec<u16> {
    semaphores::ALL.iter().map(Semaphore::value).collect()
}

/// Check that semaphores are raised and the code is changed where the probes are and nowhere else, and that after the detach everything
/// is as it was.
#[test]
fn a_detach_leaves_nothing_behind() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for links in link_kinds() {
        let nop5 = probe(SiteRole::Wake, triggers::trigger_wake_nop5 as *const ());
        let probes = with_semaphores([all_probes(), vec![nop5]].concat());
        let mut offsets: Vec<u64> = probes.iter().map(|probe| probe.offset).collect();
        offsets.sort_unstable();
        let pid = std::process::id();
        assert_eq!((raised(), changed_bytes(pid)?), (vec![0; semaphores::ALL.len()], vec![]));

        let mut session = Session::open_with(&Wish { links, probes, ..Wish::default() });
        assert!(raised().iter().all(|value| *value > 0), "{links:?}: {:?}", raised());
        // Once a probe by a multi link; a perf event raises it when it is opened and again when it is switched on.
        let times = raised().iter().sum::<u16>() / u16::try_from(offsets.len()).unwrap();
        assert!((1..=2).contains(&times), "{links:?}: {:?}", raised());
        assert_eq!(changed_bytes(pid)?, offsets, "{links:?}");
        // Hit often enough for the kernel to put a call where the long nop is (arch/x86/kernel/uprobes.c, 6.18).
        let task = Task::new(Kind::First, 7);
        spawn(&task);
        task.start_running();
        (0..10).for_each(|_| triggers::trigger_wake_nop5(task.header()));
        assert_eq!(session.collect().task(&task).wakes, 10);

        session.attached.detach();
        assert_eq!((raised(), changed_bytes(pid)?), (vec![0; semaphores::ALL.len()], vec![]), "{links:?}");
        // What was seen can still be read, and nothing comes any more.
        wake(&task);
        triggers::trigger_wake_nop5(task.header());
        assert_eq!(session.collect().task(&task).wakes, 10);
    }
    Ok(())
}

/// Check that dropping a session is a detach.
#[test]
fn dropping_is_detaching() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for links in link_kinds() {
        let session = Session::open_with(&Wish { links, probes: with_semaphores(all_probes()), ..Wish::default() });
        assert!(!changed_bytes(std::process::id())?.is_empty());
        drop(session);
        assert_eq!((raised(), changed_bytes(std::process::id())?), (vec![0; semaphores::ALL.len()], vec![]), "{links:?}");
    }
    Ok(())
}

/// Check that an attach that fails half-way says which program it was and takes back what it has put in.
#[test]
fn a_failed_attach_leaves_nothing_behind() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for links in link_kinds() {
        let mut probes = with_semaphores(all_probes());
        // Scopes are entered last.
        let last = probes.iter_mut().find(|probe| probe.site.role == SiteRole::ScopeEnter).unwrap();
        last.offset = 1 << 40;
        let wish = Wish { links, probes, ..Wish::default() };
        let error = wish.with_order(|order| Attached::new(order).map(drop)).unwrap_err();
        assert!(matches!(error, AttachError::Link { program: "scope_enter", .. }), "{links:?}: {error}");
        assert_eq!((raised(), changed_bytes(std::process::id())?), (vec![0; semaphores::ALL.len()], vec![]), "{links:?}");
    }
    Ok(())
}

/// Check that two sessions on one target see the same and that the end of one is not noticed by the other.
#[test]
fn two_sessions_do_not_disturb_each_other() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let wish = Wish { probes: with_semaphores(all_probes()), ..Wish::default() };
    let mut first = Session::open_with(&wish);
    let alone = raised();
    let task = Task::new(Kind::First, 7);
    spawn(&task);
    // The kind that came later must not change what the earlier one sees.
    let kinds = link_kinds();
    let mut second = Session::open_with(&Wish { links: kinds[0], ..wish });
    // The kernel raises a semaphore for the site, not for each who listens there.
    assert_eq!(raised(), alone);
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 1);
    pending(&task, || _ = scope.polled(|| sleep(1)));
    wake(&task);
    let (one, two) = (first.collect(), second.collect());
    for view in [&one, &two] {
        assert_eq!((view.task(&task).polls, view.task(&task).wakes, view.request(&scope).polls), (1, 1, 1));
        view.lost(&[]);
    }
    second.close();
    second.attached.detach();
    assert_eq!(raised(), alone);
    drop(second);
    ready(&task, || _ = scope.end());
    let view = first.collect();
    assert_eq!((view.totals(Kind::First).polls, view.ended(&scope).polls), (2, 1));
    view.lost(&[]);
    Ok(())
}
