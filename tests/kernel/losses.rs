//! What cannot be believed or read: each counted under its own name, and no row made of it.

use std::ptr;

use profiler_common::limits::FRAME_DEPTH;
use profiler_common::loss::Loss;
use profiler_common::site::{Site, SiteRole};
use profiler_daemon::attach::Probe;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep};
use crate::player::poll::{deeper, enter, pending, poll, ready, spawn, unfinished_poll, wake};
use crate::player::registers;
use crate::player::task::{HEADER_BYTES, Kind, Task};
use crate::player::triggers;
use crate::session::{Session, Wish, probe, task_probes};

/// Memory that cannot be read.
struct Unreadable(*mut libc::c_void);

const PAGE: usize = 4096;

impl Unreadable {
    fn new() -> Self {
        // SAFETY: a mapping of its own.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        Self(page)
    }

    fn address(&self) -> u64 {
        self.0 as u64
    }

    /// Runs `act` while a copy of the task's header can be read there.
    fn with_copy_of(&self, task: &Task, act: impl FnOnce(u64)) {
        let protect = |protection| {
            // SAFETY: the mapping is ours.
            assert_eq!(unsafe { libc::mprotect(self.0, PAGE, protection) }, 0);
        };
        protect(libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a live header, which is as long; a page of ours, readable and writable now.
        unsafe { ptr::copy_nonoverlapping(task.header() as *const u8, self.0.cast(), HEADER_BYTES) };
        act(self.address());
        protect(libc::PROT_NONE);
    }
}

impl Drop for Unreadable {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

/// Check that a task at the address of one whose end was not seen is a new task: the old one is folded as it was.
#[test]
fn a_reused_address_is_another_task() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::First, 7);
    let first = pending(&task, || sleep(2));
    let old = session.collect().task(&task);
    task.become_another(Kind::Second, 8);
    let second = pending(&task, || ());
    let view = session.collect();
    let (row, folded) = (view.task(&task), view.totals(Kind::First));
    assert_eq!((row.id, row.polls, row.task_type), (8, 1, Kind::Second as u32));
    assert!(second.start.holds(row.first_ns), "{row:?}");
    assert_eq!((folded.count, folded.polls, folded.longest_poll_ns), (1, 1, old.longest_poll_ns));
    // Its time is what was divided, up to its last event.
    assert!(first.start.until(first.end).contains(&folded.states.wall_ns()), "{folded:?}");
    view.lost(&[(Loss::AddressReused, 1)]);

    // The same type and another id is another task as well, also where it is seen at its spawn.
    task.become_another(Kind::Second, 9);
    spawn(&task);
    let view = session.collect();
    assert_eq!((view.task(&task).id, view.task(&task).polls, view.totals(Kind::Second).count), (9, 0, 1));
    view.lost(&[(Loss::AddressReused, 2)]);
    Ok(())
}

/// Check that a task type without ids works, with the address alone.
#[test]
fn tasks_without_ids_are_kept_by_address() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::WithoutId, 7);
    spawn(&task);
    pending(&task, || ());
    wake(&task);
    ready(&task, || ());
    let view = session.collect();
    let totals = view.totals(Kind::WithoutId);
    assert_eq!((totals.count, totals.polls, totals.wakes, totals.wakes_unseen), (1, 2, 1, 0));
    view.lost(&[]);
    Ok(())
}

/// Check that a header whose vtable is no known type's makes no row.
#[test]
fn an_unknown_vtable_makes_no_row() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let task = Task::new(Kind::Unknown, 7);
    spawn(&task);
    poll(&task, || ());
    wake(&task);
    let view = session.collect();
    assert!(view.0.tasks.is_empty());
    view.lost(&[(Loss::VtableMismatch, 1), (Loss::UnknownType, 1)]);
    Ok(())
}

/// Check that a task which reaches the site of another type's poll makes no row there: such a site is wrong.
#[test]
fn a_site_of_another_type_is_refused() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut probes = task_probes();
    for start in probes.iter_mut().filter(|probe| probe.site.role == SiteRole::PollStart) {
        start.site.task_type = Kind::First as u32;
    }
    let mut session = Session::open_with(&Wish { probes, ..Wish::default() });
    let (right, wrong) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    pending(&right, || ());
    poll(&wrong, || ());
    let view = session.collect();
    assert_eq!((view.0.tasks.len(), view.task(&right).polls), (1, 1));
    view.lost(&[(Loss::VtableMismatch, 1)]);
    Ok(())
}

/// Check that a header that cannot be read makes no row, wherever it shows.
#[test]
fn an_unreadable_header_is_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let page = Unreadable::new();
    let unreadable = |count| [(Loss::HeaderUnreadable, count)];
    triggers::trigger_spawn(page.address());
    session.collect().lost(&unreadable(1));
    enter(triggers::trigger_poll, page.address(), || ());
    session.collect().lost(&unreadable(2));
    triggers::trigger_defer(page.address());
    session.collect().lost(&unreadable(3));
    // Nobody knows a task there, so a wake of it says nothing.
    triggers::trigger_wake(page.address());
    session.collect().lost(&unreadable(3));
    triggers::trigger_idle(page.address());
    session.collect().lost(&unreadable(4));

    // A task that is known and whose memory goes.
    page.with_copy_of(&Task::new(Kind::First, 7), |header| triggers::trigger_spawn(header));
    triggers::trigger_wake(page.address());
    let view = session.collect();
    assert_eq!(view.0.tasks.len(), 1);
    view.lost(&unreadable(5));
    Ok(())
}

/// Check that polls nested deeper than is kept are counted, and that the outer ones are still right.
#[test]
fn too_deep_a_nest_is_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let tasks: Vec<Task> = (0..=FRAME_DEPTH as u64).map(|id| Task::new(Kind::First, id + 1)).collect();
    nest(&tasks);
    let view = session.collect();
    // The innermost poll has no frame, so its end finds none.
    assert_eq!(view.totals(Kind::First).count, FRAME_DEPTH as u64 + 1);
    assert!(view.totals(Kind::First).longest_poll_ns >= FRAME_DEPTH as u64 * MS);
    view.lost(&[(Loss::FrameStackFull, 1)]);
    Ok(())
}

fn nest(tasks: &[Task]) {
    if let [first, rest @ ..] = tasks {
        ready(first, || {
            sleep(1);
            nest(rest);
        });
    }
}

/// Check that a stack of frames whose ends were all missed heals with the next poll outside.
#[test]
fn stale_frames_go_together() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let tasks: Vec<Task> = (1..=3).map(|id| Task::new(Kind::First, id)).collect();
    deeper(|| _ = poll(&tasks[0], || _ = poll(&tasks[1], || _ = unfinished_poll(&tasks[2]))));
    ready(&Task::new(Kind::Second, 9), || ());
    session.collect().lost(&[(Loss::StaleFrame, 3)]);
    Ok(())
}

/// Check that an argument is taken from the register that the site names, for each of them.
#[test]
fn every_register_is_read_as_itself() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let registers = registers::ALL;
    let probes = registers.iter().map(|(register, function, _)| {
        let probe = probe(SiteRole::Spawn, *function as *const ());
        Probe { site: Site { first: *register, ..probe.site }, ..probe }
    });
    let mut session = Session::open_with(&Wish { probes: probes.collect(), ..Wish::default() });
    let tasks: Vec<Task> = registers.iter().map(|(register, ..)| Task::new(Kind::First, *register as u64 + 100)).collect();
    for ((_, _, call), task) in registers.iter().zip(&tasks) {
        call(task.header());
    }
    let view = session.collect();
    for (task, (register, ..)) in tasks.iter().zip(registers) {
        assert_eq!(view.task(task).id, *register as u64 + 100, "{register:?}");
    }
    view.lost(&[]);
    Ok(())
}

/// Check that the misses that the kernel counts for each program can be read, and are part of the losses.
#[test]
fn recursion_misses_are_read() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_with(&Wish { probes: task_probes(), ..Wish::default() });
    ready(&Task::new(Kind::First, 7), || ());
    let misses = session.attached.recursion_misses();
    let view = session.collect();
    let counted = view.0.losses.iter().find(|(loss, _)| *loss == Loss::RecursionMiss);
    assert!(counted.is_some_and(|(_, count)| *count >= misses));
    Ok(())
}
