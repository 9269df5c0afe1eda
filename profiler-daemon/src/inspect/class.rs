//! How the kernel treats an instruction under a uprobe.
//!
//! Source: `arch/x86/kernel/uprobes.c`, `is_prefix_bad`, `insn_masking_exception`, `good_insns_64`, `branch_setup_xol_ops` and
//! `push_setup_xol_ops`, Linux 6.1 to 6.18. Emulated: `push r64`, `nop`, relative `jmp` and `call`,
//! `jcc`; from 6.18 on the kernel's own long nops (`x86_nops`). Indirect jumps and calls, `ret`, `endbr64` and everything else are copied and single-stepped.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic};

use super::inspection::InstructionClass;

/// Prefix bytes that make uprobes refuse an instruction: es, cs, ss, ds, lock.
const REFUSED_PREFIXES: [u8; 5] = [0x26, 0x2e, 0x36, 0x3e, 0xf0];
/// The five-byte nop of the x86 manuals, which 6.18 turns into a call.
const NOP5: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/// The others of `x86_nops` (arch/x86/include/asm/nops.h) that have more than two bytes.
const LONG_NOPS: [&[u8]; 5] = [
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/// The class of `instruction`, whose encoding is `bytes`.
#[must_use]
pub(crate) fn classify(instruction: &Instruction, bytes: &[u8]) -> InstructionClass {
    let first_opcode = bytes.iter().position(|byte| !is_legacy_prefix(*byte)).unwrap_or(bytes.len());
    let prefixes = bytes.get(..first_opcode).unwrap_or_default();
    if instruction.is_invalid() || prefixes.iter().any(|byte| REFUSED_PREFIXES.contains(byte)) {
        return InstructionClass::Refused;
    }
    match instruction.code() {
        // `is_masking_exception`: mov ss, pop ss; int3 and the like cannot be probed either.
        _ if matches!(
            instruction.mnemonic(),
            Mnemonic::Int3 | Mnemonic::Int1 | Mnemonic::Int | Mnemonic::Hlt | Mnemonic::Cli | Mnemonic::Sti
        ) =>
        {
            InstructionClass::Refused
        }
        // Only a REX.B prefix is known to `push_setup_xol_ops`.
        Code::Push_r64 if bytes.len() == 1 || (bytes.len() == 2 && bytes.first() == Some(&0x41)) => InstructionClass::Push,
        // A prefixed 0x90 is left alone: 6.1 before its stable fixes refuses `66 90`, and `49 90` is no nop.
        Code::Nopd if bytes == [0x90] => InstructionClass::Nop,
        _ if bytes == NOP5 => InstructionClass::Nop5,
        _ if LONG_NOPS.contains(&bytes) => InstructionClass::LongNop,
        // Refused before a fix that 6.1 got in its stable branch: `66 90` was taken for a branch with an operand size.
        _ if bytes == [0x66, 0x90] => InstructionClass::Refused,
        _ if prefixes.contains(&0x66) && is_relative_branch(instruction) => InstructionClass::Refused,
        Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => InstructionClass::Jump,
        Code::Call_rel32_64 => InstructionClass::Call,
        _ if instruction.is_jcc_short_or_near() => InstructionClass::ConditionalJump,
        _ => InstructionClass::SingleStepped,
    }
}

/// The class of the one instruction that these bytes begin with.
#[must_use]
pub fn class_of(bytes: &[u8]) -> InstructionClass {
    let instruction = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
    classify(&instruction, bytes.get(..instruction.len()).unwrap_or_default())
}

fn is_relative_branch(instruction: &Instruction) -> bool {
    instruction.is_jcc_short_or_near() || instruction.is_jmp_short_or_near() || instruction.is_call_near()
}

fn is_legacy_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> InstructionClass {
        let mut decoder = Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE);
        let instruction = decoder.decode();
        assert_eq!(instruction.len(), bytes.len(), "the bytes are one instruction");
        classify(&instruction, bytes)
    }

    #[test]
    fn emulated_instructions() {
        assert_eq!(whole(&[0x55]), InstructionClass::Push, "push rbp");
        assert_eq!(whole(&[0x41, 0x57]), InstructionClass::Push, "push r15");
        assert_eq!(whole(&[0x90]), InstructionClass::Nop, "nop");
        assert_eq!(whole(&[0xeb, 0x10]), InstructionClass::Jump, "jmp short");
        assert_eq!(whole(&[0xe9, 0, 1, 0, 0]), InstructionClass::Jump, "jmp near");
        assert_eq!(whole(&[0xe8, 0, 1, 0, 0]), InstructionClass::Call, "call rel32");
        assert_eq!(whole(&[0x74, 0x10]), InstructionClass::ConditionalJump, "je short");
        assert_eq!(whole(&[0x0f, 0x85, 0, 1, 0, 0]), InstructionClass::ConditionalJump, "jne near");
        assert_eq!(whole(&NOP5), InstructionClass::Nop5);
    }

    #[test]
    fn single_stepped_instructions() {
        for bytes in [
            &[0x48, 0x83, 0xec, 0x18][..],               // sub rsp, 0x18
            &[0x48, 0x8b, 0x07],                         // mov rax, [rdi]
            &[0xc3],                                     // ret
            &[0xff, 0x60, 0x08],                         // jmp [rax + 8]
            &[0xff, 0x15, 0, 1, 0, 0],                   // call [rip + 0x100]
            &[0xf3, 0x0f, 0x1e, 0xfa],                   // endbr64
            &[0xe3, 0x10],                               // jrcxz
            &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x01],       // nopw [rax + rax + 1]: none of the kernel's
            &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], // mov rax, fs:0
        ] {
            assert_eq!(whole(bytes), InstructionClass::SingleStepped, "{bytes:02x?}");
        }
    }

    #[test]
    fn long_nops() {
        for bytes in LONG_NOPS {
            assert_eq!(whole(bytes), InstructionClass::LongNop, "{bytes:02x?}");
            assert!(!InstructionClass::LongNop.is_emulated_by((6, 12)) && InstructionClass::LongNop.is_emulated_by((6, 18)));
        }
    }

    #[test]
    fn refused_instructions() {
        for bytes in [&[0x66, 0x90][..], &[0x66, 0xeb, 0x10], &[0x66, 0x74, 0x10], &[0x66, 0xe8, 0, 1, 0, 0]] {
            assert_eq!(whole(bytes), InstructionClass::Refused, "{bytes:02x?}");
        }
        // lock cmpxchg [rbx], rcx: no uprobe can sit on the exchange itself.
        assert_eq!(whole(&[0xf0, 0x48, 0x0f, 0xb1, 0x0b]), InstructionClass::Refused);
        // nopw cs:[rax + rax], LLVM's loop alignment.
        assert_eq!(whole(&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]), InstructionClass::Refused);
        assert_eq!(whole(&[0xcc]), InstructionClass::Refused, "int3");
    }
}
