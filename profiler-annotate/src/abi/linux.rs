//! The slot, the probe sites and the table on Linux: symbols that Rust cannot define, hence assembly.
//!
//! All symbols are weak. The slot is, because an OpenTelemetry SDK in the same program may define it too (OTEP 4947); the others
//! are, because a program may hold two versions of this crate, which then share one table, one numbering and one set of sites.
//! Fat LTO puts all of a program's assembly into one unit, where a second definition is an error even if weak: hence `.ifndef`.
//!
//! * **Slot**: `otel_thread_ctx_v1`, a thread-local pointer. Reached through the initial-exec model, which the linker relaxes to
//!   a constant in an executable. The OTEP requires readers to support it.
//! * **Times**: `profiler_annotate_times_v2`, a thread-local of our own for the scopes that keep their times: in the slot may stand anybody's.
//!   Where it is stands in the table before the first scope: a constructor writes it.
//! * **Probe sites**: functions of a `nop` and a `ret`. Written out rather than `#[inline(never)]`, since a compiler may still
//!   clone such a function and its site with it; and the arguments are then where the C calling convention puts them. The
//!   kernel emulates the one-byte `nop` instead of single-stepping it (`arch/x86/kernel/uprobes.c`, `branch_setup_xol_ops`). A site
//!   that a program never calls must stay, or its note would point at nothing: the section's `R` (`SHF_GNU_RETAIN`) says so.
//! * **Notes and semaphores**: SystemTap's `sys/sdt.h` version 3, as `perf`, `bpftrace` and GDB read it: a note of type 3 named
//!   `stapsdt` with the site, the base, the semaphore, then three strings. A semaphore is a 16-bit count of listeners in the
//!   section `.probes`, which the kernel raises and lowers (`ref_ctr_offset` of a uprobe).

use std::arch::{asm, global_asm};
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::record::Record;
use crate::scope::Place;
use crate::table::{self, Table};
use crate::times::Times;

/// One probe: a site, its semaphore and its note.
macro_rules! probe {
    ($name:literal, $args:literal) => {
        global_asm!(
            concat!(".ifndef profiler_annotate_", $name),
            concat!(".section .text.profiler_annotate_", $name, ",\"axR\",%progbits"),
            ".balign 16",
            concat!(".weak profiler_annotate_", $name),
            concat!(".hidden profiler_annotate_", $name),
            concat!(".type profiler_annotate_", $name, ", %function"),
            concat!("profiler_annotate_", $name, ":"),
            ".cfi_startproc",
            "990: nop",
            "ret",
            ".cfi_endproc",
            concat!(".size profiler_annotate_", $name, ", . - profiler_annotate_", $name),
            ".section .probes,\"aw\",%progbits",
            ".balign 2",
            concat!(".weak profiler_annotate_", $name, "_semaphore"),
            concat!(".hidden profiler_annotate_", $name, "_semaphore"),
            concat!(".type profiler_annotate_", $name, "_semaphore, %object"),
            concat!(".size profiler_annotate_", $name, "_semaphore, 2"),
            concat!("profiler_annotate_", $name, "_semaphore: .2byte 0"),
            ".section .note.stapsdt,\"\",%note",
            ".balign 4",
            ".4byte 992f-991f, 994f-993f, 3",
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b",
            ".8byte _.stapsdt.base",
            concat!(".8byte profiler_annotate_", $name, "_semaphore"),
            ".asciz \"profiler_annotate\"",
            concat!(".asciz \"", $name, "\""),
            concat!(".asciz \"", $args, "\""),
            "994: .balign 4",
            ".ifndef _.stapsdt.base",
            ".section .stapsdt.base,\"aG\",%progbits,.stapsdt.base,comdat",
            ".weak _.stapsdt.base",
            ".hidden _.stapsdt.base",
            "_.stapsdt.base: .space 1",
            ".size _.stapsdt.base, 1",
            ".endif",
            ".endif",
            ".text",
        );
    };
}

#[cfg(target_arch = "x86_64")]
mod probes {
    use super::global_asm;

    probe!("scope_enter", "8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8");
    probe!("scope_exit", "8@%rdi 8@%rsi 8@%rdx");
    probe!("scope_end", "8@%rdi 8@%rsi");
    probe!("scope_wake", "8@%rdi");
    probe!("scope_spawn", "8@%rdi 8@%rsi 8@%rdx 8@%rcx");
    probe!("scope_task", "8@%rdi 8@%rsi");
    probe!("scope_times", "8@%rdi 8@%rsi 8@%rdx");
}

#[cfg(target_arch = "aarch64")]
mod probes {
    use super::global_asm;

    probe!("scope_enter", "8@x0 8@x1 8@x2 8@x3 8@x4");
    probe!("scope_exit", "8@x0 8@x1 8@x2");
    probe!("scope_end", "8@x0 8@x1");
    probe!("scope_wake", "8@x0");
    probe!("scope_spawn", "8@x0 8@x1 8@x2 8@x3");
    probe!("scope_task", "8@x0 8@x1");
    probe!("scope_times", "8@x0 8@x1 8@x2");
}

global_asm!(
    ".ifndef otel_thread_ctx_v1",
    ".section .tbss.otel_thread_ctx_v1,\"awT\",%nobits",
    ".balign 8",
    ".weak otel_thread_ctx_v1",
    ".type otel_thread_ctx_v1, %tls_object",
    ".size otel_thread_ctx_v1, 8",
    "otel_thread_ctx_v1: .zero 8",
    ".endif",
    ".text",
);

global_asm!(
    ".ifndef profiler_annotate_times_v2",
    ".section .tbss.profiler_annotate_times_v2,\"awT\",%nobits",
    ".balign 8",
    ".weak profiler_annotate_times_v2",
    ".hidden profiler_annotate_times_v2",
    ".type profiler_annotate_times_v2, %tls_object",
    ".size profiler_annotate_times_v2, 8",
    "profiler_annotate_times_v2: .zero 8",
    ".endif",
    ".text",
);

global_asm!(
    ".ifndef profiler_annotate_table_v2",
    ".section .profiler_annotate,\"aw\",%progbits",
    ".balign 64",
    ".weak profiler_annotate_table_v2",
    ".type profiler_annotate_table_v2, %object",
    ".size profiler_annotate_table_v2, {size}",
    "profiler_annotate_table_v2:",
    ".8byte {magic}",
    ".4byte {version}, {size}",
    ".zero {size} - 16",
    ".endif",
    ".text",
    magic = const table::MAGIC,
    version = const table::VERSION,
    size = const table::SIZE,
);

// Before the program begins, or with the library's loading, the table is told where the pointer to times is: scopes that are to keep their
// times may be asked to before there was one. In data the linker could say it of an executable only, where the offset is a constant
// (`R_X86_64_TPOFF64`), and would refuse to link a shared object. On aarch64 it is written at the first scope.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".ifndef profiler_annotate_times_offset_v2",
    ".section .text.profiler_annotate_times_offset_v2,\"ax\",%progbits",
    ".balign 16",
    ".weak profiler_annotate_times_offset_v2",
    ".hidden profiler_annotate_times_offset_v2",
    ".type profiler_annotate_times_offset_v2, %function",
    "profiler_annotate_times_offset_v2:",
    ".cfi_startproc",
    "mov rax, qword ptr [rip + profiler_annotate_times_v2@GOTTPOFF]",
    "mov rcx, qword ptr [rip + profiler_annotate_table_v2@GOTPCREL]",
    "mov qword ptr [rcx + {times}], rax",
    "ret",
    ".cfi_endproc",
    ".size profiler_annotate_times_offset_v2, . - profiler_annotate_times_offset_v2",
    ".section .init_array,\"aw\",%init_array",
    ".balign 8",
    ".8byte profiler_annotate_times_offset_v2",
    ".endif",
    ".text",
    times = const table::TIMES_OFFSET,
);

// SAFETY: all are defined above, the functions with the C calling convention and no effect, the data with these layouts.
unsafe extern "C" {
    safe fn profiler_annotate_scope_enter(record: *const Record, seq: u64, future: *const (), poll: *const (), frame: *const ());
    safe fn profiler_annotate_scope_exit(record: *const Record, seq: u64, done: u64);
    safe fn profiler_annotate_scope_end(record: *const Record, seq: u64);
    safe fn profiler_annotate_scope_wake(seq: u64);
    #[cfg(feature = "tokio")]
    safe fn profiler_annotate_scope_spawn(record: *const Record, seq: u64, parent: u64, kind: u64);
    safe fn profiler_annotate_scope_times(record: *const Record, seq: u64, times: *const Times);
    #[cfg(feature = "tokio")]
    safe fn profiler_annotate_scope_task(seq: u64, handle: *const ());

    safe static profiler_annotate_scope_enter_semaphore: AtomicU16;
    safe static profiler_annotate_scope_exit_semaphore: AtomicU16;
    safe static profiler_annotate_scope_end_semaphore: AtomicU16;

    safe static profiler_annotate_table_v2: Table;
}

/// Whether anybody listens to every scope. The kernel writes the count from outside, at any time; a poll that misses the change by a
/// moment is one event less.
#[inline]
fn listened(semaphore: &AtomicU16) -> bool {
    semaphore.load(Ordering::Relaxed) != 0
}

/// Probe `scope_enter`: a scope's poll begins, at this place. Reached if the scope is `wanted` or every scope is listened to.
#[inline]
pub(crate) fn scope_enter(wanted: bool, record: *const Record, seq: u64, place: &Place) {
    if wanted || listened(&profiler_annotate_scope_enter_semaphore) {
        profiler_annotate_scope_enter(record, seq, place.future, place.poll, ptr::from_ref(place).cast());
    }
}

/// Probe `scope_exit`: a scope's poll ends, and with `done` its future has.
#[inline]
pub(crate) fn scope_exit(wanted: bool, record: *const Record, seq: u64, done: bool) {
    if wanted || listened(&profiler_annotate_scope_exit_semaphore) {
        profiler_annotate_scope_exit(record, seq, u64::from(done));
    }
}

/// Probe `scope_end`: the scope is done or dropped.
#[inline]
pub(crate) fn scope_end(wanted: bool, record: *const Record, seq: u64) {
    if wanted || listened(&profiler_annotate_scope_end_semaphore) {
        profiler_annotate_scope_end(record, seq);
    }
}

/// Probe `scope_wake`: a wanted scope is woken through its own waker. It may have ended.
pub(crate) fn scope_wake(seq: u64) {
    profiler_annotate_scope_wake(seq);
}

/// Probe `scope_spawn`: a wanted scope is about to spawn a child, which is a scope too.
#[cfg(feature = "tokio")]
pub(crate) fn scope_spawn(record: *const Record, seq: u64, parent: u64, kind: u64) {
    profiler_annotate_scope_spawn(record, seq, parent, kind);
}

/// Probe `scope_task`: a child has been spawned, and this is its handle: a pointer to the task's header, and nothing else, in every
/// version of Tokio (tokio runtime/task/join.rs and abort.rs). Whoever reads it checks the header.
#[cfg(feature = "tokio")]
pub(crate) fn scope_task<H>(seq: u64, handle: &H) {
    profiler_annotate_scope_task(seq, ptr::from_ref(handle).cast());
}

/// Probe `scope_times`: a scope that has kept its times is over. Reached by every such scope.
pub(crate) fn scope_times(record: *const Record, seq: u64, times: *const Times) {
    profiler_annotate_scope_times(record, seq, times);
}

/// `struct timespec` of 64-bit Linux.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// The same on every Linux (include/uapi/linux/time.h), and what the kernel's `bpf_ktime_get_ns` reads.
const CLOCK_MONOTONIC: i32 = 1;

// SAFETY: POSIX; the C library that std itself stands on has it, and serves this clock from the vDSO.
unsafe extern "C" {
    fn clock_gettime(clock: i32, at: *mut Timespec) -> i32;
}

/// The time (ns, `CLOCK_MONOTONIC`). `std::time::Instant` reads the same clock, and does not tell.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let mut at = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: a place for the answer. The call fails for unknown clocks only; it would leave 0, which nothing follows from.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut at) };
    at.seconds.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(at.nanoseconds.cast_unsigned())
}

/// The process's table.
#[inline]
pub(crate) fn table() -> &'static Table {
    &profiler_annotate_table_v2
}

/// A thread-local pointer that is defined above: where it is, and putting another into it.
#[cfg(target_arch = "x86_64")]
macro_rules! thread_pointer {
    ($offset:ident, $replace:ident, $symbol:literal, $to:ty) => {
        /// Where it is, from the thread pointer.
        #[inline]
        pub(crate) fn $offset() -> i64 {
            let offset;
            // SAFETY: loads the offset that the linker or loader has put into the GOT (or, relaxed, a constant).
            unsafe {
                asm!(
                    concat!("mov {offset}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                    offset = out(reg) offset,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            offset
        }

        /// Puts another pointer (or null) there; what was there. What it points to must stay while it is there.
        #[inline]
        pub(crate) fn $replace(new: *const $to) -> *const $to {
            let old;
            // SAFETY: reads and writes this thread's own 8 bytes, in which only a pointer ever stands. Without `nomem`, the compiler
            // has written what it points to before.
            unsafe {
                asm!(
                    concat!("mov {offset}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
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
    };
}

/// A thread-local pointer that is defined above: where it is, and putting another into it.
#[cfg(target_arch = "aarch64")]
macro_rules! thread_pointer {
    ($offset:ident, $replace:ident, $symbol:literal, $to:ty) => {
        /// Where it is, from the thread pointer.
        #[inline]
        pub(crate) fn $offset() -> i64 {
            let offset;
            // SAFETY: loads the offset that the linker or loader has put into the GOT (or, relaxed, a constant).
            unsafe {
                asm!(
                    concat!("adrp {offset}, :gottprel:", $symbol),
                    concat!("ldr {offset}, [{offset}, #:gottprel_lo12:", $symbol, "]"),
                    offset = out(reg) offset,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            offset
        }

        /// Puts another pointer (or null) there; what was there. What it points to must stay while it is there.
        #[inline]
        pub(crate) fn $replace(new: *const $to) -> *const $to {
            let old;
            // SAFETY: reads and writes this thread's own 8 bytes, in which only a pointer ever stands. Without `nomem`, the compiler
            // has written what it points to before.
            unsafe {
                asm!(
                    concat!("adrp {offset}, :gottprel:", $symbol),
                    concat!("ldr {offset}, [{offset}, #:gottprel_lo12:", $symbol, "]"),
                    "mrs {thread}, tpidr_el0",
                    "ldr {old}, [{thread}, {offset}]",
                    "str {new}, [{thread}, {offset}]",
                    offset = out(reg) _,
                    thread = out(reg) _,
                    old = out(reg) old,
                    new = in(reg) new,
                    options(nostack, preserves_flags),
                );
            }
            old
        }
    };
}

thread_pointer!(slot_offset, replace_slot, "otel_thread_ctx_v1", Record);
thread_pointer!(times_offset, replace_times, "profiler_annotate_times_v2", Times);

/// What stands in this thread's word about the scope that keeps its times.
#[inline]
pub(crate) fn current_times() -> *const Times {
    let current;
    // SAFETY: reads this thread's own 8 bytes, in which only a pointer ever stands.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "mov {current}, qword ptr [rip + profiler_annotate_times_v2@GOTTPOFF]",
            "mov {current}, qword ptr fs:[{current}]",
            current = out(reg) current,
            options(readonly, nostack, preserves_flags),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "adrp {current}, :gottprel:profiler_annotate_times_v2",
            "ldr {current}, [{current}, #:gottprel_lo12:profiler_annotate_times_v2]",
            "mrs {thread}, tpidr_el0",
            "ldr {current}, [{thread}, {current}]",
            thread = out(reg) _,
            current = out(reg) current,
            options(readonly, nostack, preserves_flags),
        );
    }
    current
}
