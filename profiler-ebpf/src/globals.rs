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
getter!(header_vtable_offset, HEADER_VTABLE_OFFSET);
