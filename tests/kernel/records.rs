//! Records of what has a start and an end: stretches off the CPU, polls, wakes.

use profiler_common::record::{POLL_OF_SCOPE, POLL_OF_TASK};
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep, spin};
use crate::player::poll::{pending, ready, spawn, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::session::{Session, Wish, all_probes};

/// `nanosleep` and `clock_nanosleep` on x86-64.
const SLEEPS: [u32; 2] = [35, 230];

fn wishing(sample_all: bool, wanted: &[&[u8]], poll_record_ns: u64) -> Session {
    let wanted = Some(wanted.iter().map(|id| id.to_vec()).collect());
    Session::open_with(&Wish { probes: all_probes(), sample_all, wanted, poll_record_ns, ..Wish::default() })
}

/// Check that the stretches of a poll add up to what its task's row says, and that a sleep names its system call.
#[test]
fn stretches_off_the_cpu_add_up() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wishing(true, &[], u64::MAX);
    let task = Task::new(Kind::First, 7);
    pending(&task, || {
        sleep(20);
        spin(5 * MS);
        sleep(10);
    });
    sleep(5);
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let states = view.task(&task).states;
    let off = &view.0.off_cpu;
    assert_eq!(off.iter().map(|off| off.off.blocked_ns).sum::<u64>(), states.blocked_ns, "{off:?}");
    assert_eq!(off.iter().map(|off| off.off.preempted_ns).sum::<u64>(), states.preempted_ns, "{off:?}");
    let sleeps: Vec<_> = off.iter().filter(|off| off.off.blocked_ns >= 9 * MS).collect();
    assert_eq!(sleeps.len(), 2, "{off:?}");
    for stretch in sleeps {
        assert!(stretch.syscall.is_some_and(|call| SLEEPS.contains(&call)), "{stretch:?}");
        assert_eq!((stretch.stack.task_id, stretch.stack.requests), (7, [0; 4]));
        assert!(stretch.stack.poll_start_ns <= stretch.stack.time_ns && !stretch.stack.frames.is_empty(), "{stretch:?}");
    }
    view.lost(&[]);
    Ok(())
}

/// Check that where only a request is wanted, a sleep outside of it leaves no record.
#[test]
fn unwanted_sleeps_leave_no_record() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wishing(false, &[b"order-42"], u64::MAX);
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 3);
    pending(&Task::new(Kind::First, 7), || {
        sleep(10);
        scope.polled(|| sleep(10));
        sleep(10);
    });
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let sleeps: Vec<_> = view.0.off_cpu.iter().filter(|off| off.off.blocked_ns >= 9 * MS).collect();
    assert_eq!(sleeps.len(), 1, "{:?}", view.0.off_cpu);
    assert_eq!(sleeps[0].stack.requests, [3, 0, 0, 0]);
    Ok(())
}

/// Check that long polls leave records whoever's they are, short ones only if they belong to a wanted request, and that each says what its
/// row says.
#[test]
fn polls_leave_records() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wishing(false, &[b"order-42"], 20 * MS);
    let (long, short, child) = (Task::new(Kind::First, 7), Task::new(Kind::First, 8), Task::new(Kind::Second, 9));
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 3);
    pending(&long, || spin(25 * MS));
    let unrecorded = Task::new(Kind::Second, 10);
    pending(&unrecorded, || spin(MS));
    pending(&short, || {
        scope.polled(|| {
            spawn(&child);
        });
    });
    ready(&child, || spin(MS));
    let view = session.collect();
    let spans: Vec<_> = view.0.polls.iter().map(|poll| (poll.task_id, poll.what, poll.request)).collect();
    // A short poll is one that took less than asked for: on a busy machine its thread may have lost its CPU for longer.
    let is_long = view.task(&unrecorded).longest_poll_ns >= 20 * MS;
    let mut expected = vec![(7, POLL_OF_TASK, 0)];
    expected.extend(is_long.then_some((10, POLL_OF_TASK, 0)));
    expected.extend([(8, POLL_OF_SCOPE, 3), (8, POLL_OF_TASK, 0), (9, POLL_OF_TASK, 3)]);
    assert_eq!(spans, expected);
    let row = view.task(&long);
    let first = &view.0.polls[0];
    assert_eq!(first.end_ns - first.start_ns, row.longest_poll_ns);
    assert_eq!(first.off.preempted_ns, row.states.preempted_ns);
    view.lost(&[]);
    Ok(())
}

/// Check that an effective wake leaves a record that says who woke, and that only the first of several does.
#[test]
fn wakes_leave_records() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let wish = Wish { probes: all_probes(), wake_all: true, ..Wish::default() };
    let mut session = Session::open_with(&wish);
    let (sleeper, other) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    pending(&sleeper, || {});
    let mut moment = None;
    pending(&other, || {
        moment = Some(wake(&sleeper));
    });
    pending(&sleeper, || {});
    let view = session.collect();
    let seen: Vec<_> = view.0.wakes.iter().map(|record| (record.task_id, record.by_task_id)).collect();
    assert_eq!(seen, [(7, 8)]);
    let moment = moment.expect("the other was polled");
    assert!((moment.before..=moment.after).contains(&view.0.wakes[0].time_ns));
    view.lost(&[]);
    Ok(())
}
