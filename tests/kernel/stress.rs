//! Reading while others write at full speed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use profiler_common::loss::Loss;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::poll::{pending, ready, spawn, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::session::{Session, View};

const LASTS: Duration = Duration::from_secs(1);

/// Only what reading a row under its writer's hands can cost, switches that the kernel hides, stacks, for which nothing is loaded here, and
/// records of polls: a fast machine makes more of them in this time than the daemon keeps, and no row depends on them.
fn nothing_but_torn_rows(view: &View) {
    let excused = [Loss::RowTorn, Loss::SwitchInUnseen, Loss::UnwindNoMapping, Loss::PollDropped];
    let others = view.0.losses.iter().filter(|(loss, count)| !excused.contains(loss) && *count != 0);
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&(Loss, u64)>::new());
}

/// Tells the other threads to leave, also where a check fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Collects until the time is over; every row is checked by the collecting.
fn collect_meanwhile(session: &mut Session, mut check: impl FnMut(&View)) -> u32 {
    let (until, mut times) = (Instant::now() + LASTS, 0);
    while Instant::now() < until {
        check(&session.collect());
        times += 1;
    }
    times
}

/// Check that rows read while their task is polled and woken at full speed always add up, and that no poll or wake is lost.
#[test]
fn rows_add_up_while_they_are_written() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let (over, polls, wakes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (task, record) = (Task::new(Kind::First, 7), Record::new(b"order-42"));
    let scope = Scope::new(&record, 1);
    pending(&task, || _ = scope.polled(|| ()));
    let times = thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(SeqCst) {
                pending(&task, || _ = scope.polled(|| ()));
                polls.fetch_add(1, SeqCst);
            }
        });
        threads.spawn(|| {
            while !over.load(SeqCst) {
                wake(&task);
                wakes.fetch_add(1, SeqCst);
            }
        });
        let _over = Over(&over);
        let mut last = 0;
        collect_meanwhile(&mut session, |view| {
            if let Some(live) = view.live(&task) {
                assert!(live.row.polls >= last, "time went back");
                last = live.row.polls;
            }
        })
    });
    let view = session.collect();
    let row = view.task(&task);
    assert_eq!((row.polls, view.request(&scope).polls), (polls.load(SeqCst) + 1, polls.load(SeqCst) + 1));
    assert!(row.wakes <= wakes.load(SeqCst) && row.wakes > 0);
    assert!(times > 10 && row.polls > 1000, "{times} readings of {} polls", row.polls);
    nothing_but_torn_rows(&view);
    Ok(())
}

/// Check that a reading finds every task that lives all along, each once, while others come and go as fast as they can.
#[test]
fn live_tasks_are_found_once_while_others_come_and_go() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open();
    let live: Vec<Task> = (1..=200).map(|id| Task::new(Kind::First, id)).collect();
    for task in &live {
        let _ = spawn(task);
    }
    let (over, ended) = (AtomicBool::new(false), AtomicU64::new(0));
    let times = thread::scope(|threads| {
        threads.spawn(|| {
            let brief: Vec<Task> = (1..=20).map(|id| Task::new(Kind::Second, 1000 + id)).collect();
            while !over.load(SeqCst) {
                for task in &brief {
                    let _ = spawn(task);
                }
                for task in &brief {
                    ready(task, || ());
                    task.become_another(Kind::Second, task.id() + 100);
                    ended.fetch_add(1, SeqCst);
                }
            }
        });
        let _over = Over(&over);
        collect_meanwhile(&mut session, |view| {
            let found = view.0.tasks.iter().filter(|live| live.row.task_type == Kind::First as u32).count();
            assert_eq!(found, live.len());
        })
    });
    let view = session.collect();
    assert_eq!((view.totals(Kind::Second).count, view.0.tasks.len()), (ended.load(SeqCst), live.len()));
    assert!(times > 3, "{times} readings");
    nothing_but_torn_rows(&view);
    Ok(())
}
