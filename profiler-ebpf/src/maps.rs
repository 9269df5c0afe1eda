//! Every map, with who writes it.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::{Array as BtfArray, ArrayOfMaps};
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use profiler_common::awaits::{
    AwaitKey, AwaitStack, AwaitSum, AwaitWalk, AwaitWalks, Edge, Node, RequestKey, WakerKey, WakerShape,
};
use profiler_common::clock::OffCpu;
use profiler_common::foreign::{ForeignLook, ForeignRecord, ForeignSlot, ForeignSlots};
use profiler_common::gate::Gate;
use profiler_common::hits::SiteHits;
use profiler_common::limits::{
    AWAIT_ENTRIES as MAX_AWAIT_ENTRIES, AWAIT_STACKS as MAX_AWAIT_STACKS, AWAIT_SUMS as MAX_AWAIT_SUMS, CHUNKS, FOREIGN_IDS,
    REQUEST_ID_BYTES, RING_BYTES, RULES, SCOPE_SLOTS as SLOTS, SCOPES as MAX_SCOPES, SITES, TASK_TYPES as MAX_TYPES,
    TASKS as MAX_TASKS,
};
use profiler_common::limits::{
    THREADS as MAX_THREADS, TIMED as MAX_TIMED, WAKER_SHAPES as MAX_WAKER_SHAPES, WANTED as MAX_WANTED,
    WORKER_TASKS as MAX_WORKER_TASKS,
};
use profiler_common::loss::LOSSES as LOSS_COUNT;
use profiler_common::outside::OutsideSum;
use profiler_common::record::{
    AwaitRecord, BackRecord, BeginRecord, ChildRecord, PollRecord, RequestRecord, SpawnedRecord, StackRecord, WakeRecord,
};
use profiler_common::scope::{ScopeRow, ScopeSlot};
use profiler_common::site::TypeRow;
use profiler_common::task::TaskRow;
use profiler_common::thread::{ThreadPlaces, ThreadRow};
use profiler_common::times::KeptTimes;
use profiler_common::totals::TypeTotals;
use profiler_common::unwind::{Chunk, Region, RegionTable, Rule, Walks};

use crate::unwind::Walk;

/// The window, and whether all requests are wanted. Written by the daemon.
#[map]
pub static GATE: Array<Gate> = Array::with_max_entries(1, 0);

/// Threads that have polled a task, by their places. Allocated before use: `sched_switch` must not allocate.
#[map]
pub static THREADS: Array<ThreadRow> = Array::with_max_entries(MAX_THREADS, 0);

/// Which place a thread has there. In an array, because every program looks its thread up: by hash that is a call and three lines of memory that are
/// not in the cache, here it is a load and a comparison.
#[map]
pub static THREAD_PLACES: Array<ThreadPlaces> = Array::with_max_entries(1, 0);

/// Live tasks, by header address.
#[map]
pub static TASKS: HashMap<u64, TaskRow> = HashMap::with_max_entries(MAX_TASKS, BPF_F_NO_PREALLOC);

/// Wanted requests in flight: those for which there is a slot. See [`crate::slots`].
#[map]
pub static SCOPE_SLOTS: Array<ScopeSlot> = Array::with_max_entries(SLOTS, 0);

/// Wanted requests in flight, by scope sequence number: those for which there was no slot.
#[map]
pub static SCOPES: HashMap<u64, ScopeRow> = HashMap::with_max_entries(MAX_SCOPES, BPF_F_NO_PREALLOC);

/// How much of their polls requests that keep their own times were off the CPU, by scope sequence number. Allocated before use:
/// `sched_switch` must not allocate.
#[map]
pub static TIMED: HashMap<u64, OffCpu> = HashMap::with_max_entries(MAX_TIMED, 0);

/// The lowest id that is known to belong to a task that was spawned inside the window, 0 while none is. Written by the daemon as the window
/// opens, if it can tell; lowered by spawns that are seen.
#[map]
pub static FIRST_ID: Array<u64> = Array::with_max_entries(1, 0);

/// The highest number of a scope for which there was no room: up to it, a new one may have been entered before.
#[map]
pub static TURNED_AWAY: Array<u64> = Array::with_max_entries(1, 0);

/// Wanted request ids and trace ids, zero-padded: 1 for a request id, 2 for a trace id. Written by the daemon.
#[map]
pub static WANTED: HashMap<[u8; REQUEST_ID_BYTES], u32> = HashMap::with_max_entries(MAX_WANTED, 0);

/// Task types by vtable. Written by the daemon.
#[map]
pub static TYPES: HashMap<u64, TypeRow> = HashMap::with_max_entries(MAX_TYPES, 0);

/// First hits of sites, by the address of the probed instruction.
#[map]
pub static SITE_HITS: HashMap<u64, SiteHits> = HashMap::with_max_entries(SITES, BPF_F_NO_PREALLOC);

/// Sums of finished tasks by type; the daemon sizes it to the types that there are.
#[map]
pub static TYPE_TOTALS: Array<TypeTotals> = Array::with_max_entries(1, 0);

/// One counter a [`profiler_common::loss::Loss`].
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSS_COUNT as u32, 0);

/// Where the target's code lies and which rows describe it. Two tables, of which the gate says which is current. Written by the daemon.
#[map]
pub static REGION_TABLES: Array<RegionTable> = Array::with_max_entries(2, 0);

/// Chunks of unwind rows; the daemon makes as many as it needs, also later, when a library is mapped.
#[btf_map]
pub static UNWIND_CHUNKS: ArrayOfMaps<BtfArray<Chunk, 1>, { CHUNKS as usize }> = ArrayOfMaps::new();

/// What rows refer to. Written by the daemon.
#[map]
pub static UNWIND_RULES: Array<Rule> = Array::with_max_entries(RULES, 0);

/// The walk under way on a CPU.
#[map]
pub static WALK: PerCpuArray<Walk> = PerCpuArray::with_max_entries(1, 0);

/// The walk under way on a thread whose future stores its waker, by thread id: a uprobe program can be preempted by another thread's.
#[map]
pub static WAKER_WALKS: HashMap<u32, Walk> = HashMap::with_max_entries(MAX_THREADS, BPF_F_NO_PREALLOC);

/// Where return addresses lay in stacks in which wakers were stored. Full, it costs walks and no data. Allocated before use: an allocation in
/// a poll can raise an interrupt of its own (kernel/bpf/memalloc.c, `irq_work_raise`).
#[map]
pub static WAKER_SHAPES: HashMap<WakerKey, WakerShape> = HashMap::with_max_entries(MAX_WAKER_SHAPES, 0);

/// What walks came to.
#[map]
pub static WALKS: PerCpuArray<Walks> = PerCpuArray::with_max_entries(1, 0);

/// The layout table of the target's futures: its nodes. The daemon sizes it to what there is, and writes it.
#[map]
pub static AWAIT_NODES: Array<Node> = Array::with_max_entries(1, 0);

/// The layout table's edges. See [`AWAIT_NODES`].
#[map]
pub static AWAIT_EDGES: Array<Edge> = Array::with_max_entries(1, 0);

/// Nodes by the address of a vtable of a `dyn` future, or of the poll function of a scope's future. Written by the daemon.
#[map]
pub static AWAIT_ENTRIES: HashMap<u64, u32> = HashMap::with_max_entries(MAX_AWAIT_ENTRIES, BPF_F_NO_PREALLOC);

/// The walk of awaits under way on a thread, by thread id.
#[map]
pub static AWAIT_WALKS: HashMap<u32, AwaitWalk> = HashMap::with_max_entries(MAX_THREADS, BPF_F_NO_PREALLOC);

/// Every await stack that was met, by its id.
#[map]
pub static AWAIT_STACKS: HashMap<u64, AwaitStack> = HashMap::with_max_entries(MAX_AWAIT_STACKS, BPF_F_NO_PREALLOC);

/// Time between polls by task type and await stack, where every task's awaits are walked.
#[map]
pub static AWAIT_SUMS: HashMap<AwaitKey, AwaitSum> = HashMap::with_max_entries(MAX_AWAIT_SUMS, BPF_F_NO_PREALLOC);

/// The key that requests are named by. Written by the daemon before the window opens.
#[map]
pub static REQUEST_KEY: Array<RequestKey> = Array::with_max_entries(1, 0);

/// What walks of awaits came to.
#[map]
pub static AWAIT_TOTALS: PerCpuArray<AwaitWalks> = PerCpuArray::with_max_entries(1, 0);

/// Where other libraries keep ids of requests. Written by the daemon.
#[map]
pub static FOREIGN_SLOTS: Array<ForeignSlots> = Array::with_max_entries(1, 0);

/// The look under way on a CPU.
#[map]
pub static FOREIGN_LOOK: PerCpuArray<ForeignLook> = PerCpuArray::with_max_entries(1, 0);

/// Numbers of ids that the daemon was told of lately.
#[map]
pub static FOREIGN_SEEN: LruHashMap<u64, u32> = LruHashMap::with_max_entries(FOREIGN_IDS, 0);

/// How often an attribute had an index that the known map of keys has not.
#[map]
pub static FOREIGN_UNKNOWN: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// What threads did outside of any task, in the mode without probes.
#[map]
pub static OUTSIDE: PerCpuArray<OutsideSum> = PerCpuArray::with_max_entries(1, 0);

/// Ids of tasks that are a worker's own loop. Written by the daemon, as it meets them.
#[map]
pub static WORKER_TASKS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_WORKER_TASKS, 0);

/// Finished requests, their finished children, stacks, polls, wakes, waits.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Rows to start from: too big for the 512 bytes of BPF stack, so they stand in the read-only section.
pub static NEW_THREAD: ThreadRow = ThreadRow::NEW;
/// See [`NEW_THREAD`].
pub static NO_TIME_OFF: OffCpu = OffCpu { preempted_ns: 0, blocked_ns: 0, stopped_ns: 0 };
/// See [`NEW_THREAD`].
pub static NEW_WALK: Walk = Walk::NEW;
/// See [`NEW_THREAD`].
pub static NEW_AWAIT_WALK: AwaitWalk = AwaitWalk::NEW;
/// See [`NEW_THREAD`].
pub static NEW_AWAIT_SUM: AwaitSum = AwaitSum::NONE;
/// See [`NEW_THREAD`].
pub static NEW_TASK: TaskRow = TaskRow::NEW;
/// See [`NEW_THREAD`]. Being written.
pub static NEW_SCOPE: ScopeRow = ScopeRow { sequence: 1, ..ScopeRow::NEW };

/// One of each shared structure that no map or static mentions by its type, so that the object's type information names them all and the
/// layouts can be compared with user space's.
#[repr(C)]
pub struct SharedTypes {
    task: TaskRow,
    totals: TypeTotals,
    kind: TypeRow,
    gate: Gate,
    stack: StackRecord,
    back: BackRecord,
    poll: PollRecord,
    wake: WakeRecord,
    begin: BeginRecord,
    spawned: SpawnedRecord,
    rule: Rule,
    region: Region,
    walks: Walks,
    kept: KeptTimes,
    request: RequestRecord,
    child: ChildRecord,
    awaited: AwaitRecord,
    node: Node,
    edge: Edge,
    await_stack: AwaitStack,
    await_key: AwaitKey,
    await_sum: AwaitSum,
    await_walks: AwaitWalks,
    request_key: RequestKey,
    foreign_slot: ForeignSlot,
    foreign_slots: ForeignSlots,
    foreign_look: ForeignLook,
    foreign_record: ForeignRecord,
    outside: OutsideSum,
    slot: ScopeSlot,
    hits: SiteHits,
}

/// See [`SharedTypes`]; never read.
#[used]
#[unsafe(no_mangle)]
// SAFETY: integers and arrays of them, for which zeros are values.
pub static SHARED_TYPES: SharedTypes = unsafe { core::mem::zeroed() };
