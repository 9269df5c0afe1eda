//! Every bound of the kernel side in one place. A full map costs data, which is counted as a [`crate::loss::Loss`], never the target.

/// Longest request id, in bytes (the annotation refuses longer ones).
pub const REQUEST_ID_BYTES: usize = 64;

/// Open polls and scopes that one thread may nest. A `LocalSet` inside a scope inside a poll is three.
pub const FRAME_DEPTH: usize = 16;

/// Threads of the target that can have polled a task.
pub const THREADS: u32 = 4096;

/// Live tasks with a row of their own.
pub const TASKS: u32 = 262_144;

/// Wanted requests in flight.
pub const SCOPES: u32 = 16_384;

/// Request ids that can be asked for at once.
pub const WANTED: u32 = 1024;

/// Spawned types (one vtable each) of one target.
pub const TASK_TYPES: u32 = 8192;

/// Frames of one sampled stack: what `bpf_get_stack` gives at most (`PERF_MAX_STACK_DEPTH`, linux/perf_event.h).
pub const STACK_FRAMES: usize = 127;

/// Size of the ring buffer. A sample takes about 1.1 KiB, so this holds some 15,000 of them.
pub const RING_BYTES: u32 = 16 * 1024 * 1024;

/// How often a handler re-reads its thread's clocks when a switch landed between two reads.
pub const SNAPSHOT_TRIES: usize = 4;
