//! What the ring buffer carries. Each record starts with its kind, a `u32`.

use crate::limits::STACK_FRAMES;
use crate::scope::ScopeRow;
use crate::task::TaskRow;

/// The kind of a record. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RecordKind {
    /// A [`SampleRecord`].
    Sample = 1,
    /// A [`RequestRecord`].
    Request = 2,
    /// A [`ChildRecord`].
    Child = 3,
}

/// Requests that one sample can lie in (nested scopes).
pub const SAMPLE_REQUESTS: usize = 4;

/// One stack of a thread inside a poll.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SampleRecord {
    /// [`RecordKind::Sample`].
    pub kind: u32,
    /// The thread.
    pub tid: u32,
    /// When (ns).
    pub time_ns: u64,
    /// The innermost polled task's header address, 0 outside any task.
    pub task: u64,
    /// Its id, 0 where unknown.
    pub task_id: u64,
    /// Its type, `u32::MAX` where unknown.
    pub task_type: u32,
    /// Frames in `stack`.
    pub frames: u32,
    /// The requests (scope sequence numbers) it lies in, innermost first, 0 for none.
    pub requests: [u64; SAMPLE_REQUESTS],
    /// User addresses, leaf first.
    pub stack: [u64; STACK_FRAMES],
}

/// A finished request.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RequestRecord {
    /// [`RecordKind::Request`].
    pub kind: u32,
    /// Keeps the rest aligned; always 0.
    pub padding: u32,
    /// The scope's sequence number.
    pub scope: u64,
    /// Its row, divided up to its end.
    pub row: ScopeRow,
}

/// A finished task that belongs to a request.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ChildRecord {
    /// [`RecordKind::Child`].
    pub kind: u32,
    /// Keeps the rest aligned; always 0.
    pub padding: u32,
    /// The task's header address.
    pub header: u64,
    /// Its row, divided up to its end.
    pub row: TaskRow,
}
