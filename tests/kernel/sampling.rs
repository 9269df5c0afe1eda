//! The sampling clock: as many samples as its rate says, in polls and nowhere else.

use profiler_common::limits::STACK_FRAMES;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{self, MS, spin};
use crate::player::poll::{pending, ready, spawn};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::session::{Session, Wish, all_probes};

const RATE_HZ: u32 = 997;

fn sampling(sample_all: bool, wanted: &[&[u8]]) -> Session {
    let wanted = Some(wanted.iter().map(|id| id.to_vec()).collect());
    Session::open_with(&Wish { probes: all_probes(), rate_hz: Some(RATE_HZ), sample_all, wanted, ..Wish::default() })
}

fn about(samples: usize, cpu_ns: u64) -> bool {
    let expected = u64::from(RATE_HZ) * cpu_ns / 1_000_000_000;
    (expected / 2..=expected * 2).contains(&(samples as u64))
}

/// Check that a poll that computes is sampled at the rate asked for, and that nothing outside polls is.
#[test]
fn samples_come_at_their_rate_and_in_polls_only() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = sampling(true, &[]);
    spin(100 * MS);
    assert_eq!(session.collect().0.samples, []);
    let task = Task::new(Kind::Second, 7);
    let whole = pending(&task, || spin(400 * MS));
    spin(100 * MS);
    let view = session.collect();
    let running_ns = view.task(&task).states.running_ns;
    assert!(about(view.0.samples.len(), running_ns), "{} samples in {running_ns} ns", view.0.samples.len());
    // SAFETY: no arguments.
    let tid = unsafe { libc::gettid() }.cast_unsigned();
    for sample in &view.0.samples {
        assert_eq!((sample.stack.tid, sample.stack.task_id, sample.stack.task_type), (tid, 7, Some(Kind::Second as u32)));
        assert!((whole.start.before..=whole.end.after).contains(&sample.stack.time_ns));
        assert!((1..=STACK_FRAMES).contains(&sample.stack.frames.len()));
        assert_eq!(sample.stack.requests, [0; 4]);
        assert_eq!(sample.period_ns, 1_000_000_000 / u64::from(RATE_HZ));
    }
    view.lost(&[]);
    Ok(())
}

/// Check that a sample's leaf is where the thread was.
#[test]
fn a_sample_says_where_the_thread_was() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = sampling(true, &[]);
    ready(&Task::new(Kind::First, 7), || {
        clock::count_for(200 * MS);
    });
    let view = session.collect();
    let at = clock::count as *const () as u64;
    let within = |address: &u64| (at..at + 8).contains(address);
    let inside = view.0.samples.iter().filter(|sample| sample.stack.frames.first().is_some_and(within)).count();
    assert!(inside * 2 > view.0.samples.len() && inside > 20, "{inside} of {}", view.0.samples.len());
    Ok(())
}

/// Check that only what lies inside a wanted request is sampled where not all is wanted, its children included.
#[test]
fn only_wanted_requests_are_sampled() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = sampling(false, &[b"order-42", b"inner"]);
    let records = [&b"order-42"[..], b"inner", b"unwanted"].map(Record::new);
    let (outer, inner, unwanted) = (Scope::new(&records[0], 1), Scope::new(&records[1], 2), Scope::new(&records[2], 3));
    let child = Task::new(Kind::Second, 8);
    let task = Task::new(Kind::First, 7);
    pending(&task, || {
        spin(60 * MS);
        unwanted.polled(|| spin(60 * MS));
        outer.polled(|| {
            spawn(&child);
            spin(100 * MS);
            inner.polled(|| spin(100 * MS));
        });
        spin(60 * MS);
    });
    ready(&child, || spin(100 * MS));
    let view = session.collect();
    let count = |requests: [u64; 4], task: u64| {
        let alike = view.0.samples.iter().filter(|sample| sample.stack.requests == requests && sample.stack.task_id == task);
        alike.count()
    };
    let (own, nested, of_child) = (count([1, 0, 0, 0], 7), count([2, 1, 0, 0], 7), count([1, 0, 0, 0], 8));
    assert_eq!(own + nested + of_child, view.0.samples.len());
    for samples in [own, nested, of_child] {
        assert!(about(samples, 100 * MS), "{own} {nested} {of_child}");
    }
    Ok(())
}
