//! Scopes: which make rows, and how their time is divided.

use std::ptr;

use profiler_common::loss::Loss;
use profiler_common::scope::{INSIDE, NO_TASK};
use profiler_common::states::States;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep, spin};
use crate::player::poll::{pending, poll, ready, spawn, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::session::{Session, Wish, all_probes};

/// A session that wants these requests only.
pub(crate) fn wanting(ids: &[&[u8]]) -> Session {
    let wanted = Some(ids.iter().map(|id| id.to_vec()).collect());
    Session::open_with(&Wish { probes: all_probes(), wanted, ..Wish::default() })
}

fn polled(states: &States) -> u64 {
    states.running_ns + states.preempted_ns + states.blocked_ns
}

/// Check that a request's time is its own: inside, between its polls, and from the wake that led back into it.
#[test]
fn a_request_is_divided_like_a_task() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let (task, record) = (Task::new(Kind::Second, 7), Record::new(b"order-42"));
    let scope = Scope::new(&record, 5);
    let (mut first, mut second) = (None, None);
    pending(&task, || {
        sleep(2);
        first = Some(scope.polled(|| sleep(4)));
    });
    let view = session.collect();
    let row = view.request(&scope);
    assert_eq!(
        (row.flags & (INSIDE | NO_TASK), row.task, row.task_id, row.task_type),
        (0, task.header(), 7, Kind::Second as u32)
    );
    sleep(3);
    let woken = wake(&task);
    sleep(2);
    let mut ended = None;
    ready(&task, || {
        // In its task's poll, but not in its own: it is still scheduled.
        sleep(1);
        second = Some(scope.polled(|| spin(2 * MS)));
        ended = Some(scope.end());
    });
    let view = session.collect();
    if view.hides_a_switch() {
        return Ok(());
    }
    let row = view.ended(&scope);
    let (first, second, ended) = (first.unwrap(), second.unwrap(), ended.unwrap());
    assert_eq!(row.id(), b"order-42");
    assert!(first.0.holds(row.first_ns) && ended.holds(row.last_ns));
    let (one, two) = (first.0.until(first.1), second.0.until(second.1));
    assert!((one.start() + two.start()..=one.end() + two.end()).contains(&polled(&row.states)), "{row:?}");
    assert!(row.states.blocked_ns >= 3 * MS && row.states.running_ns >= 19 * MS / 10, "{row:?}");
    assert!(woken.until(second.0).contains(&row.states.scheduled_ns), "{row:?}");
    // Between its last exit and its end, in one poll, nothing wakes it: that is suspended too.
    let (to_wake, to_end) = (first.1.until(woken), second.1.until(ended));
    let suspended = to_wake.start() + to_end.start()..=to_wake.end() + to_end.end();
    assert!(suspended.contains(&row.states.suspended_ns), "{suspended:?} {row:?}");
    assert_eq!((row.polls, row.wakes, row.wakes_unseen, row.states.unseen_ns), (2, 1, 0, 0));
    assert!(view.0.live_requests.is_empty());
    view.lost(&[]);
    Ok(())
}

/// Check that a poll of the task that does not enter the scope leaves it suspended.
#[test]
fn a_poll_beside_the_scope_leaves_it_suspended() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let (task, record) = (Task::new(Kind::First, 7), Record::new(b"order-42"));
    let scope = Scope::new(&record, 5);
    let (mut first, mut second) = (None, None);
    pending(&task, || first = Some(scope.polled(|| ())));
    wake(&task);
    sleep(1);
    pending(&task, || sleep(2));
    sleep(1);
    let woken = wake(&task);
    ready(&task, || {
        second = Some(scope.polled(|| ()));
        scope.end();
    });
    let row = session.collect().ended(&scope);
    // What lies between the last exit and the end is suspended too.
    let gap = first.unwrap().1.until(woken);
    assert!((*gap.start()..=*gap.end() + MS).contains(&row.states.suspended_ns), "{row:?}");
    assert!(woken.until(second.unwrap().0).end() + MS >= row.states.scheduled_ns, "{row:?}");
    Ok(())
}

/// Check that only the requests that are asked for make rows, and that one asked for later starts then.
#[test]
fn unwanted_requests_make_no_rows() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wanting(&[b"order-42"]);
    let ids: [&[u8]; 3] = [b"order-42", b"order-4", b"order-421"];
    let records = ids.map(Record::new);
    let scopes: Vec<Scope> = (1_u64..).zip(&records).map(|(sequence, record)| Scope::new(record, sequence)).collect();
    let enter_all = || scopes.iter().for_each(|scope| _ = scope.polled(|| ()));
    let (first, second) = (Task::new(Kind::First, 7), Task::new(Kind::First, 8));
    pending(&first, enter_all);
    let view = session.collect();
    assert_eq!(view.0.live_requests.len(), 1);
    assert_eq!(view.request(&scopes[0]).id(), b"order-42");

    session.attached.want(b"order-421").unwrap();
    pending(&second, enter_all);
    let view = session.collect();
    assert_eq!(view.0.live_requests.len(), 2);
    assert_eq!((view.request(&scopes[0]).polls, view.request(&scopes[2]).polls), (2, 1));
    for scope in &scopes {
        let _ = scope.end();
    }
    let view = session.collect();
    assert_eq!((view.0.live_requests.len(), view.0.ended_requests.len()), (0, 2));
    view.lost(&[]);
    Ok(())
}

/// Check that the longest id there may be is kept whole, and that a longer one cannot be asked for.
#[test]
fn ids_of_every_length_are_kept_whole() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let (longest, shortest) = ([b'x'; 64], [0_u8]);
    let mut session = wanting(&[&longest, &shortest]);
    assert!(session.attached.want(&[b'x'; 65]).is_err());
    for (sequence, id) in [(1, &longest[..]), (2, &shortest[..])] {
        let record = Record::new(id);
        let scope = Scope::new(&record, sequence);
        scope.polled(|| ());
        scope.end();
        assert_eq!(session.collect().ended(&scope).id(), id);
    }
    Ok(())
}

/// Check that a nested scope with another id is a request of its own and that the outer one goes on, and that it is the same for an
/// instance with the same id.
#[test]
fn nested_scopes_are_requests_of_their_own() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let (outer, inner) = (Record::new(b"outer"), Record::new(b"inner"));
    let (outer, inner, again) = (Scope::new(&outer, 1), Scope::new(&inner, 2), Scope::new(&inner, 3));
    ready(&Task::new(Kind::First, 7), || {
        outer.polled(|| {
            for scope in [&inner, &again] {
                scope.polled(|| sleep(2));
                scope.end();
            }
        });
        outer.end();
    });
    let view = session.collect();
    let rows = [&outer, &inner, &again].map(|scope| view.ended(scope));
    assert_eq!(rows.map(|row| row.polls), [1, 1, 1]);
    assert_eq!([rows[0].id(), rows[1].id(), rows[2].id()], [&b"outer"[..], b"inner", b"inner"]);
    assert!(rows[0].states.blocked_ns >= rows[1].states.blocked_ns + rows[2].states.blocked_ns, "{rows:?}");
    assert!(rows[0].first_ns < rows[1].first_ns && rows[1].last_ns < rows[2].first_ns && rows[2].last_ns < rows[0].last_ns);
    view.lost(&[]);
    Ok(())
}

/// Check that a scope outside any task is a request whose `scheduled` is not known.
#[test]
fn a_scope_outside_any_task_says_so() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 1);
    scope.polled(|| ());
    sleep(2);
    scope.polled(|| ());
    scope.end();
    let row = session.collect().ended(&scope);
    assert_eq!((row.flags & NO_TASK, row.task, row.task_type, row.states.scheduled_ns), (NO_TASK, 0, u32::MAX, 0));
    assert!(row.states.suspended_ns >= 2 * MS);
    Ok(())
}

/// Check that a scope that is dropped inside its own poll, before its exit, ends there.
#[test]
fn a_scope_can_end_inside_its_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 1);
    let (mut entered, mut ended) = (None, None);
    ready(&Task::new(Kind::First, 7), || {
        entered = Some(scope.enter());
        sleep(2);
        ended = Some(scope.end());
        scope.exit();
    });
    let view = session.collect();
    let row = view.ended(&scope);
    assert!(entered.unwrap().until(ended.unwrap()).contains(&polled(&row.states)), "{row:?}");
    view.lost(&[]);
    Ok(())
}

/// Check that records that cannot be read or make no sense make no rows, each counted.
#[test]
fn bad_records_are_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let bad = [Record::claiming(0, b"order-42"), Record::claiming(65, b"order-42"), Record::claiming(255, b"")];
    for (sequence, record) in (1_u64..).zip(&bad) {
        let scope = Scope::new(record, sequence);
        scope.polled(|| ());
        scope.end();
    }
    for (sequence, address) in [(8, 0), (9, u64::MAX - 40), (10, 1 << 63)] {
        let scope = Scope::with_record_at(address, sequence);
        scope.polled(|| ());
        scope.end();
    }
    // The length can be read, the id behind it cannot.
    let pages = PageBeforeNothing::new();
    let scope = Scope::with_record_at(pages.end() - 60, 11);
    scope.polled(|| ());
    // Left without having been entered.
    scope.exit();
    let view = session.collect();
    assert!(view.0.live_requests.is_empty() && view.0.ended_requests.is_empty());
    view.lost(&[(Loss::RecordUnreadable, 4), (Loss::RecordMalformed, 3), (Loss::ScopeExitUnmatched, 1)]);
    Ok(())
}

/// A page full of ones, with one behind it that cannot be read.
struct PageBeforeNothing(*mut libc::c_void);

const PAGE: usize = 4096;

impl PageBeforeNothing {
    fn new() -> Self {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a mapping of its own.
        let pages = unsafe { libc::mmap(ptr::null_mut(), 2 * PAGE, protection, flags, -1, 0) };
        assert_ne!(pages, libc::MAP_FAILED);
        // SAFETY: a page of ours.
        unsafe { pages.cast::<u8>().write_bytes(1, PAGE) };
        let second = pages.wrapping_byte_add(PAGE);
        // SAFETY: the second page of ours.
        assert_eq!(unsafe { libc::mprotect(second, PAGE, libc::PROT_NONE) }, 0);
        Self(pages)
    }

    fn end(&self) -> u64 {
        self.0 as u64 + PAGE as u64
    }
}

impl Drop for PageBeforeNothing {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { libc::munmap(self.0, 2 * PAGE) };
    }
}

/// Check that a scope whose poll was left without an exit goes with the poll around it.
#[test]
fn a_scope_goes_with_its_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let (record, child) = (Record::new(b"order-42"), Task::new(Kind::First, 8));
    let scope = Scope::new(&record, 1);
    let task = Task::new(Kind::First, 7);
    poll(&task, || _ = scope.enter());
    // The next poll on this thread is not inside that request.
    pending(&Task::new(Kind::First, 9), || _ = spawn(&child));
    let view = session.collect();
    assert_eq!(view.task(&child).request, 0);
    assert_eq!(view.request(&scope).flags & INSIDE, INSIDE);
    Ok(())
}

/// Check that a request can be asked for by the trace that it is part of.
#[test]
fn a_request_is_wanted_by_its_trace() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let trace = std::array::from_fn(|place| u8::try_from(place * 0x11).unwrap());
    let wish = Wish { probes: all_probes(), wanted: Some(Vec::new()), wanted_traces: vec![trace], ..Wish::default() };
    let mut session = Session::open_with(&wish);
    let task = Task::new(Kind::First, 3);
    let (asked, other) = (Record::traced(trace, b"order-42"), Record::traced([7; 16], b"order-43"));
    let (asked, other) = (Scope::new(&asked, 5), Scope::new(&other, 6));
    pending(&task, || {
        asked.polled(|| spin(MS));
        other.polled(|| spin(MS));
    });
    let view = session.collect();
    let row = view.request(&asked);
    assert_eq!((row.id(), row.trace_id), (&b"order-42"[..], trace));
    assert_eq!(view.0.live_requests.len(), 1, "nobody asked for the other");
    Ok(())
}

/// Check that a wanted request whose end was lost does not keep the sampling clock fast for ever, and that one that goes on does.
#[test]
fn a_lost_end_does_not_stay_in_flight() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wanting(&[b"order-42"]);
    let record = Record::new(b"order-42");
    let (lost, goes_on) = (Scope::new(&record, 5), Scope::new(&record, 6));
    for scope in [&lost, &goes_on] {
        scope.polled(|| ());
    }
    assert!(session.is_request_in_flight());
    session.lose_row(&lost);
    // Rows are looked for once a second.
    for _ in 0..3 {
        sleep(1100);
        assert!(session.is_request_in_flight(), "the other goes on");
    }
    session.lose_row(&goes_on);
    sleep(1100);
    assert!(!session.is_request_in_flight());
    Ok(())
}
