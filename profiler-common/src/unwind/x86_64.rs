//! A step on x86-64.
//!
//! Known of a frame: pc, rsp and rbp. No other register is followed: compiled code finds its CFA from one of these two, and what does not
//! is a rule of kind `Unsupported`.

use super::rule::{CfaKind, RbpKind, Rule};
use super::{End, Memory};

/// One frame of a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cursor {
    /// Where it is: the interrupted instruction, or the address its callee returns to.
    pub pc: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// Its rbp.
    pub bp: u64,
    /// 1: `pc` is a return address, so the call before it is what runs; 0: `pc` itself runs.
    pub is_return: u64,
}

impl Cursor {
    /// Before any walk.
    pub const NOWHERE: Self = Self { pc: 0, sp: 0, bp: 0, is_return: 0 };
}

/// Offset of the general registers in the `ucontext` that the kernel leaves at rsp (`uc_mcontext`, asm/ucontext.h and asm/sigcontext.h):
/// r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
const SIGNAL_REGISTERS: u64 = 40;
const SIGNAL_RBP: u64 = SIGNAL_REGISTERS + 10 * 8;
const SIGNAL_RSP: u64 = SIGNAL_REGISTERS + 15 * 8;
const SIGNAL_RIP: u64 = SIGNAL_REGISTERS + 16 * 8;

/// Size of a PLT stub.
const PLT_STUB: u64 = 16;

impl Cursor {
    /// The address whose row describes the frame: a call can be its function's last instruction, so that the address it returns to is
    /// another function's.
    #[inline(always)]
    #[must_use]
    pub const fn lookup(&self) -> u64 {
        self.pc.wrapping_sub(self.is_return)
    }

    /// Goes to the caller by `rule`. `poll_sp` is the stack pointer at the entry of the function that polls the innermost task, where its
    /// return address lies; `u64::MAX` outside any task; an odd number says that the boundary lies inside the frame that holds the address
    /// below it, which is the last. After anything but [`End::Going`] the frame stays where it was.
    #[inline(always)]
    pub fn step<M: Memory>(&mut self, rule: &Rule, poll_sp: u64, memory: &M) -> End {
        let kind = rule.cfa;
        if kind == CfaKind::Root as u8 {
            return End::Root;
        }
        if kind == CfaKind::Signal as u8 {
            return self.interrupted(memory);
        }
        let offset = i64::from(rule.offset).cast_unsigned();
        let addend = i64::from(rule.addend).cast_unsigned();
        let cfa = if kind == CfaKind::Rsp as u8 {
            self.sp.wrapping_add(offset)
        } else if kind == CfaKind::Rbp as u8 {
            self.bp.wrapping_add(offset)
        } else if kind == CfaKind::AtRsp as u8 || kind == CfaKind::AtRbp as u8 {
            let base = if kind == CfaKind::AtRsp as u8 { self.sp } else { self.bp };
            let Some(word) = memory.word(base.wrapping_add(offset)) else { return End::Unreadable };
            word.wrapping_add(addend)
        } else if kind == CfaKind::Plt as u8 {
            let pushed = if self.pc & (PLT_STUB - 1) >= addend { 8 } else { 0 };
            self.sp.wrapping_add(offset).wrapping_add(pushed)
        } else if kind == CfaKind::FramePointer as u8 {
            return self.by_frame_pointer(poll_sp, memory);
        } else if kind == CfaKind::Gap as u8 {
            return End::NoRow;
        } else {
            return End::Unsupported;
        };
        let bp_at = if rule.rbp == RbpKind::AtCfa as u8 {
            cfa.wrapping_add(i64::from(rule.rbp_offset).cast_unsigned())
        } else if rule.rbp == RbpKind::AtRbp as u8 {
            self.bp.wrapping_add(i64::from(rule.rbp_offset).cast_unsigned())
        } else {
            0
        };
        self.call(cfa, bp_at, poll_sp, memory)
    }

    /// To the caller whose frame ends at `cfa`, and whose rbp lies at `bp_at` (0: still in the register).
    #[inline(always)]
    fn call<M: Memory>(&mut self, cfa: u64, bp_at: u64, poll_sp: u64, memory: &M) -> End {
        // The return address was pushed, so it lies at the stack pointer or above it; a stack lies in the lower half of the addresses.
        let return_at = cfa.wrapping_sub(8);
        if return_at < self.sp || return_at >> 47 != 0 {
            return End::NoProgress;
        }
        // A walk that goes right meets the poll's return address itself. One that passes over it has gone astray.
        if return_at == poll_sp {
            return End::Poll;
        }
        if return_at > poll_sp {
            // Of a poll whose return address is not known, an odd number says that the boundary lies inside the frame that polls.
            return if poll_sp & 1 == 1 { End::Poll } else { End::NoProgress };
        }
        let Some(pc) = memory.word(return_at) else { return End::Unreadable };
        if pc == 0 {
            return End::Root;
        }
        if bp_at != 0 {
            let Some(bp) = memory.word(bp_at) else { return End::Unreadable };
            self.bp = bp;
        }
        self.pc = pc;
        self.sp = cfa;
        self.is_return = 1;
        End::Going
    }

    /// By convention rbp points at the caller's rbp, with the return address above it.
    #[inline(always)]
    fn by_frame_pointer<M: Memory>(&mut self, poll_sp: u64, memory: &M) -> End {
        if self.bp < self.sp || self.bp & 7 != 0 {
            return End::FramePointer;
        }
        let bp = self.bp;
        match self.call(bp.wrapping_add(16), bp, poll_sp, memory) {
            End::NoProgress | End::Unreadable => End::FramePointer,
            end => end,
        }
    }

    /// To the frame that a signal interrupted.
    #[inline(always)]
    fn interrupted<M: Memory>(&mut self, memory: &M) -> End {
        let Some(pc) = memory.word(self.sp.wrapping_add(SIGNAL_RIP)) else { return End::Unreadable };
        let Some(sp) = memory.word(self.sp.wrapping_add(SIGNAL_RSP)) else { return End::Unreadable };
        let Some(bp) = memory.word(self.sp.wrapping_add(SIGNAL_RBP)) else { return End::Unreadable };
        // An alternate signal stack lies anywhere, so it cannot be asked to lie below; the number of frames ends a circle.
        *self = Self { pc, sp, bp, is_return: 0 };
        End::Going
    }
}
