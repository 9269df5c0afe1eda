//! The sampling clock: one stack of a thread that is inside a poll.

use core::ffi::c_void;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::BPF_F_USER_STACK;
use aya_ebpf::helpers::generated::bpf_get_stack;
use aya_ebpf::programs::PerfEventContext;
use profiler_common::limits::{FRAME_DEPTH, STACK_FRAMES};
use profiler_common::loss::Loss;
use profiler_common::record::{RecordKind, SAMPLE_REQUESTS, SampleRecord};
use profiler_common::thread::ThreadRow;

use crate::losses::lose;
use crate::maps::{RECORDS, TASKS};
use crate::{globals, threads};

/// Takes a sample if the interrupted thread is the target's and inside a poll or scope that is wanted.
#[inline(always)]
pub fn take(ctx: &PerfEventContext) {
    let (tid, tgid) = threads::current();
    if tgid != globals::target_tgid() {
        return;
    }
    let now_ns = threads::now_ns();
    let Some(gate) = threads::gate(now_ns) else { return };
    let Some(thread) = threads::known(tid) else { return };
    let Some(top) = thread.frames.top() else { return };
    if gate.sample_all == 0 && top.request == 0 {
        return;
    }
    let (address, mut task_id, mut task_type) = (top.task, 0, u32::MAX);
    if let Some(task) = TASKS.get_ptr_mut(address) {
        // SAFETY: a map value lives as long as the program runs; these two words are written once.
        (task_id, task_type) = unsafe { ((*task).id, (*task).task_type) };
    }
    let Some(mut entry) = RECORDS.reserve::<SampleRecord>(0) else {
        lose(Loss::RingFullSample);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted or discarded, and every field up to the stack is written; the helper writes
    // the stack, of which `frames` says how much.
    let written = unsafe {
        (*record).kind = RecordKind::Sample as u32;
        (*record).tid = tid;
        (*record).time_ns = now_ns;
        (*record).task = address;
        (*record).task_id = task_id;
        (*record).task_type = task_type;
        (*record).requests = requests(thread);
        bpf_get_stack(
            ctx.as_ptr(),
            (&raw mut (*record).stack).cast::<c_void>(),
            (STACK_FRAMES * size_of::<u64>()) as u32,
            u64::from(BPF_F_USER_STACK),
        )
    };
    if written <= 0 {
        lose(Loss::StackUnreadable);
        entry.discard(0);
        return;
    }
    // SAFETY: as above.
    unsafe { (*record).frames = (written as usize / size_of::<u64>()) as u32 };
    entry.submit(0);
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
