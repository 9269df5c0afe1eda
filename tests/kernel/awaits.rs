//! Awaits: what is walked at the end of a poll, whose time it is, and what of a layout that does not fit.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use profiler_common::awaits::node::{COROUTINE, FRAME, NO_EDGE, target};
use profiler_common::awaits::word::{NO_TYPE, WordKind, address_word, word};
use profiler_common::awaits::{AwaitEnd, AwaitSum, Edge, Node, NodeKind};
use profiler_common::loss::Loss;
use profiler_common::record::{AwaitRecord, POLL_OF_SCOPE, POLL_OF_TASK};
use profiler_daemon::attach::{AwaitTables, AwaitsOf};
use profiler_daemon::collect::Awaits;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{Move, sleep};
use crate::player::poll::{pending, ready, spawn, store_waker, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{FUTURE_OFFSET, Kind, Task};
use crate::player::triggers;
use crate::session::{Session, View, Wish, all_probes};

/// A future in memory: a state, and two words behind it.
#[derive(Debug, Default)]
#[repr(C)]
struct Future {
    state: AtomicU64,
    words: [AtomicU64; 2],
}

impl Future {
    #[expect(clippy::unnecessary_box_returns, reason = "its address must stay")]
    fn in_state(state: u64, words: [u64; 2]) -> Box<Self> {
        Box::new(Self { state: AtomicU64::new(state), words: words.map(AtomicU64::new) })
    }

    fn address(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }
}

/// Places of the nodes below.
const ROOT: u32 = 0;
const COROUTINE_NODE: u32 = 1;
const LEAF: u32 = 2;
const BOXED: u32 = 3;
const OTHER_TASK: u32 = 4;

const fn node(kind: NodeKind, flags: u16, offset: u32, first: u32, count: u32, aux: u32) -> Node {
    Node { kind: kind as u8, width: 1, flags, offset, first, count, aux, padding: 0, base: 0 }
}

/// A task's header leads to a coroutine; in state 3 it waits for a leaf, in 4 for a boxed future, in 5 for another task.
const NODES: [Node; 5] = [
    node(NodeKind::Pointer, 0, FUTURE_OFFSET, 0, 1, 0),
    node(NodeKind::Tagged, FRAME | COROUTINE, 0, 1, 6, NO_EDGE),
    node(NodeKind::Leaf, FRAME, 0, 0, 0, 0),
    node(NodeKind::Dyn, 0, 0, 0, 0, 8),
    node(NodeKind::Task, FRAME, 0, 0, 0, 0),
];
const EDGES: [Edge; 7] = [
    Edge { offset: 0, node: COROUTINE_NODE },
    Edge { offset: 0, node: target::UNSTARTED },
    Edge { offset: 0, node: target::SPENT },
    Edge { offset: 0, node: target::SPENT },
    Edge { offset: 8, node: LEAF },
    Edge { offset: 8, node: BOXED },
    Edge { offset: 8, node: OTHER_TASK },
];
/// What boxed futures have as their vtable, and scopes as their poll function.
const VTABLE: u64 = 0x5555_0000;
const UNKNOWN_VTABLE: u64 = 0x5555_1000;
const ENTRIES: [(u64, u32); 1] = [(VTABLE, COROUTINE_NODE)];
const TABLES: AwaitTables<'static> = AwaitTables { nodes: &NODES, edges: &EDGES, entries: &ENTRIES };

fn frame(depth: u32, node: u32, state: u32) -> u64 {
    word(WordKind::Frame, depth, node, state)
}

fn walking(awaits: AwaitsOf) -> Session {
    Session::open_with(&Wish { probes: all_probes(), awaits, await_tables: Some(TABLES), ..Wish::default() })
}

/// The words and the end of an await stack.
fn stack(awaits: &Awaits, id: u64) -> (Vec<u64>, AwaitEnd) {
    let kept = awaits.stacks.get(&id).unwrap_or_else(|| panic!("no stack {id:#x} among {:?}", awaits.stacks.keys()));
    (kept.words().to_vec(), AwaitEnd::from_number(kept.end).unwrap())
}

/// The sums of a type with their stacks' words.
fn sums(view: &View, kind: Kind) -> Vec<(Vec<u64>, AwaitSum)> {
    let awaits = &view.0.awaits;
    let of_kind = awaits.sums.iter().filter(|(key, _)| key.task_type == kind as u32);
    of_kind.map(|(key, sum)| (stack(awaits, key.stack).0, *sum)).collect()
}

/// Check that the time between two polls goes to the await stack that was there at the end of the first, all of it, and that what goes
/// on is in the sums too.
#[test]
fn time_belongs_to_where_the_task_waits() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = walking(AwaitsOf::All);
    let inner = Future::in_state(3, [0, 0]);
    let future = Future::in_state(3, [0, 0]);
    let task = Task::new(Kind::First, 7);
    task.set_future(future.address());
    pending(&task, || ());
    sleep(2);
    wake(&task);
    // In its second poll it comes to another await, through a box.
    pending(&task, || {
        future.words[0].store(inner.address(), SeqCst);
        future.words[1].store(VTABLE, SeqCst);
        future.state.store(4, SeqCst);
    });
    sleep(1);
    let view = session.collect();
    let row = view.task(&task);
    let mut found = sums(&view, Kind::First);
    found.sort_by_key(|(words, _)| words.len());
    let words: Vec<&[u64]> = found.iter().map(|(words, _)| words.as_slice()).collect();
    let direct = [frame(0, COROUTINE_NODE, 3), frame(1, LEAF, 0)];
    let boxed = [frame(0, COROUTINE_NODE, 4), frame(1, COROUTINE_NODE, 3), frame(2, LEAF, 0)];
    assert_eq!(words, [&direct[..], &boxed[..]]);
    assert_eq!(found.iter().map(|(_, sum)| sum.count).collect::<Vec<_>>(), [1, 1]);
    // The identity: every nanosecond that it was suspended or scheduled has its stack.
    assert_eq!(found.iter().map(|(_, sum)| sum.suspended_ns).sum::<u64>(), row.states.suspended_ns);
    assert_eq!(found.iter().map(|(_, sum)| sum.scheduled_ns).sum::<u64>(), row.states.scheduled_ns);
    assert!(found[0].1.scheduled_ns > 0 || view.hides_a_switch(), "from its wake on it was scheduled");
    view.lost(&[]);
    assert_eq!(view.0.awaits.walks.ended(AwaitEnd::Whole), 2);
    Ok(())
}

/// Check that what a layout does not know ends a walk with its reason, and is still a stack of what was known.
#[test]
fn what_is_not_known_is_said() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = walking(AwaitsOf::All);
    let task = Task::new(Kind::First, 7);
    let cases: [(u64, [u64; 2], &[u64], AwaitEnd); 5] = [
        (
            4,
            [8, UNKNOWN_VTABLE],
            &[frame(0, COROUTINE_NODE, 4), address_word(WordKind::UnknownDyn, 1, UNKNOWN_VTABLE)],
            AwaitEnd::UnknownDyn,
        ),
        (9, [0, 0], &[word(WordKind::Cut, 0, 0, AwaitEnd::BadTag as u32)], AwaitEnd::BadTag),
        (
            4,
            [8, VTABLE],
            &[frame(0, COROUTINE_NODE, 4), word(WordKind::Cut, 1, 0, AwaitEnd::Unreadable as u32)],
            AwaitEnd::Unreadable,
        ),
        (
            5,
            [task.header(), 0],
            &[frame(0, COROUTINE_NODE, 5), word(WordKind::Task, 1, OTHER_TASK, Kind::First as u32)],
            AwaitEnd::Whole,
        ),
        (5, [8, 0], &[frame(0, COROUTINE_NODE, 5), word(WordKind::Task, 1, OTHER_TASK, NO_TYPE)], AwaitEnd::Whole),
    ];
    for (state, words, expected, end) in cases {
        let future = Future::in_state(state, words);
        task.set_future(future.address());
        wake(&task);
        pending(&task, || ());
        let view = session.collect();
        let row = view.task(&task);
        assert_eq!(stack(&view.0.awaits, row.awaiting.stack), (expected.to_vec(), end));
        assert_eq!(row.awaiting.task, if words[0] == task.header() { 7 } else { 0 });
    }
    // A future that is done is pending nowhere.
    let done = Future::in_state(1, [0, 0]);
    task.set_future(done.address());
    pending(&task, || ());
    let view = session.collect();
    assert_eq!(view.task(&task).awaiting.stack, 0);
    assert_eq!(view.0.awaits.walks.ended(AwaitEnd::NotPending), 1);
    Ok(())
}

/// The waits of one owner: what it was, and its words.
fn waits(records: &[AwaitRecord], what: u32, view: &View) -> Vec<(u64, Vec<u64>)> {
    let of = records.iter().filter(|wait| wait.what == what);
    of.map(|wait| (wait.gap.suspended_ns + wait.gap.scheduled_ns, stack(&view.0.awaits, wait.awaiting.stack).0)).collect()
}

/// Check that of requests only the scope and its children are walked, that a scope is walked from its own future, and that its waits and what
/// its row says are the same time.
#[test]
fn a_request_waits_where_its_future_does() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = walking(AwaitsOf::Wanted);
    let (task, child, other) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8), Task::new(Kind::First, 9));
    let record = Record::new(b"order-42");
    let future = Future::in_state(3, [0, 0]);
    let scope = Scope::around(&record, 5, future.address(), VTABLE);
    // The task's own future is another, which nobody asked for.
    let unasked = Future::in_state(4, [0, UNKNOWN_VTABLE]);
    for task in [&task, &child, &other] {
        task.set_future(unasked.address());
    }
    pending(&other, || ());
    pending(&task, || {
        scope.polled(|| _ = spawn(&child));
    });
    pending(&child, || ());
    sleep(2);
    wake(&task);
    let last = Move::of(|| {
        ready(&task, || {
            scope.polled(|| future.state.store(1, SeqCst));
            scope.end();
        });
    });
    let view = session.collect();
    let awaits = &view.0.awaits;
    let row = view.ended(&scope);
    let own = waits(&awaits.waits, POLL_OF_SCOPE, &view);
    assert_eq!(
        own.iter().map(|(_, words)| words.as_slice()).collect::<Vec<_>>(),
        [[frame(0, COROUTINE_NODE, 3), frame(1, LEAF, 0)]]
    );
    // What lies between its last exit and its end is no wait.
    let between = row.states.suspended_ns + row.states.scheduled_ns;
    assert!(own[0].0 <= between && between - own[0].0 < last.after - last.before, "{own:?} of {between}, {last:?}");
    let open = waits(&awaits.open, POLL_OF_TASK, &view);
    assert_eq!(
        open.iter().map(|(_, words)| words.as_slice()).collect::<Vec<_>>(),
        [[frame(0, COROUTINE_NODE, 4), address_word(WordKind::UnknownDyn, 1, UNKNOWN_VTABLE)]],
        "its child waits on"
    );
    assert!(awaits.sums.is_empty(), "nobody asked for all tasks");
    assert_eq!(view.task(&other).awaiting.stack, 0);
    view.lost(&[]);
    Ok(())
}

/// Check that a scope whose future's type is not known is said to be unknown, and counted.
#[test]
fn a_scope_of_unknown_type_is_counted() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = walking(AwaitsOf::Wanted);
    let (task, record) = (Task::new(Kind::First, 7), Record::new(b"order-42"));
    let scope = Scope::around(&record, 5, 8, UNKNOWN_VTABLE);
    pending(&task, || _ = scope.polled(|| ()));
    let view = session.collect();
    let open = waits(&view.0.awaits.open, POLL_OF_SCOPE, &view);
    assert_eq!(
        open.iter().map(|(_, words)| words.clone()).collect::<Vec<_>>(),
        [[word(WordKind::Cut, 0, 0, AwaitEnd::NoLayout as u32)]]
    );
    view.lost(&[(Loss::AwaitTypeUnread, 1)]);
    Ok(())
}

/// Check that without layouts the stack in which a leaf last stored its task's waker is where the task waits, and no other task's.
#[test]
fn without_layouts_wakers_tell() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_with(&Wish { awaits: AwaitsOf::All, ..Wish::default() });
    let (task, other) = (Task::new(Kind::First, 7), Task::new(Kind::Second, 8));
    pending(&other, || ());
    pending(&task, || {
        store_waker(&other);
        store_waker(&task);
    });
    sleep(1);
    wake(&task);
    pending(&task, || ());
    let view = session.collect();
    assert_eq!(view.task(&other).awaiting.stack, 0);
    // No unwind tables are loaded here, so the stack is the function itself.
    let expected = vec![address_word(WordKind::Address, 0, triggers::trigger_waker_stored as *const () as u64)];
    let found = sums(&view, Kind::First);
    assert_eq!(found.iter().map(|(words, sum)| (words.clone(), sum.count)).collect::<Vec<_>>(), [(expected, 2)]);
    Ok(())
}

/// Check that a layout that leads in a circle comes to an end.
#[test]
fn a_circle_ends() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let circle = [Edge { offset: 0, node: ROOT + 1 }, Edge { offset: 0, node: ROOT + 1 }];
    let nodes = [node(NodeKind::Pointer, 0, FUTURE_OFFSET, 0, 1, 0), node(NodeKind::Inside, 0, 0, 1, 1, 0)];
    let tables = AwaitTables { nodes: Box::leak(Box::new(nodes)), edges: Box::leak(Box::new(circle)), entries: &[] };
    let mut session = Session::open_with(&Wish { awaits: AwaitsOf::All, await_tables: Some(tables), ..Wish::default() });
    let (task, future) = (Task::new(Kind::First, 7), Future::in_state(3, [0, 0]));
    task.set_future(future.address());
    pending(&task, || ());
    let view = session.collect();
    assert_eq!(view.0.awaits.walks.ended(AwaitEnd::TooLong), 1);
    view.lost(&[]);
    Ok(())
}
