//! Chooses the instruction of a site: the cheapest one that every path passes with the header at hand.

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind};

use super::code::{Function, register};
use super::functions::Functions;
use super::inspection::{InstructionClass, Placement, Register};

/// An instruction a probe can sit on, within its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) at: u64,
    pub(crate) class: InstructionClass,
    pub(crate) header: Register,
    pub(crate) sp_base: Register,
    pub(crate) sp_adjust: u32,
    pub(crate) repeats: bool,
    pub(crate) placement: Placement,
}

/// Where to look for a spot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// The first instruction; all that follows it unconditionally is considered.
    pub(crate) from: u64,
    /// The register that holds the header there.
    pub(crate) header: iced_x86::Register,
    /// The exchange the spot belongs to, where there is one.
    pub(crate) exchange: Option<u64>,
    /// The header outlives the exchange, so a spot right after it will do.
    pub(crate) after_will_do: bool,
}

/// The best spot of the range: the first emulated instruction, else the first that can be probed at all.
pub(crate) fn choose(functions: &Functions<'_>, function: &Function<'_>, range: Range) -> Option<Spot> {
    let run = function.straight_from(range.from);
    let mut holders = vec![range.header];
    let mut stepped = None;
    let mut past_exchange = false;
    for (index, instruction) in run.iter().enumerate() {
        let class = function.class_at(instruction.ip());
        if past_exchange && !range.after_will_do {
            break;
        }
        if let Some(header) = holders.first().copied().and_then(register)
            && class != InstructionClass::Refused
            && let Some((sp_base, sp_adjust)) = entry_stack(functions, function, instruction.ip())
        {
            let at = instruction.ip();
            let spot = Spot {
                at,
                class,
                header,
                sp_base,
                sp_adjust,
                repeats: is_repeated(function, run.get(..=index).unwrap_or_default()),
                placement: match range.exchange {
                    _ if past_exchange => Placement::AfterExchange,
                    _ if at == function.extent.start => Placement::Entry,
                    Some(_) if range.from != function.extent.start => Placement::BeforeExchange,
                    _ => Placement::AfterEntry,
                },
            };
            if class.is_emulated() && class != InstructionClass::Nop5 {
                return Some(spot);
            }
            stepped = stepped.or(Some(spot));
        }
        past_exchange |= range.exchange == Some(instruction.ip()) || instruction.has_lock_prefix();
        follow_copies(instruction, &mut holders);
        if holders.is_empty() {
            break;
        }
    }
    stepped
}

/// Keeps `holders` to the registers that hold the header after `instruction`.
fn follow_copies(instruction: &Instruction, holders: &mut Vec<iced_x86::Register>) {
    let copied = instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && holders.contains(&instruction.op1_register());
    let mut factory = InstructionInfoFactory::new();
    for used in factory.info(instruction).used_registers() {
        if !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None) {
            holders.retain(|holder| *holder != used.register().full_register());
        }
    }
    if copied {
        holders.push(instruction.op0_register());
    }
}

/// Whether a branch leads back into the run: then its later part can execute again.
fn is_repeated(function: &Function<'_>, run: &[&Instruction]) -> bool {
    run.iter().skip(1).any(|instruction| {
        let branches = function.predecessors(instruction.ip());
        branches.iter().any(|from| !run.iter().any(|member| member.ip() == *from) && *from > instruction.ip())
    })
}

/// From which register, and how far from it, the stack pointer at the function's entry is found at `at`.
///
/// From the unwind row; without one (`-C force-unwind-tables=no`) the prologue is added up: Rust functions move the stack pointer
/// nowhere else.
pub(crate) fn entry_stack(functions: &Functions<'_>, function: &Function<'_>, at: u64) -> Option<(Register, u32)> {
    functions.entry_stack(function.extent, at).or_else(|| prologue_depth(function, at).map(|depth| (Register::Rsp, depth)))
}

fn prologue_depth(function: &Function<'_>, at: u64) -> Option<u32> {
    let mut depth: u64 = 0;
    // `lea r11, [rsp - n]` begins LLVM's loop that touches each page of a large frame.
    let mut probed: Option<u64> = None;
    for instruction in function.instructions().iter().take_while(|instruction| instruction.ip() < at) {
        let on_stack_pointer =
            instruction.op0_kind() == OpKind::Register && instruction.op0_register() == iced_x86::Register::RSP;
        match instruction.mnemonic() {
            Mnemonic::Push => depth += 8,
            // An over-aligned frame: how far was moved is not known.
            Mnemonic::And if on_stack_pointer => return None,
            Mnemonic::Sub if on_stack_pointer && probed.is_none() => {
                depth = depth.checked_add(instruction.try_immediate(1).ok()?)?;
            }
            Mnemonic::Lea
                if instruction.memory_base() == iced_x86::Register::RSP
                    && instruction.op0_register() == iced_x86::Register::R11 =>
            {
                probed = Some(instruction.memory_displacement64().wrapping_neg());
            }
            Mnemonic::Jne if probed.is_some() => depth = depth.checked_add(probed.take()?)?,
            // The prologue ends at the first branch or at the epilogue of another path.
            Mnemonic::Pop | Mnemonic::Ret => break,
            _ if instruction.is_jcc_short_or_near() || instruction.is_jmp_short_or_near() => break,
            _ => {}
        }
    }
    u32::try_from(depth).ok()
}

#[cfg(test)]
mod tests {
    use iced_x86::Register as Iced;

    use super::*;
    use crate::inspect::specimen::{self, bytes, with_image};

    fn entry_spot(code: &[u8], header: Iced) -> Option<Spot> {
        let mut spot = None;
        with_image(&[("f", code)], |image, functions, starts| {
            let function = Function::decode(image, functions, starts[0]).unwrap();
            let range = Range { from: starts[0], header, exchange: None, after_will_do: false };
            spot = choose(functions, &function, range);
        });
        spot
    }

    /// `transition_to_idle` begins with `sub rsp, 24`, which is single-stepped; the `je` at the head of its loop is emulated, and
    /// every path passes it before the exchange.
    #[test]
    fn a_site_moves_to_the_first_emulated_instruction() {
        let spot = entry_spot(&bytes(specimen::IDLE), Iced::RDI).unwrap();
        assert_eq!(spot.at, specimen::CODE + 0x22);
        assert_eq!(spot.class, InstructionClass::ConditionalJump);
        assert_eq!((spot.header, spot.sp_base, spot.sp_adjust), (Register::Rdi, Register::Rsp, 24));
        assert!(spot.repeats, "the exchange's failure leads back to it");
        assert_eq!(spot.placement, Placement::AfterEntry);
    }

    #[test]
    fn a_push_at_the_entry_is_taken_as_it_stands() {
        let spot = entry_spot(&bytes(specimen::COMPLETE), Iced::RDI).unwrap();
        assert_eq!((spot.at, spot.class), (specimen::CODE, InstructionClass::Push));
        assert_eq!((spot.sp_adjust, spot.repeats, spot.placement), (0, false, Placement::Entry));
    }

    /// `sub rsp, 8; mov rbx, rdi; xor edi, edi; call +0; ret`: the header has moved to rbx.
    #[test]
    fn the_header_is_followed_through_copies() {
        let spot = entry_spot(&bytes("4883ec084889fb31ffe800000000c3"), Iced::RDI).unwrap();
        assert_eq!((spot.at, spot.class), (specimen::CODE + 9, InstructionClass::Call));
        assert_eq!((spot.header, spot.sp_adjust), (Register::Rbx, 8));
    }

    /// `sub rsp, 8; xor edi, edi; call +0; ret`: no emulated instruction still has the header.
    #[test]
    fn without_the_header_the_entry_is_single_stepped() {
        let spot = entry_spot(&bytes("4883ec0831ffe800000000c3"), Iced::RDI).unwrap();
        assert_eq!((spot.at, spot.class), (specimen::CODE, InstructionClass::SingleStepped));
    }

    /// `mov rax, [rdi]; lock xadd [rdi], rax; jmp +0; ret`: what comes after an exchange is too late.
    #[test]
    fn nothing_after_an_exchange_is_taken() {
        let spot = entry_spot(&bytes("488b07f0480fc107eb00c3"), Iced::RDI).unwrap();
        assert_eq!((spot.at, spot.class), (specimen::CODE, InstructionClass::SingleStepped));
    }

    /// `push rbp; lea r11, [rsp-0x3000]; 8: sub rsp, 0x1000; mov qword [rsp], 0; cmp rsp, r11; jne 8; sub rsp, 0x80; jmp +0; ret`: LLVM's
    /// stack probes.
    #[test]
    fn a_large_frame_is_added_up() {
        let code = bytes("554c8d9c2400d0ffff4881ec0010000048c70424000000004c39dc75ec4881ec80000000eb00c3");
        with_image(&[("f", &code)], |image, functions, starts| {
            let function = Function::decode(image, functions, starts[0]).unwrap();
            let jump = function.instructions().iter().rev().nth(1).unwrap().ip();
            assert_eq!(entry_stack(functions, &function, jump), Some((Register::Rsp, 8 + 0x3000 + 0x80)));
        });
    }
}
