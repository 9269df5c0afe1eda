//! Task headers in this process's memory, and the wakers that point to them.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use profiler_common::site::TypeRow;
use profiler_common::task::state_word::NOTIFIED;

/// Where the played task types have a task's id (bytes after the header's start): behind the header and an `Arc` of a scheduler.
const ID_OFFSET: u32 = 40;
/// Where a header has its vtable (bytes), Tokio 1.13 on.
pub(crate) const VTABLE_OFFSET: u32 = 16;

/// The node at which walks of awaits begin, and 1, where there are any.
const AWAIT_ROOT: u32 = 1;
/// Where a played task has the address of its future (bytes after the header's start).
pub(crate) const FUTURE_OFFSET: u32 = 32;

/// A task type: its place is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A type like any other.
    First,
    /// Another.
    Second,
    /// One of a Tokio that has no task ids yet.
    WithoutId,
    /// One that the daemon does not know.
    Unknown,
}

/// How many types the daemon knows.
pub(crate) const KNOWN_KINDS: u32 = 3;

/// Only their addresses matter.
static VTABLES: [u64; 4] = [1, 2, 3, 4];

impl Kind {
    fn vtable(self) -> u64 {
        &raw const VTABLES[self as usize] as u64
    }

    /// What the daemon is told of the types.
    pub(crate) fn known() -> Vec<(u64, TypeRow)> {
        [(Self::First, ID_OFFSET), (Self::Second, ID_OFFSET), (Self::WithoutId, 0)]
            .map(|(kind, id_offset)| {
                (kind.vtable(), TypeRow { task_type: kind as u32, id_offset, await_root: AWAIT_ROOT, padding: 0 })
            })
            .to_vec()
    }
}

/// The start of a task's cell (tokio `runtime/task/core.rs`, `Header`, then `Core`).
#[repr(C)]
#[derive(Debug)]
struct Header {
    state: AtomicU64,
    queue_next: u64,
    vtable: AtomicU64,
    owner_id: u64,
    /// No scheduler here: the address of the task's future.
    future: AtomicU64,
    id: AtomicU64,
}

/// Length of a header with its id.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

/// A task. Its address stays where it is.
#[derive(Debug)]
pub(crate) struct Task(Box<Header>);

impl Task {
    pub(crate) fn new(kind: Kind, id: u64) -> Self {
        Self(Box::new(Header {
            state: AtomicU64::new(0),
            queue_next: 0,
            vtable: AtomicU64::new(kind.vtable()),
            owner_id: 1,
            future: AtomicU64::new(0),
            id: AtomicU64::new(id),
        }))
    }

    /// The header's address.
    pub(crate) fn header(&self) -> u64 {
        &raw const *self.0 as u64
    }

    /// The task's future lies at `address` from now on.
    pub(crate) fn set_future(&self, address: u64) {
        self.0.future.store(address, SeqCst);
    }

    /// The task's id.
    pub(crate) fn id(&self) -> u64 {
        self.0.id.load(SeqCst)
    }

    /// The task is freed and another one gets its memory.
    pub(crate) fn become_another(&self, kind: Kind, id: u64) {
        self.0.state.store(0, SeqCst);
        self.0.vtable.store(kind.vtable(), SeqCst);
        self.0.id.store(id, SeqCst);
    }

    pub(crate) fn set(&self, bits: u64) {
        self.0.state.fetch_or(bits, SeqCst);
    }

    /// `transition_to_running`.
    pub(crate) fn start_running(&self) {
        self.0.state.fetch_and(!NOTIFIED, SeqCst);
    }

    pub(crate) fn notify(&self) {
        self.set(NOTIFIED);
    }
}
