//! Where a site may sit: at the plain instruction, or at another that is proved to tell the same.

use iced_x86::{Mnemonic, OpKind};

use super::code::{Function, text};
use super::flow::{MAX_REGION, Root};
use super::functions::Functions;
use super::inspection::{InstructionClass, Placement, Register, Spot};
use super::proof::{Claim, Proved, StackFrom, prove};

/// A site's instructions to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The plain sites that it stands for.
    pub(crate) plain: Vec<Spot>,
    /// Everywhere it may sit, in the order in which they are passed. The first is taken unless another costs less.
    pub(crate) candidates: Vec<Spot>,
}

impl Places {
    /// The one to take where no machine is known: the first that every kernel emulates, a call last, else the first there is.
    pub(crate) fn usual(&self) -> Option<&Spot> {
        self.candidates.iter().min_by_key(|spot| match spot.class {
            InstructionClass::Call => 1,
            class if class.is_emulated() => 0,
            _ => 2,
        })
    }
}

/// The places of the event that the claim is about. There are several where its plain sites have no instruction in common that would do.
pub(crate) fn places(functions: &Functions<'_>, function: &Function<'_>, claim: &Claim<'_>) -> Vec<Places> {
    let spots: Vec<(Spot, Vec<u64>)> =
        reachable(function, claim).into_iter().filter_map(|at| spot(functions, function, claim, at)).collect();
    let plain = |root: u64| spots.iter().map(|(spot, _)| spot).find(|spot| spot.vaddr == root).cloned();
    let of = |roots: &[u64]| Places {
        plain: roots.iter().filter_map(|root| plain(*root)).collect(),
        candidates: spots.iter().filter(|(_, stands_for)| stands_for == roots).map(|(spot, _)| spot.clone()).collect(),
    };
    let mut all: Vec<u64> = claim.roots.iter().map(|root| root.at).collect();
    all.sort_unstable();
    let common = of(&all);
    if all.len() == 1 || common.usual().is_some_and(|spot| spot.class.is_emulated()) {
        return vec![common];
    }
    all.iter().map(|root| of(&[*root])).collect()
}

/// The instructions that may come after a plain site, in the order of their addresses behind the sites themselves; calls and what may leave the
/// function are among them, what comes after is not.
fn reachable(function: &Function<'_>, claim: &Claim<'_>) -> Vec<u64> {
    let mut found: Vec<u64> = claim.roots.iter().map(|root| root.at).collect();
    let mut next = 0;
    while let Some(address) = found.get(next).copied() {
        next += 1;
        let Some(instruction) = function.at(address) else { continue };
        for address in super::flow::successors(function, instruction).unwrap_or_default() {
            if !found.contains(&address) && found.len() < MAX_REGION {
                found.push(address);
            }
        }
    }
    found
}

/// The spot at `at` and the plain sites that it stands for, if it is proved to.
fn spot(functions: &Functions<'_>, function: &Function<'_>, claim: &Claim<'_>, at: u64) -> Option<(Spot, Vec<u64>)> {
    let class = function.class_at(at);
    let is_plain = claim.roots.iter().any(|root| root.at == at);
    let is_refused = |root: &Root| function.class_at(root.at) == InstructionClass::Refused;
    let worth = match class {
        InstructionClass::Refused => false,
        InstructionClass::SingleStepped => is_plain || claim.roots.iter().any(is_refused),
        // From 6.18 on the kernel makes it a call, which writes below the stack pointer: to the red zone of a function that has one. At a
        // function's entry nothing is there yet.
        InstructionClass::Nop5 => at == function.extent.start,
        _ => true,
    };
    if !worth {
        return None;
    }
    let (sp_base, sp_adjust, from) = entry_stack(functions, function, at)?;
    let Proved { proof, register, repeats, roots, past_exchange } = prove(functions, function, claim, at, from)?;
    let placement = match claim.exchange {
        _ if past_exchange => Placement::AfterExchange,
        _ if at == function.extent.start => Placement::Entry,
        Some(_) if claim.roots.iter().all(|root| root.at != function.extent.start) => Placement::BeforeExchange,
        _ => Placement::AfterEntry,
    };
    let instruction = function.at(at).map(text).unwrap_or_default();
    Some((Spot { vaddr: at, class, instruction, header: register, sp_base, sp_adjust, repeats, placement, proof }, roots))
}

/// From which register, and how far from it, the stack pointer at the function's entry is found at `at`.
///
/// From the unwind row; without one (`-C force-unwind-tables=no`) the prologue is added up: Rust functions move the stack pointer
/// nowhere else.
pub(crate) fn entry_stack(functions: &Functions<'_>, function: &Function<'_>, at: u64) -> Option<(Register, u32, StackFrom)> {
    let row = functions.entry_stack(function.extent, at).map(|(base, adjust)| (base, adjust, StackFrom::UnwindRow));
    row.or_else(|| prologue_depth(function, at).map(|depth| (Register::Rsp, depth, StackFrom::Prologue)))
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
    use crate::inspect::inspection::Role;
    use crate::inspect::specimen::{self, bytes, with_image};

    fn entry_spot(code: &[u8], header: Iced) -> Option<Spot> {
        entry_places(Role::PollIdle, code, header).usual().cloned()
    }

    fn entry_places(role: Role, code: &[u8], header: Iced) -> Places {
        let mut found = None;
        with_image(&[("f", code)], |image, functions, starts| {
            let function = Function::decode(image, functions, starts[0]).unwrap();
            let roots = [Root::new(starts[0], header)];
            let claim = Claim { role, roots: &roots, exchange: None, after_will_do: false };
            found = places(functions, &function, &claim).pop();
        });
        found.unwrap()
    }

    /// `transition_to_idle` begins with `sub rsp, 24`, which is single-stepped; the `je` at the head of its loop is emulated, and
    /// every path passes it before the exchange.
    #[test]
    fn a_site_moves_to_the_first_emulated_instruction() {
        let spot = entry_spot(&bytes(specimen::IDLE), Iced::RDI).unwrap();
        assert_eq!(spot.vaddr, specimen::CODE + 0x22);
        assert_eq!(spot.class, InstructionClass::ConditionalJump);
        assert_eq!((spot.header, spot.sp_base, spot.sp_adjust), (Register::Rdi, Register::Rsp, 24));
        assert!(spot.repeats, "the exchange's failure leads back to it");
        assert_eq!(spot.placement, Placement::AfterEntry);
    }

    #[test]
    fn a_push_at_the_entry_is_taken_as_it_stands() {
        let spot = entry_spot(&bytes(specimen::COMPLETE), Iced::RDI).unwrap();
        assert_eq!((spot.vaddr, spot.class), (specimen::CODE, InstructionClass::Push));
        assert_eq!((spot.sp_adjust, spot.repeats, spot.placement), (0, false, Placement::Entry));
    }

    /// `sub rsp, 8; mov rbx, rdi; xor edi, edi; call +0; ret`: the header has moved to rbx.
    #[test]
    fn the_header_is_followed_through_copies() {
        let spot = entry_spot(&bytes("4883ec084889fb31ffe800000000c3"), Iced::RDI).unwrap();
        assert_eq!((spot.vaddr, spot.class), (specimen::CODE + 9, InstructionClass::Call));
        assert_eq!((spot.header, spot.sp_adjust), (Register::Rbx, 8));
    }

    /// `sub rsp, 8; xor edi, edi; call +0; ret`: no emulated instruction still has the header.
    #[test]
    fn without_the_header_the_entry_is_single_stepped() {
        let spot = entry_spot(&bytes("4883ec0831ffe800000000c3"), Iced::RDI).unwrap();
        assert_eq!((spot.vaddr, spot.class), (specimen::CODE, InstructionClass::SingleStepped));
    }

    /// `mov rax, [rdi]; lock xadd [rdi], rax; jmp +0; ret`: what comes after an exchange is too late.
    #[test]
    fn nothing_after_an_exchange_is_taken() {
        let spot = entry_spot(&bytes("488b07f0480fc107eb00c3"), Iced::RDI).unwrap();
        assert_eq!((spot.vaddr, spot.class), (specimen::CODE, InstructionClass::SingleStepped));
    }

    /// The spots for a plain site at `from`, `mov rax, [rdi]`, beside that site.
    fn inner_spots(code: &[u8], from: u64) -> Vec<u64> {
        let mut found = Vec::new();
        with_image(&[("f", code)], |image, functions, starts| {
            let function = Function::decode(image, functions, starts[0]).unwrap();
            let roots = [Root::new(starts[0] + from, Iced::RDI)];
            let claim = Claim { role: Role::PollIdle, roots: &roots, exchange: None, after_will_do: false };
            let spots = places(functions, &function, &claim).into_iter().flat_map(|places| places.candidates);
            found = spots.map(|spot| spot.vaddr - starts[0]).filter(|at| *at != from).collect();
        });
        found
    }

    /// `0: mov rax, [rdi]; 3: nop; 4: ret`, and the same behind `nop; je +5`, which leads to the second nop past the load.
    #[test]
    fn what_is_reached_past_the_plain_site_does_not_stand_for_it() {
        assert_eq!(inner_spots(&bytes("488b0790c3"), 0), [3]);
        assert!(inner_spots(&bytes("907403488b0790c3"), 3).is_empty());
    }

    /// `0: call +0; 5: mov rax, [rdi]; 8: jmp 0`: the entry is reached from the load, and by every caller.
    #[test]
    fn an_entry_stands_for_nothing_inside() {
        assert_eq!(inner_spots(&bytes("e800000000488b07ebf6"), 5), [8]);
    }

    /// `0: je 6; 2: mov rax, rax; 5: nop; 6: nop; 7: ret`: the branch meets again at 6, which every way passes; at 5 only one does.
    #[test]
    fn a_site_may_lie_behind_branches_that_meet_again() {
        let places = entry_places(Role::PollIdle, &bytes("74044889c09090c3"), Iced::RDI);
        let found: Vec<u64> = places.candidates.iter().map(|spot| spot.vaddr - specimen::CODE).collect();
        assert_eq!(found, [0, 6]);
    }

    /// `0: mov rax, rax; 3: mov rax, [rdi]; 6: je 3; nop; nop; ret`, of which a spawn's handler would take each retry for another spawn.
    #[test]
    fn a_site_that_repeats_is_for_handlers_that_take_it() {
        let code = bytes("4889c0488b0774fb9090c3");
        let repeating = |role| {
            let spots = entry_places(role, &code, Iced::RDI).candidates;
            spots.iter().any(|spot| spot.repeats)
        };
        assert!(repeating(Role::PollIdle) && !repeating(Role::Spawn));
    }

    /// `push rax; mov [rsi+24], rax; nop; ret` and `push rax; mov [rsp], rax; nop; ret`: a store that the handler might see, and one to the stack.
    #[test]
    fn nothing_behind_a_store_is_taken() {
        let spots = |code| entry_places(Role::Spawn, &bytes(code), Iced::RSI).candidates.len();
        assert_eq!((spots("504889461890c3"), spots("504889042490c3")), (1, 2));
    }

    /// `push rbp; lea r11, [rsp-0x3000]; 8: sub rsp, 0x1000; mov qword [rsp], 0; cmp rsp, r11; jne 8; sub rsp, 0x80; jmp +0; ret`: LLVM's
    /// stack probes.
    #[test]
    fn a_large_frame_is_added_up() {
        let code = bytes("554c8d9c2400d0ffff4881ec0010000048c70424000000004c39dc75ec4881ec80000000eb00c3");
        with_image(&[("f", &code)], |image, functions, starts| {
            let function = Function::decode(image, functions, starts[0]).unwrap();
            let jump = function.instructions().iter().rev().nth(1).unwrap().ip();
            let expected = (Register::Rsp, 8 + 0x3000 + 0x80, StackFrom::Prologue);
            assert_eq!(entry_stack(functions, &function, jump), Some(expected));
        });
    }
}
