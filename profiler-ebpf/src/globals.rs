//! What the daemon fixes before the load. The section is read-only and frozen, so the verifier knows the values.

use core::ptr::read_volatile;

/// The target's thread group id, in the initial pid namespace.
#[unsafe(no_mangle)]
static TARGET_TGID: u32 = 0;
/// Offset of `pid` in `struct task_struct` (bytes), from the running kernel's BTF: Rust has no CO-RE relocations.
#[unsafe(no_mangle)]
static TASK_PID_OFFSET: u32 = 0;
/// Offset of `tgid` in `struct task_struct` (bytes).
#[unsafe(no_mangle)]
static TASK_TGID_OFFSET: u32 = 0;
/// Offset of `se.sum_exec_runtime` in `struct task_struct` (bytes).
#[unsafe(no_mangle)]
static TASK_CPU_TIME_OFFSET: u32 = 0;
/// Offset of the vtable pointer in a task's header (bytes): 16 since Tokio 1.13, behind the list pointers before.
#[unsafe(no_mangle)]
static HEADER_VTABLE_OFFSET: u32 = 0;
/// Offset of `utask` in `struct task_struct` (bytes), 0 where one of this and the next six is not known.
#[unsafe(no_mangle)]
static TASK_UTASK_OFFSET: u32 = 0;
/// Offset of `return_instances` in `struct uprobe_task` (bytes).
#[unsafe(no_mangle)]
static UTASK_INSTANCES_OFFSET: u32 = 0;
/// Offset of `stack` in `struct return_instance` (bytes).
#[unsafe(no_mangle)]
static INSTANCE_STACK_OFFSET: u32 = 0;
/// Offset of `orig_ret_vaddr` in `struct return_instance` (bytes).
#[unsafe(no_mangle)]
static INSTANCE_CALLER_OFFSET: u32 = 0;
/// Offset of `next` in `struct return_instance` (bytes).
#[unsafe(no_mangle)]
static INSTANCE_NEXT_OFFSET: u32 = 0;
/// Offset of `xol_vaddr` in `struct uprobe_task` (bytes).
#[unsafe(no_mangle)]
static UTASK_COPY_OFFSET: u32 = 0;
/// Offset of `vaddr` in `struct uprobe_task` (bytes).
#[unsafe(no_mangle)]
static UTASK_ORIGINAL_OFFSET: u32 = 0;
/// Offset of `flags` in `struct task_struct` (bytes).
#[unsafe(no_mangle)]
static TASK_FLAGS_OFFSET: u32 = 0;
/// Offset of `thread.fsbase` in `struct task_struct` (bytes): the thread pointer. 0 where it is not known.
#[unsafe(no_mangle)]
static TASK_FSBASE_OFFSET: u32 = 0;

/// Reads a global that the compiler must not take for the value it was built with.
macro_rules! getter {
    ($name:ident, $global:ident) => {
        #[inline(always)]
        pub fn $name() -> u32 {
            // SAFETY: a static of ours, aligned and initialised.
            unsafe { read_volatile(&raw const $global) }
        }
    };
}

getter!(target_tgid, TARGET_TGID);
getter!(task_pid_offset, TASK_PID_OFFSET);
getter!(task_tgid_offset, TASK_TGID_OFFSET);
getter!(task_cpu_time_offset, TASK_CPU_TIME_OFFSET);
getter!(task_flags_offset, TASK_FLAGS_OFFSET);
getter!(task_fsbase_offset, TASK_FSBASE_OFFSET);
getter!(header_vtable_offset, HEADER_VTABLE_OFFSET);
getter!(task_utask_offset, TASK_UTASK_OFFSET);
getter!(utask_instances_offset, UTASK_INSTANCES_OFFSET);
getter!(instance_stack_offset, INSTANCE_STACK_OFFSET);
getter!(instance_caller_offset, INSTANCE_CALLER_OFFSET);
getter!(instance_next_offset, INSTANCE_NEXT_OFFSET);
getter!(utask_copy_offset, UTASK_COPY_OFFSET);
getter!(utask_original_offset, UTASK_ORIGINAL_OFFSET);
