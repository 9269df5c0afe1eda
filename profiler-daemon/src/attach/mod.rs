//! Loads the programs, fills their maps, makes and drops the links. Knows no ELF: where to probe is the plan's business.
//!
//! Invariant: everything attached hangs on file descriptors that [`Attached`] owns. Dropping it, or the death of the daemon by any
//! signal, takes every probe out of the target.

mod awaits;
mod cpus;
mod error;
mod foreign;
mod handlers;
mod hits;
mod kernel_types;
mod keys;
mod loading;
mod log;
mod machine;
mod object;
mod perf;
mod programs;
mod room;
mod runs;
mod sampled;
mod stock;
mod sys;
mod unwind;
mod uprobes;

pub use awaits::{AwaitTables, AwaitsOf};
pub use error::AttachError;
pub use handlers::Handlers;
pub(crate) use keys::keys;
pub use machine::{UprobeMulti, is_virtual_machine, online_cpus, return_probe_is_safe, uprobe_multi};
pub use object::OBJECT_OVERRIDE;
pub use perf::{MAX_RATE_HZ, Pace, Rate};
pub use room::{MAX_ROOM, Room};
pub use runs::{ProgramRuns, RunStatistics};
pub use sampled::TaskIdPlace;
pub(crate) use sys::monotonic_ns;
pub use unwind::{Code, LoadedRows, UnwindMemory, UnwindRows};
pub use uprobes::{LinkKind, Probe};

use std::path::Path;
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, RingBuf};
use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf, EbpfLoader};
use profiler_common::awaits::RequestKey;
use profiler_common::gate::Gate;
use profiler_common::limits::{REQUEST_ID_BYTES, TRACE_ID_BYTES};
use profiler_common::site::TypeRow;

use kernel_types::TaskOffsets;
use perf::Samplers;
use programs::Programs;
use unwind::Unwind;
use uprobes::Uprobes;

/// What to attach to, and what to look for.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself, and none follows from another")]
pub struct Order<'a> {
    /// The target's process id.
    pub pid: u32,
    /// The target's executable as the kernel is to open it: `/proc/PID/exe`, which holds in containers and after a redeploy.
    pub exe: &'a Path,
    /// The probe sites.
    pub probes: &'a [Probe],
    /// How to make the probes.
    pub links: LinkKind,
    /// The task types: runtime address of the vtable, and where the id stands. Their place is their number.
    pub types: &'a [(u64, TypeRow)],
    /// How many task types there are to sum for (several vtables may share one).
    pub type_count: u32,
    /// Offset of the vtable pointer in a task's header (bytes).
    pub header_vtable_offset: u32,
    /// The sampling clock, `None` for no sampling.
    pub rate: Option<Rate>,
    /// How that goes at first.
    pub pace: Pace,
    /// What the kernel side wakes us for at first (`profiler_common::gate::TELL_BEGIN` and the like).
    pub tell: u32,
    /// Whether every request is wanted.
    pub all_requests: bool,
    /// Whether stacks are taken in every poll, on the CPU and off it.
    pub sample_all: bool,
    /// Polls at least this long (ns) leave a record, whoever's they are.
    pub poll_record_ns: u64,
    /// Whether wakes of every task leave a record.
    pub wake_all: bool,
    /// Whether no task is seen, but only scopes, which have wakers of their own then.
    pub requests_only: bool,
    /// Where Tokio's counter of task ids stands in the target, if what it gives out while a wanted request is polled is to be counted.
    pub task_ids: Option<u64>,
    /// Whether every scope that reaches a probe is wanted, because the target has chosen.
    pub chosen_there: bool,
    /// Whether requests are to keep their own times.
    pub keep_times: bool,
    /// How many tasks and requests there is room for.
    pub room: Room,
    /// Request ids that are wanted.
    pub wanted: &'a [Vec<u8>],
    /// Traces whose requests are wanted.
    pub wanted_traces: &'a [[u8; TRACE_ID_BYTES]],
    /// The key that names requests, [`RequestKey::NONE`] where the annotation does.
    pub request_key: RequestKey,
    /// Whose awaits are walked.
    pub awaits: AwaitsOf,
    /// By what. `None`: by the stacks in which leaves store their wakers.
    pub await_tables: Option<AwaitTables<'a>>,
    /// Which programs.
    pub handlers: Handlers,
}

/// A target with the probes in.
#[derive(Debug)]
pub struct Attached {
    // Fields drop in order: the probes leave the target before the programs and maps go.
    uprobes: Option<Uprobes>,
    samplers: Option<Samplers>,
    ebpf: Ebpf,
    /// Taken out of the maps and kept: making it maps 32 MB, and that at every look would cost more than all that is read.
    ring: Option<Ring>,
    log: Option<log::KernelLog>,
    gate: Gate,
    unwind: Unwind,
    handlers: Handlers,
    /// Wrong sites that were taken out.
    taken_out: u64,
}

/// See [`Attached::ring`].
const RING: &str = "RECORDS";

/// The ring buffer, which aya gives no `Debug`.
struct Ring(RingBuf<MapData>);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(RING)
    }
}

/// What the map of wanted ids says of a key: a request id.
const WANTED_ID: u32 = 1;
/// A trace id.
const WANTED_TRACE: u32 = 2;

/// How long after the gate closed a handler that had already looked at it may still run. Handlers take microseconds; this allows for
/// one that was preempted.
const GRACE: Duration = Duration::from_millis(20);

impl Attached {
    /// Loads and attaches everything, with the gate still shut.
    pub fn new(order: &Order<'_>) -> Result<Self, AttachError> {
        check_pid_namespace()?;
        let object = object::bytes()?;
        let offsets = TaskOffsets::of_running_kernel()?;
        let mut ebpf = load(&object, order, offsets)?;
        fill_types(&mut ebpf, order.types)?;
        awaits::set_key(&mut ebpf, order.request_key)?;
        if let Some(tables) = &order.await_tables {
            tables.fill(&mut ebpf)?;
        }
        stock::up(&ebpf);
        let mut attached = Self {
            uprobes: None,
            samplers: None,
            ebpf,
            ring: None,
            log: None,
            gate: Gate {
                all_requests: u32::from(order.all_requests),
                sample_all: u32::from(order.sample_all),
                poll_record_ns: order.poll_record_ns,
                wake_all: u32::from(order.wake_all),
                awaits: order.awaits.number(),
                await_layouts: u32::from(order.await_tables.is_some()),
                requests_only: u32::from(order.requests_only),
                task_ids: order.task_ids.unwrap_or(0),
                chosen_there: u32::from(order.chosen_there),
                tell: order.tell,
                ..Gate::SHUT
            },
            unwind: Unwind::default(),
            handlers: order.handlers,
            taken_out: 0,
        };
        attached.write_gate()?;
        for id in order.wanted {
            attached.want(id)?;
        }
        for trace in order.wanted_traces {
            attached.want_as(trace, WANTED_TRACE)?;
        }
        let parsed = Programs::parse(&object, &attached.ebpf)?;
        let attach_type = order.links.attach_type();
        let loaded = loading::load(&parsed, Uprobes::programs(order), attach_type, || attached.attach_to_kernel(order))?;
        attached.uprobes = Some(Uprobes::attach(loaded, order)?);
        // Last, because they take their maps out, which the programs before had to find.
        let ring = attached.ebpf.take_map(RING).ok_or(AttachError::NoMap { map: RING })?;
        attached.ring = Some(Ring(RingBuf::try_from(ring).map_err(|source| AttachError::Map { map: RING, source })?));
        attached.log = log::KernelLog::of(&mut attached.ebpf);
        Ok(attached)
    }

    /// Attaches to the scheduler, and starts the sampling clock.
    fn attach_to_kernel(&mut self, order: &Order<'_>) -> Result<(), AttachError> {
        attach_scheduler(&mut self.ebpf, order.handlers)?;
        if let Some(rate) = order.rate {
            self.samplers = Some(Samplers::start(&mut self.ebpf, order.handlers.tick(), rate, (order.pid, order.pace))?);
            self.gate.sample_period_ns = rate.period_ns(order.pace);
            self.write_gate()?;
        }
        Ok(())
    }

    /// Lets events count from now on. Returns the window's start (ns, `CLOCK_MONOTONIC`).
    pub fn open(&mut self) -> Result<u64, AttachError> {
        self.gate.open_ns = monotonic_ns();
        self.gate.close_ns = u64::MAX;
        self.write_gate()?;
        Ok(self.gate.open_ns)
    }

    /// Ends the window: after this no row changes any more. Returns the window's end (ns).
    pub fn close(&mut self) -> Result<u64, AttachError> {
        self.gate.close_ns = monotonic_ns();
        self.write_gate()?;
        std::thread::sleep(GRACE);
        Ok(self.gate.close_ns)
    }

    /// Takes the probes out of the target. The maps stay readable, and what the kernel says of the programs.
    pub fn detach(&mut self) {
        if let Some(uprobes) = &mut self.uprobes {
            uprobes.take_out();
        }
        self.samplers = None;
    }

    /// Asks for one more request id.
    pub fn want(&mut self, id: &[u8]) -> Result<(), AttachError> {
        self.want_as(id, WANTED_ID)
    }

    fn want_as(&mut self, id: &[u8], what: u32) -> Result<(), AttachError> {
        let mut key = [0; REQUEST_ID_BYTES];
        let front = key.get_mut(..id.len()).ok_or(AttachError::RequestIdTooLong { bytes: id.len() })?;
        front.copy_from_slice(id);
        let mut wanted: HashMap<_, [u8; REQUEST_ID_BYTES], u32> = typed(&mut self.ebpf, "WANTED")?;
        // An id of 16 bytes may be written as a trace is.
        let known = wanted.get(&key, 0).unwrap_or(0);
        wanted.insert(key, known | what, 0).map_err(|source| AttachError::Map { map: "WANTED", source })
    }

    /// Says from which id on tasks were spawned inside the window.
    pub fn first_id(&mut self, id: u64) -> Result<(), AttachError> {
        let mut map: Array<_, u64> = typed(&mut self.ebpf, "FIRST_ID")?;
        map.set(0, id, 0).map_err(|source| AttachError::Map { map: "FIRST_ID", source })
    }

    /// Walks the awaits of others, or nobody's, from now on.
    pub fn walk_awaits(&mut self, of: AwaitsOf) -> Result<(), AttachError> {
        self.gate.awaits = of.number();
        self.write_gate()
    }

    /// From now on threads are asked, when they leave their CPUs, which scope keeps its times: by the word at `offset` from the thread
    /// pointer.
    pub fn watch_times(&mut self, offset: u64) -> Result<(), AttachError> {
        self.gate.times_offset = offset;
        self.write_gate()
    }

    /// Lets the sampling clock go at this pace, and the kernel side wake us for this (`profiler_common::gate::TELL_BEGIN` and the like).
    /// Nothing happens where it is so already.
    pub fn pace(&mut self, pace: Pace, tell: u32) -> Result<(), AttachError> {
        let period_ns = self.samplers.as_mut().map(|samplers| samplers.set(pace)).transpose()?.flatten();
        if period_ns.is_some() || tell != self.gate.tell {
            self.gate.sample_period_ns = period_ns.unwrap_or(self.gate.sample_period_ns);
            self.gate.tell = tell;
            self.write_gate()?;
        }
        Ok(())
    }

    /// Loads a file's unwind rows.
    pub fn add_unwind_rows(&mut self, rows: &UnwindRows<'_>) -> Result<LoadedRows, AttachError> {
        self.unwind.add(&mut self.ebpf, rows)
    }

    /// Counts a file that has no rows to load.
    pub const fn no_unwind_rows(&mut self) {
        self.unwind.files_without_rows += 1;
    }

    /// Says where the target's code lies now. Of too many stretches the last are left out and counted.
    pub fn set_code(&mut self, code: &[Code<'_>]) -> Result<(), AttachError> {
        let next = self.gate.regions ^ 1;
        self.unwind.write_regions(&mut self.ebpf, next, code)?;
        self.gate.regions = next;
        self.write_gate()
    }

    /// Kernel memory taken by unwind rows, their rules and the regions (bytes), and what found no place there.
    #[must_use]
    pub const fn unwind_memory(&self) -> UnwindMemory {
        self.unwind.memory()
    }

    /// The ring buffer that the kernel side's records come through.
    pub fn ring(&mut self) -> Result<&mut RingBuf<MapData>, AttachError> {
        self.ring.as_mut().map(|ring| &mut ring.0).ok_or(AttachError::NoMap { map: RING })
    }

    /// The maps and programs, for the collect step.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// What the kernel side has said since the last call.
    pub fn said(&mut self) -> Vec<String> {
        self.log.as_mut().map(log::KernelLog::take).unwrap_or_default()
    }

    fn write_gate(&mut self) -> Result<(), AttachError> {
        let mut map: Array<_, Gate> = typed(&mut self.ebpf, "GATE")?;
        map.set(0, self.gate, 0).map_err(|source| AttachError::Map { map: "GATE", source })
    }
}

/// Inode of the initial pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The kernel side compares thread ids with those of the initial pid namespace; from another one none would match, and every poll would
/// read as running.
fn check_pid_namespace() -> Result<(), AttachError> {
    use std::os::unix::fs::MetadataExt as _;
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_err(AttachError::PidNamespaceUnknown)?;
    if namespace.ino() == INITIAL_PID_NAMESPACE { Ok(()) } else { Err(AttachError::PidNamespace) }
}

/// Loads the object and makes its maps.
fn load(object: &[u8], order: &Order<'_>, offsets: TaskOffsets) -> Result<Ebpf, AttachError> {
    let probes = offsets.probes;
    let (nodes, edges) = order.await_tables.unwrap_or_default().sizes();
    EbpfLoader::new()
        .override_global("TARGET_TGID", &order.pid, true)
        .override_global("TASK_PID_OFFSET", &offsets.pid, true)
        .override_global("TASK_TGID_OFFSET", &offsets.tgid, true)
        .override_global("TASK_CPU_TIME_OFFSET", &offsets.cpu_time, true)
        .override_global("TASK_FLAGS_OFFSET", &offsets.flags, true)
        .override_global("TASK_FSBASE_OFFSET", &offsets.thread_pointer.unwrap_or(0), true)
        .override_global("HEADER_VTABLE_OFFSET", &order.header_vtable_offset, true)
        .override_global("TASK_UTASK_OFFSET", &probes.map_or(0, |at| at.utask), true)
        .override_global("UTASK_INSTANCES_OFFSET", &probes.map_or(0, |at| at.instances), true)
        .override_global("INSTANCE_STACK_OFFSET", &probes.map_or(0, |at| at.stack), true)
        .override_global("INSTANCE_CALLER_OFFSET", &probes.map_or(0, |at| at.caller), true)
        .override_global("INSTANCE_NEXT_OFFSET", &probes.map_or(0, |at| at.next), true)
        .override_global("UTASK_COPY_OFFSET", &probes.map_or(0, |at| at.copy), true)
        .override_global("UTASK_ORIGINAL_OFFSET", &probes.map_or(0, |at| at.original), true)
        .map_max_entries("TASKS", order.room.tasks())
        .map_max_entries("SCOPES", order.room.requests())
        .map_max_entries("TIMED", if order.keep_times { order.room.timed() } else { 1 })
        .map_max_entries("TYPE_TOTALS", order.type_count.max(1))
        .map_max_entries("AWAIT_NODES", nodes)
        .map_max_entries("AWAIT_EDGES", edges)
        .load(object)
        .map_err(AttachError::Load)
}

/// A map of the object by its name, with its types.
pub(crate) fn typed<'ebpf, M>(ebpf: &'ebpf mut Ebpf, name: &'static str) -> Result<M, AttachError>
where
    M: TryFrom<&'ebpf mut Map, Error = aya::maps::MapError>,
{
    let map = ebpf.map_mut(name).ok_or(AttachError::NoMap { map: name })?;
    M::try_from(map).map_err(|source| AttachError::Map { map: name, source })
}

fn fill_types(ebpf: &mut Ebpf, types: &[(u64, TypeRow)]) -> Result<(), AttachError> {
    let mut map: HashMap<_, u64, TypeRow> = typed(ebpf, "TYPES")?;
    for (vtable, row) in types {
        map.insert(vtable, row, 0).map_err(|source| AttachError::Map { map: "TYPES", source })?;
    }
    Ok(())
}

fn attach_scheduler(ebpf: &mut Ebpf, handlers: Handlers) -> Result<(), AttachError> {
    let btf = Btf::from_sys_fs().map_err(AttachError::KernelTypes)?;
    for at in handlers.scheduler() {
        let program = ebpf.program_mut(at.program).ok_or(AttachError::NoProgram { program: at.program })?;
        let failed = |source| AttachError::Program { program: at.program, source };
        let program: &mut BtfTracePoint = program.try_into().map_err(failed)?;
        program.load(at.tracepoint, &btf).map_err(failed)?;
        let _: aya::programs::tp_btf::BtfTracePointLinkId = program.attach().map_err(failed)?;
    }
    Ok(())
}
