//! The kernel side: thin entry points over small modules. What is decided is decided in `profiler-common`; here stands what only
//! the kernel can do: reading registers and memory, finding rows, and handing them to the accounting machine.
//!
//! Uprobe programs are preemptible, `sched_switch` is not: a switch can land inside any handler of the thread that it switches,
//! never the other way round. Who may write which word is said at the rows in `profiler-common`.
//!
//! Known gaps, each a matter of a few hundred nanoseconds: a task aborted between the idle site's reading of its state and Tokio's exchange
//! is dropped and completed in what counts as suspended; a start site in a retry loop takes the next poll at the same stack depth for a
//! repetition if the end between was lost.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "BPF has no library atomics that return the old value; the intrinsics do")]

mod atomics;
mod awaits;
mod children;
mod floor;
mod foreign;
mod globals;
mod hidden;
mod hits;
mod keys;
mod losses;
mod maps;
mod memory;
mod named;
mod places;
mod poll;
mod registers;
mod rows;
mod sample;
mod sampled;
mod sched;
mod scopes;
mod slots;
mod spans;
mod spawn;
mod stack;
mod tasks;
mod threads;
mod times;
mod unfollowed;
mod unwind;
mod wake;
mod wakers;

use aya_ebpf::macros::{btf_tracepoint, perf_event, uprobe, uretprobe};
use aya_ebpf::programs::{BtfTracePointContext, PerfEventContext, ProbeContext, RetProbeContext};

use registers::Hit;

/// A task's poll starts.
#[uprobe]
pub fn poll_start(ctx: ProbeContext) -> u32 {
    poll::start(&Hit::new(&ctx));
    0
}

/// A poll is about to end pending; its task is still ours.
#[uprobe]
pub fn poll_idle(ctx: ProbeContext) -> u32 {
    poll::idle(&Hit::new(&ctx));
    0
}

/// A task is about to complete.
#[uprobe]
pub fn task_complete(ctx: ProbeContext) -> u32 {
    poll::complete(&Hit::new(&ctx));
    0
}

/// A poll function is about to return; its task may be another thread's already.
#[uprobe]
pub fn poll_return(ctx: ProbeContext) -> u32 {
    poll::returned(&Hit::new(&ctx));
    0
}

/// A poll function has returned: the same through a return probe.
#[uretprobe]
pub fn poll_returned(ctx: RetProbeContext) -> u32 {
    poll::returned(&Hit::returned(&ctx));
    0
}

/// A task is woken.
#[uprobe]
pub fn task_wake(ctx: ProbeContext) -> u32 {
    wake::wake(&Hit::new(&ctx));
    0
}

/// A task defers its own wake.
#[uprobe]
pub fn task_defer(ctx: ProbeContext) -> u32 {
    wake::defer(&Hit::new(&ctx));
    0
}

/// A leaf future stores its waker.
#[uprobe]
pub fn waker_stored(ctx: ProbeContext) -> u32 {
    wakers::stored(&Hit::new(&ctx));
    0
}

/// A task is spawned.
#[uprobe]
pub fn task_spawn(ctx: ProbeContext) -> u32 {
    spawn::spawn(&Hit::new(&ctx));
    0
}

/// A task is put into the queue of its `LocalSet`.
#[uprobe]
pub fn local_scheduled(ctx: ProbeContext) -> u32 {
    spawn::local(&Hit::new(&ctx));
    0
}

/// A scope's poll starts.
#[uprobe]
pub fn scope_enter(ctx: ProbeContext) -> u32 {
    scopes::enter(&Hit::new(&ctx));
    0
}

/// A scope's poll ends.
#[uprobe]
pub fn scope_exit(ctx: ProbeContext) -> u32 {
    scopes::exit(&Hit::new(&ctx));
    0
}

/// A scope is done or dropped.
#[uprobe]
pub fn scope_end(ctx: ProbeContext) -> u32 {
    scopes::end(&Hit::new(&ctx));
    0
}

/// A wanted scope, or a child of one, is woken through its own waker.
#[uprobe]
pub fn scope_wake(ctx: ProbeContext) -> u32 {
    scopes::wake(&Hit::new(&ctx));
    0
}

/// A wanted scope is about to spawn a child.
#[uprobe]
pub fn scope_spawn(ctx: ProbeContext) -> u32 {
    children::spawn(&Hit::new(&ctx));
    0
}

/// A child has been spawned, and is this task.
#[uprobe]
pub fn scope_task(ctx: ProbeContext) -> u32 {
    children::task(&Hit::new(&ctx));
    0
}

/// A scope that has kept its own times is over.
#[uprobe]
pub fn scope_times(ctx: ProbeContext) -> u32 {
    times::deliver(&Hit::new(&ctx));
    0
}

/// A CPU goes from one thread to another: `(bool preempt, prev, next, unsigned prev_state)`, include/trace/events/sched.h since 5.18.
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    sched::switch(ctx.arg::<u64>(0) & 1 != 0, ctx.arg(1), ctx.arg(2), ctx.arg::<u64>(3) & 0xffff_ffff);
    0
}

/// A thread becomes runnable: `(struct task_struct *p)`.
#[btf_tracepoint(function = "sched_wakeup")]
pub fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    sched::wakeup(ctx.arg(0));
    0
}

/// The current thread ends.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(_ctx: BtfTracePointContext) -> i32 {
    sched::exit();
    0
}

/// The sampling clock ticks on this CPU.
#[perf_event]
pub fn sample_tick(_ctx: PerfEventContext) -> u32 {
    sample::take();
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing here can panic (the object would not link if it could reach a format), so this is never run.
    unsafe { core::hint::unreachable_unchecked() }
}

/// The licence that the helpers used here ask for (`bpf_probe_read_user` and `bpf_task_pt_regs` are GPL-only); the kernel reads it, the
/// sources stay MIT OR Apache-2.0.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
