//! The functions that the probes sit on. Each is one `nop` and a return, written out, so that the compiler can neither merge two
//! nor put a frame in front: the stack pointer at the site is the one at the function's entry, as the cookies say.

use std::arch::naked_asm;
use std::ffi::c_void;

macro_rules! triggers {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),*);)*) => { $(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub(crate) extern "C" fn $name($($argument: u64),*) {
            naked_asm!("nop", "ret")
        }
    )* };
}

triggers! {
    /// `State::transition_to_idle`.
    trigger_idle(header);
    /// The same, reached again within one poll: the exchange's retry.
    trigger_idle_retried(header);
    /// `State::transition_to_complete`.
    trigger_complete(header);
    /// `waker::wake_by_val`.
    trigger_wake(header);
    /// `context::defer`.
    trigger_defer(waker);
    /// `waker::clone_waker`.
    trigger_waker_stored(header);
    /// `OwnedTasks::bind_inner`.
    trigger_spawn(header);
    /// `Shared::schedule` of a `LocalSet`.
    trigger_local_scheduled(header);
    /// The annotation's probe of the same name.
    trigger_scope_enter(record, sequence, future, poll, frame);
    /// The annotation's probe of the same name.
    trigger_scope_exit(record, sequence, done);
    /// The annotation's probe of the same name.
    trigger_scope_end(record, sequence);
    /// The annotation's probe of the same name.
    trigger_scope_wake(sequence);
    /// The annotation's probe of the same name.
    trigger_scope_spawn(record, sequence, parent, kind);
    /// The annotation's probe of the same name.
    trigger_scope_task(sequence, handle);
}

/// A wake at a long nop, which the kernel may replace by a call instead of a breakpoint.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn trigger_wake_nop5(header: u64) {
    naked_asm!(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", "ret")
}

/// What a poll function runs.
pub(crate) type Body = extern "C" fn(*mut c_void);

/// `raw::poll`: its start is probed at the entry.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn trigger_poll(header: u64, body: Body, context: *mut c_void) {
    naked_asm!("nop", "sub rsp, 8", "mov rdi, rdx", "call rsi", "add rsp, 8", "ret")
}

/// A poll function whose end can only be seen in its return: by a probe at its `ret`'s neighbour, or by a return probe.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn trigger_poll_with_return(header: u64, body: Body, context: *mut c_void) {
    naked_asm!(
        "nop",
        "sub rsp, 8",
        "mov rdi, rdx",
        "call rsi",
        "add rsp, 8",
        ".globl trigger_poll_return",
        "trigger_poll_return:",
        "nop",
        "ret"
    )
}

/// Another of those, for the return probe.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn trigger_poll_returned(header: u64, body: Body, context: *mut c_void) {
    naked_asm!("nop", "sub rsp, 8", "mov rdi, rdx", "call rsi", "add rsp, 8", "ret")
}

/// A poll function as fat LTO leaves it: start and idle stand in one function, behind pushes, and the start is the head of a retry loop
/// that runs three times.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn trigger_poll_inlined(header: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "mov ebx, 3",
        "2:",
        ".globl trigger_poll_inlined_start",
        "trigger_poll_inlined_start:",
        "nop",
        "dec ebx",
        "jnz 2b",
        ".globl trigger_poll_inlined_idle",
        "trigger_poll_inlined_idle:",
        "nop",
        "pop rbp",
        "pop rbx",
        "ret"
    )
}

unsafe extern "C" {
    /// Inside [`trigger_poll_with_return`].
    pub(crate) fn trigger_poll_return();
    /// Inside [`trigger_poll_inlined`].
    pub(crate) fn trigger_poll_inlined_start();
    /// Inside [`trigger_poll_inlined`].
    pub(crate) fn trigger_poll_inlined_idle();
}

/// Bytes that [`trigger_poll_inlined`] has pushed at its sites.
pub(crate) const INLINED_PUSHES: u16 = 16;
