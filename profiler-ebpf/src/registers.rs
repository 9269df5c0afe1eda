//! One hit of a probe: the target's registers and the site's cookie.

use core::arch::asm;
use core::mem::offset_of;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use profiler_common::loss::Loss;
use profiler_common::site::{self, Register};
use profiler_common::unwind::Cursor;

use crate::losses::lose;

/// Reads one register. An instruction of its own, with the offset in it: LLVM would else compute the address in each arm of a match and read
/// once behind it, or make a table of offsets, and the verifier refuses both on a context.
macro_rules! word {
    ($registers:expr, $name:ident) => {{
        let word: u64;
        // SAFETY: the registers live as long as the program runs.
        unsafe {
            asm!(
                "{word} = *(u64 *)({registers} + {offset})",
                word = out(reg) word,
                registers = in(reg) $registers,
                offset = const offset_of!(pt_regs, $name),
                options(pure, readonly, nostack),
            );
        }
        word
    }};
}

/// One hit of a probe.
pub struct Hit {
    registers: *const pt_regs,
    /// The site's cookie, see [`profiler_common::site`].
    pub cookie: u64,
}

impl EbpfContext for Hit {
    fn as_ptr(&self) -> *mut core::ffi::c_void {
        self.registers.cast_mut().cast()
    }
}

impl Hit {
    /// A hit of an entry probe.
    #[inline(always)]
    pub fn new(ctx: &ProbeContext) -> Self {
        // SAFETY: the context is the kernel's; the helper only reads it.
        Self { registers: ctx.regs, cookie: unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } }
    }

    /// A hit of a return probe.
    #[inline(always)]
    pub fn returned(ctx: &RetProbeContext) -> Self {
        // SAFETY: as above.
        Self { registers: ctx.regs, cookie: unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } }
    }

    /// The target's stack pointer at the site.
    #[inline(always)]
    pub fn stack_pointer(&self) -> u64 {
        // SAFETY: the registers live as long as the program runs.
        unsafe { (*self.registers).rsp }
    }

    /// The stack pointer at the entry of the site's function: counted from the stack pointer, or where the function keeps a frame pointer
    /// that far from its entry, from that.
    #[inline(always)]
    pub fn entry_stack_pointer(&self) -> u64 {
        let base = if site::second_register(self.cookie) == Register::Rbp as u64 {
            // SAFETY: as in `stack_pointer`.
            read(unsafe { &(*self.registers).rbp })
        } else {
            self.stack_pointer()
        };
        base.wrapping_add(site::pushed(self.cookie))
    }

    /// The probed instruction, by which a site is known.
    #[inline(always)]
    pub fn site(&self) -> u64 {
        // SAFETY: as in `stack_pointer`.
        read(unsafe { &(*self.registers).rip })
    }

    /// Where a walk of the stack begins: at the probed instruction, which has not run.
    #[inline(always)]
    pub fn cursor(&self) -> Cursor {
        // SAFETY: as in `stack_pointer`.
        let registers = unsafe { &*self.registers };
        Cursor { pc: read(&registers.rip), sp: read(&registers.rsp), bp: read(&registers.rbp), is_return: 0 }
    }

    /// The event's first argument.
    #[inline(always)]
    pub fn first(&self) -> u64 {
        self.register(site::first_register(self.cookie))
    }

    /// The event's second argument.
    #[inline(always)]
    pub fn second(&self) -> u64 {
        self.register(site::second_register(self.cookie))
    }

    /// Of an event of a scope the third argument.
    #[inline(always)]
    pub fn third(&self) -> u64 {
        self.register(site::third_register(self.cookie))
    }

    /// Of an event of a scope the fourth argument.
    #[inline(always)]
    pub fn fourth(&self) -> u64 {
        self.register(site::fourth_register(self.cookie))
    }

    /// Of an event of a scope the fifth argument.
    #[inline(always)]
    pub fn fifth(&self) -> u64 {
        self.register(site::fifth_register(self.cookie))
    }

    /// The verifier wants context reads at constant offsets, hence the match and not an index.
    #[inline(always)]
    fn register(&self, number: u64) -> u64 {
        match number {
            0 => word!(self.registers, rax),
            1 => word!(self.registers, rcx),
            2 => word!(self.registers, rdx),
            3 => word!(self.registers, rbx),
            4 => word!(self.registers, rsp),
            5 => word!(self.registers, rbp),
            6 => word!(self.registers, rsi),
            7 => word!(self.registers, rdi),
            8 => word!(self.registers, r8),
            9 => word!(self.registers, r9),
            10 => word!(self.registers, r10),
            11 => word!(self.registers, r11),
            12 => word!(self.registers, r12),
            13 => word!(self.registers, r13),
            14 => word!(self.registers, r14),
            15 => word!(self.registers, r15),
            _ => {
                lose(Loss::RegisterUnknown);
                0
            }
        }
    }
}

/// A volatile read keeps LLVM from turning the match into a table of offsets, which the verifier refuses on a context.
#[inline(always)]
fn read(register: &u64) -> u64 {
    // SAFETY: a reference.
    unsafe { core::ptr::read_volatile(register) }
}
