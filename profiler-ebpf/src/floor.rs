//! Programs that do nothing. Attached where the others would be, they show what the kernel takes for running any program there: the floor
//! below which no work on the others can go.

use aya_ebpf::macros::{btf_tracepoint, perf_event, uprobe};
use aya_ebpf::programs::{BtfTracePointContext, PerfEventContext, ProbeContext};

/// In the place of any uprobe's program, a return probe's included: to the kernel they are of one kind.
#[uprobe]
pub fn empty(_ctx: ProbeContext) -> u32 {
    0
}

/// In the place of `sched_switch`.
#[btf_tracepoint(function = "sched_switch")]
pub fn empty_switch(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// In the place of `sched_wakeup`.
#[btf_tracepoint(function = "sched_wakeup")]
pub fn empty_wakeup(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// In the place of `sched_process_exit`.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn empty_exit(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// In the place of `sample_tick`.
#[perf_event]
pub fn empty_tick(_ctx: PerfEventContext) -> u32 {
    0
}
