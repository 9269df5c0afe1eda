//! The thread-local: in this executable, as a pure Rust writer of OTEP 4947 defines it, or in a library.

use std::arch::{asm, global_asm};
use std::ffi::{CString, c_void};
use std::sync::OnceLock;

global_asm!(
    ".section .tbss.otel_thread_ctx_v1,\"awT\",%nobits",
    ".balign 8",
    ".globl otel_thread_ctx_v1",
    ".type otel_thread_ctx_v1, %tls_object",
    ".size otel_thread_ctx_v1, 8",
    "otel_thread_ctx_v1: .zero 8",
    ".text",
);

type Swap = extern "C" fn(*const c_void) -> *const c_void;

static LIBRARY: OnceLock<Swap> = OnceLock::new();

/// Loads the library at `path`; its slot is used from now on.
pub(crate) fn load(path: &str) {
    let Ok(path) = CString::new(path) else { return };
    // SAFETY: the path is a C string; the library is the tests' own, and stays loaded.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!library.is_null(), "dlopen failed");
    // SAFETY: a library that was just loaded, and a C string.
    let found = unsafe { libc::dlsym(library, c"slot_swap".as_ptr()) };
    assert!(!found.is_null(), "no slot_swap");
    // SAFETY: `slot.c` defines it so.
    let swap = unsafe { std::mem::transmute::<*mut c_void, Swap>(found) };
    let _ = LIBRARY.set(swap);
}

/// Puts a pointer into this thread's slot; what was there.
pub(crate) fn swap(new: *const c_void) -> *const c_void {
    match LIBRARY.get() {
        Some(swap) => swap(new),
        None => own(new),
    }
}

fn own(new: *const c_void) -> *const c_void {
    let old;
    // SAFETY: this thread's own slot, 8 bytes that only a pointer ever stands in. Without `nomem`, the record is written before.
    unsafe {
        asm!(
            "mov {offset}, qword ptr [rip + otel_thread_ctx_v1@GOTTPOFF]",
            "mov {old}, qword ptr fs:[{offset}]",
            "mov qword ptr fs:[{offset}], {new}",
            offset = out(reg) _,
            old = out(reg) old,
            new = in(reg) new,
            options(nostack, preserves_flags),
        );
    }
    old
}
