//! The current thread's row, and the snapshot of its clocks.

use core::ffi::c_void;
use core::ptr::read_volatile;

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_ktime_get_ns};
use aya_log_ebpf::{info, warn};
use profiler_common::clock::{self, ClockSource, OffCpu, Snapshot};
use profiler_common::gate::Gate;
use profiler_common::loss::Loss;
use profiler_common::thread::ThreadRow;

use crate::globals;
use crate::losses::lose;
use crate::maps::GATE;
use crate::memory::read_kernel;
use crate::registers::Hit;
use crate::{awaits, places, spans};

/// The time (ns, `CLOCK_MONOTONIC`).
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// The current thread's id and thread group id, in the initial pid namespace.
#[inline(always)]
pub fn current() -> (u32, u32) {
    // SAFETY: no arguments.
    let both = unsafe { bpf_get_current_pid_tgid() };
    (both as u32, (both >> 32) as u32)
}

/// CPU time of the current thread by the kernel's own account (ns). It moves at ticks and switches only.
#[inline(always)]
pub fn cpu_time() -> u64 {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() } as *const c_void;
    read_kernel(task, globals::task_cpu_time_offset()).unwrap_or(0)
}

/// `PF_IO_WORKER` (include/linux/sched.h, 6.1 to 6.18).
const IO_WORKER: u32 = 0x10;

/// The current thread's thread pointer, behind and before which its thread-locals lie; 0 where it has none of its own: a thread that is being made, and a
/// worker that the kernel has made for io_uring. That one belongs to the process, never runs its code, and has the thread pointer of the thread that
/// asked (arch/x86/kernel/process.c, `copy_thread`): what stands there is what the other one is in.
#[inline(never)]
pub fn thread_pointer() -> u64 {
    if globals::task_fsbase_offset() == 0 {
        return 0;
    }
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() } as *const c_void;
    let flags = read_kernel::<u32>(task, globals::task_flags_offset()).unwrap_or(0);
    if flags & IO_WORKER != 0 {
        return 0;
    }
    read_kernel(task, globals::task_fsbase_offset()).unwrap_or(0)
}

/// The gate, if an event now is let through.
#[inline(always)]
pub fn gate(now_ns: u64) -> Option<&'static Gate> {
    GATE.get(0).filter(|gate| gate.admits(now_ns))
}

/// The gate, if it is open: for events whose time is not needed, and for those that learn it by their snapshot ([`snapshot_within`]). The
/// clock is not read.
#[inline(always)]
pub fn open_gate() -> Option<&'static Gate> {
    GATE.get(0).filter(|gate| gate.is_open())
}

/// The row of thread `tid`, if it has one.
#[inline(always)]
pub fn known(tid: u32) -> Option<&'static mut ThreadRow> {
    places::find(tid)
}

/// As [`row`], and made only if `gate` lets an event through now.
#[inline(always)]
pub fn row_within(gate: &Gate, hit: &Hit, tid: u32) -> Option<&'static mut ThreadRow> {
    if let Some(row) = known(tid) {
        return Some(row);
    }
    if gate.admits(now_ns()) { row(hit, tid) } else { None }
}

/// The row of the current thread `tid`, made now if it has none. That happens once a thread, so it may be logged.
#[inline(always)]
pub fn row(hit: &Hit, tid: u32) -> Option<&'static mut ThreadRow> {
    if let Some(row) = known(tid) {
        return Some(row);
    }
    if !places::make(tid) {
        warn!(hit, "no row for thread {}: the map of threads is full", tid);
        return None;
    }
    if let Some(gate) = GATE.get(0) {
        awaits::prepare_thread(tid, gate);
    }
    info!(hit, "thread {} polls tasks", tid);
    known(tid)
}

/// The row of the current thread `tid`, which leaves its CPU; made now if it has none.
#[inline(always)]
pub fn leaving(tid: u32) -> Option<&'static mut ThreadRow> {
    known(tid).or_else(|| if places::make(tid) { known(tid) } else { None })
}

/// Reads the row of the thread that runs this very program.
struct Own<'row>(&'row ThreadRow);

impl ClockSource for Own<'_> {
    #[inline(always)]
    fn sequence(&mut self) -> u32 {
        // SAFETY: a reference; volatile because a switch can land between any two reads.
        unsafe { read_volatile(&self.0.sequence) }
    }

    #[inline(always)]
    fn off_cpu(&mut self) -> OffCpu {
        // SAFETY: as above.
        unsafe { read_volatile(&self.0.off) }
    }

    #[inline(always)]
    fn now_ns(&mut self) -> u64 {
        now_ns()
    }
}

/// Time and clocks of the current thread, whose row is `row`, if `gate` lets an event through at that time. The clock is read once.
#[inline(always)]
pub fn snapshot_within(gate: &Gate, row: &mut ThreadRow) -> Option<Snapshot> {
    // A row that says that its thread is off its CPU is mended first, and that only inside the window.
    if row.is_off() {
        return if gate.admits(now_ns()) { Some(snapshot(row)) } else { None };
    }
    let snapshot = clock::snapshot(&mut Own(row));
    if !gate.admits(snapshot.now_ns) {
        return None;
    }
    if snapshot.torn {
        lose(Loss::SnapshotTorn);
    }
    Some(snapshot)
}

/// Time and clocks of the current thread, whose row is `row`.
#[inline(always)]
pub fn snapshot(row: &mut ThreadRow) -> Snapshot {
    if row.is_off() {
        // This very thread runs us, so it has a CPU, whatever the row says. Since when, is not to be known here.
        lose(Loss::SwitchInUnseen);
        let off = row.on_unseen_switch_in(now_ns(), 0);
        spans::back(row, current().0, off);
    }
    let snapshot = clock::snapshot(&mut Own(row));
    if snapshot.torn {
        lose(Loss::SnapshotTorn);
    }
    snapshot
}
