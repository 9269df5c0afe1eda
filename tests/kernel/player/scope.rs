//! The annotation, played: records as OTEP 4947 lays them out, and the three probes.

use super::clock::Move;
use super::triggers;

/// Where the request id's length stands, the id behind it: see `profiler-annotate/ABI.md`.
const LENGTH_AT: usize = 29;

/// A record of one size, whatever the id.
#[derive(Debug)]
pub(crate) struct Record([u8; 96]);

impl Record {
    pub(crate) fn new(id: &[u8]) -> Self {
        Self::claiming(u8::try_from(id.len()).unwrap(), id)
    }

    /// A record whose length byte says whatever it is told to.
    pub(crate) fn claiming(length: u8, id: &[u8]) -> Self {
        let mut bytes = [0; 96];
        bytes[LENGTH_AT] = length;
        bytes[LENGTH_AT + 1..LENGTH_AT + 1 + id.len()].copy_from_slice(id);
        Self(bytes)
    }

    fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }
}

/// One scope: a request that is being served.
#[derive(Debug)]
pub(crate) struct Scope {
    record: u64,
    /// Unique in its process, never 0.
    pub(crate) sequence: u64,
    /// The wrapped future's address and that of its poll function.
    future: (u64, u64),
}

impl Scope {
    pub(crate) fn new(record: &Record, sequence: u64) -> Self {
        Self { record: record.address(), sequence, future: (0, 0) }
    }

    /// One that wraps the future at `future`, polled by the function at `poll`.
    pub(crate) fn around(record: &Record, sequence: u64, future: u64, poll: u64) -> Self {
        Self { future: (future, poll), ..Self::new(record, sequence) }
    }

    /// One whose record stands where nothing can be read.
    pub(crate) fn with_record_at(record: u64, sequence: u64) -> Self {
        Self { record, sequence, future: (0, 0) }
    }

    pub(crate) fn enter(&self) -> Move {
        let frame = 0_u64;
        let here = &raw const frame as u64;
        Move::of(|| triggers::trigger_scope_enter(self.record, self.sequence, self.future.0, self.future.1, here))
    }

    /// It is left, and has something to wait for.
    pub(crate) fn exit(&self) -> Move {
        Move::of(|| triggers::trigger_scope_exit(self.record, self.sequence, 0))
    }

    /// It is left for good.
    pub(crate) fn done(&self) -> Move {
        Move::of(|| triggers::trigger_scope_exit(self.record, self.sequence, 1))
    }

    /// Its own waker is called.
    pub(crate) fn wake(&self) -> Move {
        Move::of(|| triggers::trigger_scope_wake(self.sequence))
    }

    /// It spawns `child`: 0 a task, 1 a closure, 2 a local task.
    pub(crate) fn spawn(&self, child: &Self, kind: u64) -> Move {
        Move::of(|| triggers::trigger_scope_spawn(self.record, child.sequence, self.sequence, kind))
    }

    pub(crate) fn end(&self) -> Move {
        Move::of(|| triggers::trigger_scope_end(self.record, self.sequence))
    }

    /// One poll of the scope.
    pub(crate) fn polled(&self, body: impl FnOnce()) -> (Move, Move) {
        let entered = self.enter();
        body();
        (entered, self.exit())
    }
}
