//! A probe site that is wrong: what reaches it is refused and counted there, and it is taken out without what loading programs takes.

use profiler_common::hits::{FIRST_HITS, SiteHits};
use profiler_common::loss::Loss;
use profiler_common::site::{Site, SiteRole};
use profiler_daemon::attach::{LinkKind, Probe};
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::poll::{pending, poll};
use crate::player::task::{Kind, Task};
use crate::player::triggers;
use crate::session::{Session, Wish, probe, task_probes};

/// A poll's start of the first type, at a function that has nothing to do with it and takes a header all the same.
fn wrong() -> Probe {
    let wrong = probe(SiteRole::PollStart, triggers::trigger_wake as *const ());
    Probe { site: Site { task_type: Kind::First as u32, ..wrong.site }, ..wrong }
}

fn with_a_wrong_site(links: Option<LinkKind>) -> Session {
    let mut probes: Vec<Probe> = task_probes().into_iter().filter(|probe| probe.site.role != SiteRole::Wake).collect();
    probes.push(wrong());
    let usual = Wish::default();
    Session::open_with(&Wish { probes, links: links.unwrap_or(usual.links), ..usual })
}

fn hits(session: &mut Session, function: *const ()) -> SiteHits {
    let hits = session.attached.site_hits().unwrap_or_else(|error| panic!("{error}"));
    hits.iter().find(|(address, _)| *address == function as u64).map_or_else(SiteHits::default, |(_, hits)| *hits)
}

const WRONG: *const () = triggers::trigger_wake as *const ();
const RIGHT: *const () = triggers::trigger_poll as *const ();

/// Runs `act` on a thread without any capability but `CAP_BPF`, as the daemon's threads are after the attach.
fn without_perfmon<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    /// `_LINUX_CAPABILITY_VERSION_3`, for this thread; then effective, permitted and inheritable of capabilities 0 to 31, and of those from 32 on.
    const HEADER: [u32; 2] = [0x2008_0522, 0];
    /// `CAP_BPF` (include/uapi/linux/capability.h) is number 39.
    const SETS: [u32; 6] = [0, 0, 0, 1 << (39 - 32), 1 << (39 - 32), 0];
    let reduced = || {
        // SAFETY: a header and two sets, as capset(2) wants them, and which it does not keep.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), SETS.as_ptr()) }, 0);
        act()
    };
    std::thread::scope(|scope| scope.spawn(reduced).join().unwrap_or_else(|_| panic!("it panicked")))
}

fn is_taken_out_alone(links: Option<LinkKind>) {
    let mut session = with_a_wrong_site(links);
    let (first, second) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    pending(&first, || ());
    // Neither a task that was polled before nor one that is new leaves a poll there.
    (0..40).for_each(|_| triggers::trigger_wake(second.header()));
    pending(&second, || ());
    (0..2).for_each(|_| triggers::trigger_wake(second.header()));
    let view = session.collect();
    assert_eq!((view.task(&first).polls, view.task(&second).polls), (1, 1));
    view.lost(&[(Loss::VtableMismatch, 42)]);
    assert_eq!(hits(&mut session, WRONG), SiteHits { accepted: 0, refused: 42 });
    assert_eq!(hits(&mut session, RIGHT), SiteHits { accepted: 2, refused: 0 });

    let before = session.attached.probes();
    let taken = without_perfmon(|| session.attached.take_out(&[wrong().offset]));
    assert_eq!(taken.unwrap_or_else(|error| panic!("{error}")), 1);
    assert!(session.attached.probes() <= before);
    (0..40).for_each(|_| triggers::trigger_wake(second.header()));
    assert_eq!(hits(&mut session, WRONG).refused, 42, "it is still in");
    // The others see what they saw, and each once.
    pending(&first, || ());
    pending(&second, || ());
    let view = session.collect();
    assert_eq!((view.task(&first).polls, view.task(&second).polls), (2, 2));
    view.lost(&[(Loss::VtableMismatch, 42), (Loss::SiteTakenOut, 1)]);
}

/// Check that a wrong site goes, and only that.
#[test]
fn a_wrong_site_is_taken_out_alone() -> Result<()> {
    needs_root!();
    let _turn = turn();
    is_taken_out_alone(None);
    Ok(())
}

/// Check the same where each site has a link of its own.
#[test]
fn a_wrong_site_of_a_link_of_its_own_is_taken_out_alone() -> Result<()> {
    needs_root!();
    let _turn = turn();
    is_taken_out_alone(Some(LinkKind::Single));
    Ok(())
}

/// Check that accepted hits are counted at first only, and that what is unknown or unreadable is refused where it shows.
#[test]
fn first_hits_are_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let tasks: Vec<Task> = (1..=FIRST_HITS + 4).map(|id| Task::new(Kind::First, id)).collect();
    for task in &tasks {
        pending(task, || ());
        pending(task, || ());
    }
    assert_eq!(hits(&mut session, RIGHT), SiteHits { accepted: FIRST_HITS, refused: 0 });
    let unknown = Task::new(Kind::Unknown, 99);
    poll(&unknown, || ());
    triggers::trigger_idle(unknown.header());
    triggers::trigger_complete(unknown.header());
    assert_eq!(hits(&mut session, RIGHT), SiteHits { accepted: FIRST_HITS, refused: 1 });
    for end in [triggers::trigger_idle as *const (), triggers::trigger_complete as *const ()] {
        assert_eq!(hits(&mut session, end), SiteHits { accepted: 0, refused: 1 });
    }
    session.collect().lost(&[(Loss::EndWithoutStart, 1), (Loss::VtableMismatch, 1), (Loss::TaskUnseen, 1)]);
    Ok(())
}
