//! Requests that a key names: which future's value counts, when they begin and end, whose time and children are theirs.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use profiler_common::awaits::key::KEY_INLINE;
use profiler_common::awaits::node::{COROUTINE, FRAME, NO_EDGE, TASK_LOCAL, target};
use profiler_common::awaits::{Edge, Node, NodeKind, RequestKey};
use profiler_common::loss::Loss;
use profiler_common::scope::{ENDED, KEYED, START_SEEN, ScopeRow};
use profiler_daemon::attach::{AwaitTables, AwaitsOf};
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::sleep;
use crate::player::poll::{complete, pending, poll, ready, spawn, wake};
use crate::player::task::{FUTURE_OFFSET, Kind, Task};
use crate::session::{Session, View, Wish, all_probes};

/// A future: in state 3 it carries a value of the key `local`; its slot is a tag and a number.
#[derive(Debug, Default)]
#[repr(C)]
struct Future {
    state: AtomicU64,
    local: AtomicU64,
    tag: AtomicU64,
    value: AtomicU64,
}

const LOCAL: u64 = 0x7777_0000;
const SCOPED: u64 = 3;
const ELSEWHERE: u64 = 4;

impl Future {
    /// It must not be moved once a task refers to it.
    fn new(value: u64) -> Self {
        let future = Self::default();
        future.carry(value);
        future
    }

    fn carry(&self, value: u64) {
        self.value.store(value, SeqCst);
        self.tag.store(1, SeqCst);
        self.local.store(LOCAL, SeqCst);
        self.state.store(SCOPED, SeqCst);
    }

    fn leave(&self) {
        self.state.store(ELSEWHERE, SeqCst);
    }

    fn task(&self, id: u64) -> Task {
        let task = Task::new(Kind::First, id);
        task.set_future(std::ptr::from_ref(self) as u64);
        task
    }
}

const fn node(kind: NodeKind, flags: u16, offset: u32, first: u32, count: u32, aux: u32) -> Node {
    Node { kind: kind as u8, width: 1, flags, offset, first, count, aux, padding: 0, base: 0 }
}

/// A task's header leads to a coroutine, which in state 3 waits for the future that carries the value, in 4 for another.
const NODES: [Node; 4] = [
    node(NodeKind::Pointer, 0, FUTURE_OFFSET, 0, 1, 0),
    node(NodeKind::Tagged, FRAME | COROUTINE, 0, 1, 5, NO_EDGE),
    node(NodeKind::Leaf, FRAME | TASK_LOCAL, 0, 0, 0, 8),
    node(NodeKind::Leaf, FRAME, 0, 0, 0, 0),
];
const EDGES: [Edge; 6] = [
    Edge { offset: 0, node: 1 },
    Edge { offset: 0, node: target::UNSTARTED },
    Edge { offset: 0, node: target::SPENT },
    Edge { offset: 0, node: target::SPENT },
    Edge { offset: 8, node: 2 },
    Edge { offset: 8, node: 3 },
];
const TABLES: AwaitTables<'static> = AwaitTables { nodes: &NODES, edges: &EDGES, entries: &[] };
const KEY: RequestKey =
    RequestKey { local: LOCAL, tag: 1, tag_width: 8, some_is_tag: 1, kind: KEY_INLINE, offset: 8, width: 8, ..RequestKey::NONE };

fn naming(wanted: Option<Vec<Vec<u8>>>) -> Session {
    Session::open_with(&Wish {
        probes: all_probes(),
        awaits: AwaitsOf::Wanted,
        await_tables: Some(TABLES),
        request_key: KEY,
        wanted,
        ..Wish::default()
    })
}

/// The requests of this value, in order of their begin.
fn requests(view: &View, value: u64) -> Vec<(u64, ScopeRow)> {
    let all = view.0.live_requests.iter().chain(&view.0.ended_requests);
    let mut found: Vec<_> = all.filter(|(_, row)| row.id() == value.to_le_bytes()).copied().collect();
    found.sort_by_key(|(_, row)| row.first_ns);
    found
}

#[track_caller]
fn only(view: &View, value: u64) -> (u64, ScopeRow) {
    let found = requests(view, value);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

/// Check that a task whose first poll finds the value is a request from that poll on to its end, with all of the task's own time.
#[test]
fn a_task_with_a_value_is_a_request() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(None);
    let future = Future::new(42);
    let task = future.task(7);
    spawn(&task);
    sleep(2);
    let first = pending(&task, || sleep(1));
    sleep(3);
    wake(&task);
    sleep(1);
    pending(&task, || ());
    let live = session.collect();
    let row = only(&live, 42).1;
    assert_eq!((row.flags & (ENDED | START_SEEN), row.task, row.task_id, row.polls), (START_SEEN, task.header(), 7, 2));
    assert!(first.start.holds(row.first_ns), "it begins with its first poll, not at the spawn");
    wake(&task);
    ready(&task, || sleep(1));
    let view = session.collect();
    let (number, row) = only(&view, 42);
    assert!(number & KEYED != 0 && row.flags & ENDED != 0 && row.polls == 3, "{row:?}");
    if !view.hides_a_switch() {
        assert!(row.states.scheduled_ns > 0 && row.states.suspended_ns >= 3_000_000, "{row:?}");
    }
    // Every nanosecond that it waited has its await stack.
    let waits = view.0.awaits.waits.iter().filter(|record| record.request == number);
    let waited: u64 = waits.map(|record| record.gap.ns()).sum();
    assert_eq!(waited, row.states.suspended_ns + row.states.scheduled_ns);
    view.lost(&[]);
    Ok(())
}

/// Check that a value that comes inside a poll, as on a connection, makes a request of that whole poll, and that one that is gone ends it.
#[test]
fn a_connection_serves_one_request_after_the_other() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(None);
    let future = Future::new(0);
    future.leave();
    let task = future.task(8);
    pending(&task, || ());
    let mut begins = Vec::new();
    for value in [1, 2] {
        wake(&task);
        begins.push(pending(&task, || {
            sleep(2);
            future.carry(value);
        }));
        wake(&task);
        pending(&task, || sleep(1));
        wake(&task);
        let last = pending(&task, || future.leave());
        let (_, row) = only(&session.collect(), value);
        assert_eq!((row.flags & (ENDED | START_SEEN), row.polls), (ENDED | START_SEEN, 3));
        let begin = begins.last().unwrap().start;
        assert!(begin.holds(row.first_ns), "{row:?}");
        assert!(last.end.holds(row.last_ns), "{row:?}");
        assert!(row.states.blocked_ns >= 2_000_000 || session.collect().hides_a_switch(), "its first poll counts: {row:?}");
    }
    // From one to the next in one poll.
    wake(&task);
    pending(&task, || future.carry(3));
    wake(&task);
    let both = pending(&task, || future.carry(4));
    wake(&task);
    pending(&task, || future.leave());
    let view = session.collect();
    let (third, fourth) = (only(&view, 3).1, only(&view, 4).1);
    assert!(both.end.holds(third.last_ns) && third.flags & ENDED != 0);
    assert!(both.start.holds(fourth.first_ns));
    view.lost(&[]);
    Ok(())
}

/// Check that another key's value, an empty slot and unwanted values name nothing, and that what is wanted is told.
#[test]
fn only_the_keys_own_values_that_are_wanted_name_requests() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(Some(vec![5_u64.to_le_bytes().to_vec()]));
    let (other, empty, unwanted, wanted) = (Future::new(5), Future::new(5), Future::new(6), Future::new(5));
    other.local.store(LOCAL + 8, SeqCst);
    empty.tag.store(0, SeqCst);
    let tasks = [other.task(1), empty.task(2), unwanted.task(3), wanted.task(4)];
    for task in &tasks {
        pending(task, || ());
    }
    let view = session.collect();
    assert_eq!(only(&view, 5).1.task_id, 4);
    assert_eq!(only(&view, 5).1.flags & START_SEEN, 0, "it may be older than the window");
    assert_eq!(requests(&view, 6), []);
    view.lost(&[]);
    Ok(())
}

/// Check that what a request's polls spawn is its child, also where it hands the value on, and that a task that is dropped ends it.
#[test]
fn children_belong_to_it_and_an_abort_ends_it() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(None);
    let (future, handed_on, plain) = (Future::new(9), Future::new(9), Future::new(0));
    plain.leave();
    let (task, child, other) = (future.task(1), handed_on.task(2), plain.task(3));
    pending(&task, || {
        spawn(&child);
        spawn(&other);
    });
    pending(&child, || ());
    pending(&other, || ());
    complete(&task);
    // Its value is still that of the request which has ended: no other one begins.
    wake(&child);
    pending(&child, || ());
    let view = session.collect();
    let (number, row) = only(&view, 9);
    assert!(row.flags & ENDED != 0, "{row:?}");
    assert_eq!((view.task(&child).request, view.task(&other).request), (number, number));
    view.lost(&[]);
    Ok(())
}

/// Check that what the first poll of a connection's request spawns is its child too, once that poll has ended, and what other polls spawn
/// is nobody's.
#[test]
fn children_of_a_first_poll_are_found_at_its_end() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(None);
    let (future, plain) = (Future::new(0), Future::new(0));
    future.leave();
    plain.leave();
    let task = future.task(1);
    let [before, within] = [2, 3].map(|id| plain.task(id));
    pending(&task, || _ = spawn(&before));
    wake(&task);
    pending(&task, || {
        _ = spawn(&within);
        future.carry(9);
    });
    for child in [&before, &within] {
        pending(child, || ());
    }
    let view = session.collect();
    let (number, _) = only(&view, 9);
    assert_eq!((view.task(&before).request, view.task(&within).request), (0, number));
    view.lost(&[]);
    Ok(())
}

/// Check that an address which another task has taken over ends the request of the first.
#[test]
fn a_task_whose_end_was_not_seen_ends_its_request() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(None);
    let future = Future::new(11);
    let task = future.task(1);
    pending(&task, || ());
    task.become_another(Kind::First, 2);
    future.carry(12);
    pending(&task, || ());
    let view = session.collect();
    assert!(only(&view, 11).1.flags & ENDED != 0);
    assert!(only(&view, 12).1.flags & ENDED == 0);
    view.lost(&[(Loss::AddressReused, 1)]);
    Ok(())
}

/// Check that a poll whose end was lost leaves the request with its task, and its time whole.
#[test]
fn a_lost_end_leaves_the_request() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = naming(None);
    let future = Future::new(13);
    let task = future.task(1);
    pending(&task, || ());
    poll(&task, || ());
    pending(&task, || ());
    ready(&task, || ());
    let view = session.collect();
    let (_, row) = only(&view, 13);
    assert!(row.flags & ENDED != 0 && row.polls == 4, "{row:?}");
    Ok(())
}
