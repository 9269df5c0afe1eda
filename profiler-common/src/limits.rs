//! Every bound of the kernel side in one place. A full map costs data, which is counted as a [`crate::loss::Loss`], never the target.

/// Longest request id, in bytes (the annotation refuses longer ones).
pub const REQUEST_ID_BYTES: usize = 64;

/// Length of a W3C trace id, in bytes.
pub const TRACE_ID_BYTES: usize = 16;

/// Open polls and scopes that one thread may nest. A `LocalSet` inside a scope inside a poll is three.
pub const FRAME_DEPTH: usize = 16;

/// Threads of the target that can have polled a task.
pub const THREADS: u32 = 4096;

/// Live tasks with a row of their own.
pub const TASKS: u32 = 262_144;

/// Wanted requests in flight.
pub const SCOPES: u32 = 16_384;

/// Wanted requests in flight that have a slot of their own, over and above [`SCOPES`]. So few that they stay in a CPU's cache.
pub const SCOPE_SLOTS: u32 = 64;

/// Requests in flight that keep their own times and have been off their CPU in a poll.
pub const TIMED: u32 = 65_536;

/// Requests inside one another whose own times are told when a thread leaves its CPU.
pub const TIMED_DEPTH: usize = 4;

/// Request ids that can be asked for at once.
pub const WANTED: u32 = 1024;

/// Spawned types (one vtable each) of one target.
pub const TASK_TYPES: u32 = 8192;
/// Probe sites whose hits are counted.
pub const SITES: u32 = 16_384;

/// Frames of one stack.
pub const STACK_FRAMES: usize = 128;

/// Size of the ring buffer. A stack takes 100 bytes and 8 for each frame, so this holds some 20,000 of them; looked at twenty times a second, it
/// takes 160 MB a second, and what finds it full is counted. The daemon has its pages twice in its memory, for they are mapped twice, one
/// behind the other (kernel/bpf/ringbuf.c).
pub const RING_BYTES: u32 = 8 * 1024 * 1024;

/// Regions of the target's address space that differ in how their code is unwound.
pub const REGIONS: usize = 1 << REGION_BITS;
/// See [`REGIONS`].
pub const REGION_BITS: u32 = 12;

/// Unwind rows in one chunk.
pub const CHUNK_ROWS: usize = 1 << CHUNK_BITS;
/// See [`CHUNK_ROWS`].
pub const CHUNK_BITS: u32 = 14;
/// Chunks of unwind rows: 64 million rows.
pub const CHUNKS: u32 = 4096;
/// Different unwind rules of one target. Some thousand are usual; rows refer to them by 16 bits.
pub const RULES: u32 = 16_384;

/// Polls shorter than this (ns) leave no record, unless somebody asked for all: they hold a worker for nobody.
pub const POLL_RECORD_NS: u64 = 50_000;

/// How often a handler re-reads its thread's clocks when a switch landed between two reads.
pub const SNAPSHOT_TRIES: usize = 4;

/// Frames inside one another that a walk of awaits follows.
pub const AWAIT_DEPTH: u32 = 32;
/// Words kept of one await stack: frames of all its branches.
pub const AWAIT_WORDS: usize = 64;
/// Branches that a walk of awaits has left to follow at any moment. A power of two, so that an index can be masked.
pub const AWAIT_PENDING: usize = 32;
/// Steps of one walk of awaits: a frame takes two or three, those that are only passed through included.
pub const AWAIT_STEPS: u32 = 512;
/// Different await stacks of one target.
pub const AWAIT_STACKS: u32 = 32_768;
/// Shapes of stacks in which wakers are stored.
pub const WAKER_SHAPES: u32 = 2048;
/// Pairs of a task type and an await stack.
pub const AWAIT_SUMS: u32 = 32_768;
/// Vtables of `dyn` futures, and poll functions of scopes' futures.
pub const AWAIT_ENTRIES: u32 = 65_536;

/// Tasks that are known to be a worker's own loop, in which it waits for work.
pub const WORKER_TASKS: u32 = 1024;

/// Ids of other libraries that the kernel side remembers to have told the daemon of. One that was forgotten is told of again.
pub const FOREIGN_IDS: u32 = 16_384;
