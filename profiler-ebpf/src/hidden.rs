//! What probes, ours and others', hide of a stack: the caller behind a return probe, and the place of an instruction that is being stepped.
//!
//! A return probe puts the address of a trampoline in the place of a return address; the kernel keeps the real one in a list of the thread
//! (`struct return_instance`, include/linux/uprobes.h), the innermost first, each with the place on the stack. A probed instruction that
//! the kernel cannot emulate is run from a copy in a page of its own (`uprobe_task.xol_vaddr`).

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_current_task;

use crate::globals;
use crate::memory::read_kernel;

/// Return probes open on one thread that are looked through.
const DEPTH: usize = 16;

/// Bytes of a copy's slot (`UPROBE_XOL_SLOT_BYTES`, arch/x86/include/asm/uprobes.h).
const SLOT: u64 = 128;

/// Where the thread is that runs `pc`: another place if that is the copy of an instruction.
#[inline(always)]
pub fn original(pc: u64) -> u64 {
    let Some(utask) = utask() else { return pc };
    let Some(copy) = read_kernel::<u64>(utask, globals::utask_copy_offset()) else { return pc };
    let into = pc.wrapping_sub(copy);
    if copy == 0 || into >= SLOT {
        return pc;
    }
    match read_kernel::<u64>(utask, globals::utask_original_offset()) {
        Some(original) => original.wrapping_add(into),
        None => pc,
    }
}

/// The current thread's `struct uprobe_task`, if a probe has made it one.
#[inline(always)]
fn utask() -> Option<*const c_void> {
    if globals::task_utask_offset() == 0 {
        return None;
    }
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() } as *const c_void;
    let utask: u64 = read_kernel(task, globals::task_utask_offset())?;
    if utask == 0 { None } else { Some(utask as *const c_void) }
}

/// The address that the function whose return address lies at `return_at` really returns to, if a return probe hides it.
#[inline(always)]
pub fn caller(return_at: u64) -> Option<u64> {
    let mut instance: u64 = read_kernel(utask()?, globals::utask_instances_offset())?;
    for _ in 0..DEPTH {
        if instance == 0 {
            return None;
        }
        let at = instance as *const c_void;
        let stack: u64 = read_kernel(at, globals::instance_stack_offset())?;
        if stack == return_at {
            // Two probes on one function: the kernel has already followed the chain (kernel/events/uprobes.c, `prepare_uretprobe`).
            return read_kernel(at, globals::instance_caller_offset());
        }
        instance = read_kernel(at, globals::instance_next_offset())?;
    }
    None
}
