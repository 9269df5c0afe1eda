//! What the ring buffer carries. Each record starts with its kind, a `u32`.

use crate::awaits::{Awaiting, Gap};
use crate::clock::OffCpu;
use crate::limits::STACK_FRAMES;
use crate::scope::ScopeRow;
use crate::task::TaskRow;

/// The kind of a record. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RecordKind {
    /// A [`StackRecord`] of the sampling clock.
    Sample = 1,
    /// A [`RequestRecord`].
    Request = 2,
    /// A [`ChildRecord`].
    Child = 3,
    /// A [`StackRecord`] of a thread that leaves its CPU inside a poll.
    Off = 4,
    /// A [`BackRecord`].
    Back = 5,
    /// A [`PollRecord`].
    Poll = 6,
    /// A [`WakeRecord`].
    Wake = 7,
    /// A [`BeginRecord`].
    Begin = 8,
    /// An [`AwaitRecord`].
    Await = 9,
    /// A [`SpawnedRecord`].
    Spawned = 10,
}

/// Requests that one stack can lie in (nested scopes).
pub const SAMPLE_REQUESTS: usize = 4;

/// [`StackRecord::detail`] of a thread that left its CPU outside any system call.
pub const NO_SYSCALL: u64 = u64::MAX;

/// One stack of a thread inside a poll. The record is as long as its frames: `frames` words of `stack` are there.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StackRecord {
    /// [`RecordKind::Sample`] or [`RecordKind::Off`].
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
    /// When that task's poll started (ns), 0 outside any task.
    pub poll_start_ns: u64,
    /// Of a sample: the CPU time it stands for (ns). Off the CPU: the number of the system call that the thread is in, or [`NO_SYSCALL`]
    /// (a page fault, an interrupt).
    pub detail: u64,
    /// How the walk ended: [`crate::unwind::End`] as a number.
    pub end: u32,
    /// Off the CPU: why, [`crate::thread::OffReason`] as a number. Of a sample 0.
    pub reason: u32,
    /// User addresses, leaf first. The first is the instruction itself, the others are return addresses; of a frame that a signal
    /// interrupted one more than its instruction, so that all but the first are looked up one byte before.
    pub stack: [u64; STACK_FRAMES],
}

impl StackRecord {
    /// One that says nothing.
    pub const EMPTY: Self = Self {
        kind: 0,
        tid: 0,
        time_ns: 0,
        task: 0,
        task_id: 0,
        task_type: 0,
        frames: 0,
        requests: [0; SAMPLE_REQUESTS],
        poll_start_ns: 0,
        detail: 0,
        end: 0,
        reason: 0,
        stack: [0; STACK_FRAMES],
    };
}

/// Bytes of a [`StackRecord`] before its stack.
pub const STACK_RECORD_HEAD: usize = core::mem::offset_of!(StackRecord, stack);

/// A thread that left its CPU inside a poll has it back; follows its record of kind `Off`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BackRecord {
    /// [`RecordKind::Back`].
    pub kind: u32,
    /// The thread.
    pub tid: u32,
    /// When it left (ns), the `time_ns` of the record that this one completes.
    pub since_ns: u64,
    /// How that time is divided.
    pub off: OffCpu,
}

/// [`PollRecord::what`]: a task's poll.
pub const POLL_OF_TASK: u32 = 0;
/// [`PollRecord::what`]: the part of a poll that lies inside a wanted scope.
pub const POLL_OF_SCOPE: u32 = 1;

/// A poll that has ended.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PollRecord {
    /// [`RecordKind::Poll`].
    pub kind: u32,
    /// The thread.
    pub tid: u32,
    /// The task's header address, 0 outside any task.
    pub task: u64,
    /// Its id, 0 where unknown.
    pub task_id: u64,
    /// Its type, `u32::MAX` where unknown.
    pub task_type: u32,
    /// [`POLL_OF_TASK`] or [`POLL_OF_SCOPE`].
    pub what: u32,
    /// Of a scope: its sequence number. Of a task: the request that spawned it, 0 for none.
    pub request: u64,
    /// When the task became ready for this poll (ns), 0 where its wake was not seen.
    pub ready_ns: u64,
    /// When the poll, or the stay in the scope, started (ns).
    pub start_ns: u64,
    /// When it ended (ns).
    pub end_ns: u64,
    /// Time off the CPU inside it.
    pub off: OffCpu,
}

/// A wait has ended: of a wanted scope, or of a task that a request spawned.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AwaitRecord {
    /// [`RecordKind::Await`].
    pub kind: u32,
    /// [`POLL_OF_TASK`] or [`POLL_OF_SCOPE`].
    pub what: u32,
    /// Of a scope: its sequence number. Of a task: the request that spawned it.
    pub request: u64,
    /// The task's id, 0 where unknown.
    pub task_id: u64,
    /// Its type, `u32::MAX` where unknown.
    pub task_type: u32,
    /// Keeps the rest aligned; always 0.
    pub padding: u32,
    /// Where it waited.
    pub awaiting: Awaiting,
    /// How long.
    pub gap: Gap,
}

/// An effective wake.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WakeRecord {
    /// [`RecordKind::Wake`].
    pub kind: u32,
    /// The thread that woke.
    pub tid: u32,
    /// When (ns).
    pub time_ns: u64,
    /// The woken task's header address.
    pub task: u64,
    /// Its id, 0 where unknown.
    pub task_id: u64,
    /// Its type, `u32::MAX` where unknown.
    pub task_type: u32,
    /// Keeps the rest aligned; always 0.
    pub padding: u32,
    /// Header address of the task that was being polled on the waking thread, 0 for none.
    pub by_task: u64,
    /// Its id, 0 where unknown.
    pub by_task_id: u64,
}

/// A wanted request was entered for the first time. Its [`RequestRecord`] comes at its end.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BeginRecord {
    /// [`RecordKind::Begin`].
    pub kind: u32,
    /// The thread.
    pub tid: u32,
    /// The scope's sequence number.
    pub scope: u64,
    /// When (ns).
    pub time_ns: u64,
}

/// A child of a wanted request, which is known by the number of its scope, is this task.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SpawnedRecord {
    /// [`RecordKind::Spawned`].
    pub kind: u32,
    /// The task's type.
    pub task_type: u32,
    /// The child: [`crate::task::CHILD`] and its scope's number.
    pub child: u64,
    /// Tokio's task id, 0 where unknown.
    pub task_id: u64,
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
