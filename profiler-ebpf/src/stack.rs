//! Records with a stack: of a thread inside a wanted poll, at a tick of the sampling clock or when it leaves its CPU.

use core::ffi::c_void;
use core::mem::offset_of;

use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, pt_regs};
use aya_ebpf::helpers::generated::bpf_ringbuf_output;
use profiler_common::gate::{Gate, TELL_SAMPLE};
use profiler_common::limits::{FRAME_DEPTH, STACK_FRAMES};
use profiler_common::loss::Loss;
use profiler_common::record::{NO_SYSCALL, RecordKind, SAMPLE_REQUESTS, STACK_RECORD_HEAD};
use profiler_common::thread::ThreadRow;

use crate::losses::lose;
use crate::maps::{RECORDS, TASKS};
use crate::{foreign, spans, unwind};

/// What is to be recorded.
pub struct Event {
    /// [`RecordKind::Sample`] or [`RecordKind::Off`].
    pub kind: RecordKind,
    /// The thread.
    pub tid: u32,
    /// When (ns).
    pub now_ns: u64,
    /// [`profiler_common::thread::OffReason`] as a number.
    pub reason: u32,
    /// The task that the thread is in by its own word, see [`crate::sampled::inside`].
    pub task_id: u64,
    /// The same of its request, which is none that a probe has told of.
    pub request: u64,
}

/// Records the current thread, whose row is `thread`. False if it is in no poll, in none that is wanted, or if the ring buffer is full.
#[inline(always)]
pub fn record(event: &Event, thread: Option<&ThreadRow>, gate: &Gate) -> bool {
    let registers = unwind::user_registers();
    let poll_sp = if gate.sample_only == 0 { in_poll(event.request, thread, gate) } else { by_itself(event, gate) };
    let (Some(poll_sp), Some(walk)) = (poll_sp, unwind::scratch()) else { return false };
    let record = &mut walk.record;
    record.kind = event.kind as u32;
    record.tid = event.tid;
    record.time_ns = event.now_ns;
    record.reason = event.reason;
    record.detail = if event.kind as u32 == RecordKind::Sample as u32 { gate.sample_period_ns } else { syscall(registers) };
    unwind::walk(registers, poll_sp, gate);
    let Some(walk) = unwind::scratch() else { return false };
    let frames = walk.record.frames as usize;
    let frames = if frames > STACK_FRAMES { STACK_FRAMES } else { frames };
    let bytes = STACK_RECORD_HEAD + frames * size_of::<u64>();
    let from = &raw mut walk.record;
    let is_met = event.kind as u32 == RecordKind::Sample as u32 && walk.record.requests[0] != 0;
    let flags = if is_met { spans::told(gate, TELL_SAMPLE) } else { BPF_RB_NO_WAKEUP };
    // SAFETY: the record is that long, and the map is ours.
    let result = unsafe {
        bpf_ringbuf_output((&raw const RECORDS).cast_mut().cast::<c_void>(), from.cast(), bytes as u64, u64::from(flags))
    };
    if result != 0 {
        lose(if event.kind as u32 == RecordKind::Sample as u32 { Loss::RingFullSample } else { Loss::RingFullOffCpu });
        return false;
    }
    true
}

/// Fills in whose the stack is, by the polls that are open on the thread. Gives where the poll's return address lies; `None`: nobody asked for it.
#[inline(always)]
fn in_poll(foreign: u64, thread: Option<&ThreadRow>, gate: &Gate) -> Option<u64> {
    let thread = thread?;
    let top = thread.frames.top()?;
    if gate.sample_all == 0 && top.request == 0 && foreign == 0 {
        return None;
    }
    let record = &mut unwind::scratch()?.record;
    record.task = top.task;
    (record.task_id, record.task_type) = (0, u32::MAX);
    if let Some(task) = TASKS.get_ptr_mut(top.task) {
        // SAFETY: a map value lives as long as the program runs; these two words are written once.
        (record.task_id, record.task_type) = unsafe { ((*task).id, (*task).task_type) };
    }
    record.requests = foreign::innermost(requests(thread), foreign);
    record.poll_start_ns = top.start_ns;
    // A scope outside any task has a stack pointer above all others.
    Some(top.sp)
}

/// The same by what the thread says of itself. Its stack is walked to its root: where its poll began is not known here. Off its CPU a thread that is in
/// nothing waits for work, mostly: such a stretch has no record.
#[inline(always)]
fn by_itself(event: &Event, gate: &Gate) -> Option<u64> {
    let is_sample = event.kind as u32 == RecordKind::Sample as u32;
    if event.request == 0 && (gate.sample_all == 0 || event.task_id == 0 && !is_sample) {
        return None;
    }
    let record = &mut unwind::scratch()?.record;
    // Not plain zeros: LLVM would call `memset`, which is a loop of bytes on BPF.
    let zero = core::hint::black_box(0_u64);
    (record.task, record.task_id, record.task_type) = (zero, event.task_id, u32::MAX);
    record.requests = [event.request, zero, zero, zero];
    record.poll_start_ns = zero;
    Some(u64::MAX)
}

/// The system call that the thread is in. The kernel leaves its number in `orig_ax`, and -1 there for what is none
/// (arch/x86/entry/entry_64.S); an interrupt's vector is not below 0 either, but far from any number of a call.
#[inline(always)]
fn syscall(registers: *const c_void) -> u64 {
    const CALLS: u64 = 1024;
    let number = unwind::register(registers, offset_of!(pt_regs, orig_rax));
    if number < CALLS { number } else { NO_SYSCALL }
}

/// The requests that the thread is inside, innermost first.
#[inline(always)]
fn requests(thread: &ThreadRow) -> [u64; SAMPLE_REQUESTS] {
    let mut found = [0; SAMPLE_REQUESTS];
    let mut count = 0;
    let depth = thread.frames.depth as usize;
    for down in 0..FRAME_DEPTH {
        if down >= depth || count >= SAMPLE_REQUESTS {
            break;
        }
        let request = thread.frames.frames[(depth - 1 - down) & (FRAME_DEPTH - 1)].request;
        if request != 0 && (count == 0 || found[(count - 1) & (SAMPLE_REQUESTS - 1)] != request) {
            found[count & (SAMPLE_REQUESTS - 1)] = request;
            count += 1;
        }
    }
    found
}
