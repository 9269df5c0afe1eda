//! Memory for tests: some ranges of bytes, a way to change them while they are read, and a runtime with tasks in them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use profiler_common::awaits::node::{COROUTINE, FRAME, NO_EDGE, target};
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::shapes::{Shape, TaskShapes};
use crate::inspect::awaits::{AwaitLayouts, LoadedTable, TaskEntry};
use crate::inspect::{ListPlace, OwnedLists, SchedulerLists, TaskKind};
use crate::target::memory::{Span, Spans};

/// What happens before a read: it may change the memory.
type Meanwhile = Box<dyn FnMut(usize, &mut BTreeMap<u64, u8>)>;

/// Memory that is only where something was put.
#[derive(Default)]
pub(super) struct Fake {
    bytes: RefCell<BTreeMap<u64, u8>>,
    reads: Cell<usize>,
    meanwhile: RefCell<Option<Meanwhile>>,
}

impl Fake {
    pub(super) fn bytes(&mut self, at: u64, bytes: &[u8]) {
        put(self.bytes.get_mut(), at, bytes);
    }

    pub(super) fn word(&mut self, at: u64, word: u64) {
        self.bytes(at, &word.to_le_bytes());
    }

    /// Calls `change` before every read, with the number of reads before it.
    pub(super) fn meanwhile(&mut self, change: impl FnMut(usize, &mut BTreeMap<u64, u8>) + 'static) {
        *self.meanwhile.get_mut() = Some(Box::new(change));
    }

    /// How many spans have been read.
    pub(super) fn reads(&self) -> usize {
        self.reads.get()
    }
}

/// Writes bytes.
pub(super) fn put(memory: &mut BTreeMap<u64, u8>, at: u64, bytes: &[u8]) {
    memory.extend((at..).zip(bytes.iter().copied()));
}

impl Spans for Fake {
    fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool> {
        let mut rest = bytes;
        let mut whole = Vec::new();
        for span in spans {
            if let Some(change) = self.meanwhile.borrow_mut().as_mut() {
                change(self.reads.get(), &mut self.bytes.borrow_mut());
            }
            self.reads.set(self.reads.get() + 1);
            let (here, after) = rest.split_at_mut(span.length);
            let memory = self.bytes.borrow();
            let read = here.iter_mut().zip(0..).all(|(byte, into)| {
                let found = span.address.checked_add(into).and_then(|address| memory.get(&address));
                found.map(|found| *byte = *found).is_some()
            });
            whole.push(read);
            rest = after;
        }
        whole
    }
}

/// The vtable of all tasks of a [`Crowd`].
pub(super) const VTABLE: u64 = 0x50_0000;
/// Where its runtime's handle lies.
pub(super) const HANDLE: u64 = 0x9_0000;
/// Where the runtime's lists lie, [`LIST`] bytes each.
pub(super) const LISTS: u64 = 0xa_0000;
/// See [`LISTS`].
pub(super) const LIST: u64 = 24;
/// The runtime's id.
const RUNTIME: u64 = 7;

/// A runtime with tasks, as Tokio lays it out. A task: state at 0, vtable at 16, owner's id at 24, scheduler at 32, id at 40, its future's
/// tag at 48 and what it awaits at 56, list pointers at 64.
pub(super) struct Crowd {
    pub(super) fake: Fake,
    /// Headers by list, in the list's order.
    pub(super) lists: Vec<Vec<u64>>,
}

impl Crowd {
    /// A runtime with so many lists of so many tasks, with ids from 1 on.
    pub(super) fn new(lists: u64, tasks: u64) -> Self {
        let mut fake = Fake::default();
        fake.bytes(HANDLE, &[0; 64]);
        fake.word(HANDLE + 8, lists * tasks);
        fake.word(HANDLE + 16, RUNTIME);
        fake.word(HANDLE + 24, LISTS);
        fake.word(HANDLE + 32, lists);
        let header = |list: u64, nth: u64| 0x100_0000 + list * 0x10_0000 + nth * 0x100;
        let mut crowd = Self { fake, lists: Vec::new() };
        for list in 0..lists {
            let headers: Vec<u64> = (0..tasks).map(|nth| header(list, nth)).collect();
            for (nth, at) in (0..).zip(&headers) {
                crowd.task(*at, list * tasks + nth + 1);
            }
            crowd.link(list, &headers);
            crowd.lists.push(headers);
        }
        crowd
    }

    /// A task that waits in the state 3 of its future.
    pub(super) fn task(&mut self, at: u64, id: u64) {
        // As much as a block, of which memory is read.
        self.fake.bytes(at, &[0; 256]);
        self.fake.word(at, 0b1100_0000);
        self.fake.word(at + 16, VTABLE);
        self.fake.word(at + 24, RUNTIME);
        self.fake.word(at + 32, HANDLE);
        self.fake.word(at + 40, id);
        self.fake.word(at + 48, 3);
    }

    fn link(&mut self, list: u64, headers: &[u64]) {
        link(self.fake.bytes.get_mut(), list, headers);
    }

    /// What the tests' tasks look like.
    pub(super) fn shapes() -> TaskShapes {
        TaskShapes::of_test(&[Shape {
            vtable: VTABLE,
            task_type: 0,
            kind: TaskKind::MultiThread,
            id: Some(40),
            scheduler: Some(32),
            trailer: Some(64),
            root: Some(0),
        }])
    }

    /// Where its lists are.
    pub(super) fn owned_lists() -> OwnedLists {
        let scheduler = SchedulerLists {
            kind: TaskKind::MultiThread,
            id: 16,
            count: Some(8),
            lists: ListPlace::Sharded { pointer: 24, length: 32, size: LIST },
            head: 8,
            tail: 16,
        };
        OwnedLists { owner_id: 24, prev: 0, next: 8, schedulers: vec![scheduler] }
    }

    /// Layouts by which a task is an `async fn` that waits in state 3 for a leaf at its future's offset 8, or in state 4 for the task whose
    /// header's address lies there.
    pub(super) fn table() -> LoadedTable {
        let edge = |node| Edge { offset: 0, node };
        let coroutine = Node {
            kind: NodeKind::Tagged as u8,
            width: 1,
            flags: FRAME | COROUTINE,
            offset: 48,
            first: 0,
            count: 5,
            aux: NO_EDGE,
            ..Node::default()
        };
        let leaf = Node { kind: NodeKind::Leaf as u8, flags: FRAME, ..Node::default() };
        let task = Node { kind: NodeKind::Task as u8, flags: FRAME, ..Node::default() };
        let layouts = AwaitLayouts {
            nodes: vec![coroutine, leaf, task],
            edges: vec![
                edge(target::UNSTARTED),
                edge(target::SPENT),
                edge(target::SPENT),
                Edge { offset: 56, node: 1 },
                Edge { offset: 56, node: 2 },
            ],
            ..AwaitLayouts::default()
        };
        LoadedTable {
            layouts: Arc::new(layouts),
            entries: HashMap::new(),
            tasks: HashMap::from([(VTABLE, TaskEntry { task_type: 0, node: Some(0) })]),
            vtable_offset: 16,
        }
    }
}

/// Makes `headers` the list number `list`, as Tokio would under its lock.
pub(super) fn link(memory: &mut BTreeMap<u64, u8>, list: u64, headers: &[u64]) {
    let end = |header: Option<&u64>| header.copied().unwrap_or(0).to_le_bytes();
    put(memory, LISTS + list * LIST, &[0; 8]);
    put(memory, LISTS + list * LIST + 8, &end(headers.first()));
    put(memory, LISTS + list * LIST + 16, &end(headers.last()));
    for (place, header) in headers.iter().enumerate() {
        put(memory, header + 64, &end(place.checked_sub(1).and_then(|before| headers.get(before))));
        put(memory, header + 72, &end(headers.get(place + 1)));
    }
}
