//! Where control goes that no branch says: not past a call that never returns, and through jump tables.
//!
//! Walking code backwards, from an exchange to what its registers hold, meets the calls of panics that LLVM puts between blocks. Were
//! they taken to return, every block below one would be reached from everywhere a panic is.

use std::cell::RefCell;
use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::code::{branch_target, is_written};
use super::functions::Functions;
use super::image::Image;

/// Entries read of all jump tables of a function.
const MAX_ENTRIES: u64 = 1 << 16;
/// What panics, and never returns, is small; nothing longer is looked through.
const MAX_BYTES: u64 = 4_096;
/// Instructions between `lea` of a table and the jump through it.
const MAX_BACK: usize = 16;

/// Which functions never return, remembered.
#[derive(Default)]
pub(crate) struct Returning {
    never: RefCell<HashMap<u64, bool>>,
}

impl Returning {
    /// Whether the function at `start` cannot come back to its caller: in the whole of it is no return, no jump out of it and none to
    /// where its registers say. (It may unwind: that leads to a landing pad, not past the call.)
    pub(crate) fn never_returns(&self, image: &Image<'_>, functions: &Functions<'_>, start: u64) -> bool {
        if let Some(known) = self.never.borrow().get(&start) {
            return *known;
        }
        let never = has_no_return(image, functions, start).unwrap_or(false);
        self.never.borrow_mut().insert(start, never);
        never
    }
}

fn has_no_return(image: &Image<'_>, functions: &Functions<'_>, start: u64) -> Option<bool> {
    let extent = functions.starting_at(start)?;
    let length = extent.end.checked_sub(start).filter(|length| *length <= MAX_BYTES)?;
    let bytes = image.bytes_from(start)?.get(..usize::try_from(length).ok()?)?;
    if !image.is_code(start) {
        return None;
    }
    let mut last = FlowControl::Next;
    for instruction in &mut Decoder::with_ip(64, bytes, start, DecoderOptions::NONE) {
        let leaves = match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                !(extent.start..extent.end).contains(&instruction.near_branch_target())
            }
            FlowControl::Return | FlowControl::IndirectBranch | FlowControl::XbeginXabortXend => true,
            _ => instruction.is_invalid(),
        };
        if leaves {
            return Some(false);
        }
        last = instruction.flow_control();
    }
    // What falls out of its end is no whole function.
    Some(!matches!(last, FlowControl::Next | FlowControl::ConditionalBranch))
}

/// The addresses of the calls among these that never return, sorted.
pub(crate) fn dead_ends(image: &Image<'_>, functions: &Functions<'_>, instructions: &[Instruction]) -> Vec<u64> {
    let calls = instructions.iter().filter(|instruction| {
        matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
            && branch_target(image, instruction).is_some_and(|target| functions.returning.never_returns(image, functions, target))
    });
    calls.map(Instruction::ip).collect()
}

/// Target and address of every jump through a table, as far as `is_inside` says they are instructions of the function that ends at `end`;
/// `None` where some jump leads nobody knows where. `branches` are target and address of the others, sorted. `read` gives the constant word of four bytes at an address.
///
/// LLVM's tables (`X86TargetLowering` of LLVM 21, position-independent) are of four-byte distances from the table:
/// `lea r, [rip+table]; movsxd i, [r+4*i]; add i, r; jmp i`. Their length is not looked for: entries are taken up to the first that is
/// no instruction of this function. Those of a table that follows are too many, never too few. Code that is not position-independent has tables of
/// addresses: `jmp [8*i+table]`.
pub(crate) fn table_jumps(
    instructions: &[Instruction],
    branches: &[(u64, u64)],
    end: u64,
    is_inside: impl Fn(u64) -> bool,
    read: impl Fn(u64) -> Option<u32>,
) -> Option<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    let mut entries = 0;
    for (index, jump) in instructions.iter().enumerate() {
        // Through one word in memory, of the file or of a vtable, a function is called last; a table would be indexed.
        let is_tail_call = jump.op0_kind() == OpKind::Memory && jump.memory_index() == Register::None;
        if jump.flow_control() != FlowControl::IndirectBranch || is_tail_call {
            continue;
        }
        let table = match absolute_table(jump) {
            Some(table) => Table::Addresses(table),
            None => Table::Distances(table_of(instructions.get(index.saturating_sub(MAX_BACK)..index)?, jump, branches)?),
        };
        let before = found.len();
        for entry in 0.. {
            entries += 1;
            if entries > MAX_ENTRIES {
                return None;
            }
            match table.target(entry, &read) {
                Some(target) if is_inside(target) => found.push((target, jump.ip())),
                // An entry that cannot be is filled with the end of the function.
                Some(target) if target == end => {}
                _ => break,
            }
        }
        if found.len() == before {
            return None;
        }
    }
    Some(found)
}

/// Where a table of targets stands.
enum Table {
    /// Four bytes each, from the table's beginning.
    Distances(u64),
    /// Eight bytes each.
    Addresses(u64),
}

impl Table {
    fn target(&self, entry: u64, read: impl Fn(u64) -> Option<u32>) -> Option<u64> {
        match self {
            Self::Distances(table) => {
                let distance = read(table.wrapping_add(4 * entry))?;
                Some(table.wrapping_add_signed(i64::from(distance.cast_signed())))
            }
            Self::Addresses(table) => {
                let at = table.wrapping_add(8 * entry);
                Some(u64::from(read(at)?) | u64::from(read(at.wrapping_add(4))?) << 32)
            }
        }
    }
}

/// The table of `jmp [8*i+table]`.
fn absolute_table(jump: &Instruction) -> Option<u64> {
    let is_indexed = jump.op0_kind() == OpKind::Memory
        && jump.memory_base() == Register::None
        && jump.memory_index() != Register::None
        && jump.memory_index_scale() == 8;
    is_indexed.then(|| jump.memory_displacement64())
}

/// The table of the jump that these instructions lead to, where they run one after the other and are entered at the first only.
fn table_of(before: &[Instruction], jump: &Instruction, branches: &[(u64, u64)]) -> Option<u64> {
    let is_target = |address: u64| branches.binary_search_by_key(&address, |(target, _)| *target).is_ok();
    let mut factory = InstructionInfoFactory::new();
    let mut wanted = (jump.op0_kind() == OpKind::Register).then(|| jump.op0_register())?;
    let mut base = Register::None;
    let mut below = jump.ip();
    for instruction in before.iter().rev() {
        if instruction.flow_control() != FlowControl::Next || is_target(below) {
            return None;
        }
        below = instruction.ip();
        let is_wanted = is_written(&mut factory, instruction, wanted);
        match instruction.mnemonic() {
            Mnemonic::Add if is_wanted && base == Register::None && instruction.op1_kind() == OpKind::Register => {
                base = instruction.op1_register();
            }
            Mnemonic::Movsxd if is_wanted && base != Register::None => {
                let is_entry = instruction.op1_kind() == OpKind::Memory
                    && instruction.memory_base() == base
                    && instruction.memory_index_scale() == 4
                    && instruction.memory_displacement64() == 0;
                wanted = is_entry.then_some(base)?;
            }
            Mnemonic::Lea if is_wanted && wanted == base => {
                return instruction.is_ip_rel_memory_operand().then(|| instruction.ip_rel_memory_address());
            }
            _ if is_wanted || is_written(&mut factory, instruction, base) => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::code::Function;
    use crate::inspect::specimen::{bytes, with_image};

    fn decode(code: &[u8]) -> Vec<Instruction> {
        Decoder::with_ip(64, code, 0x1000, DecoderOptions::NONE).iter().collect()
    }

    #[test]
    fn what_never_returns_is_told_from_what_may() {
        let code = [
            ("sub rsp, 8; ud2", "4883ec080f0b", true),
            ("sub rsp, 8; call [rip]", "4883ec08ff1500000000", true),
            ("jmp self", "ebfe", true),
            ("ret", "c3", false),
            ("ud2; ret", "0f0bc3", false),
            ("a jump out", "e900010000", false),
            ("a conditional jump out; ud2", "0f84000100000f0b", false),
            ("jmp rax", "ffe0", false),
            ("nothing but a nop, out of whose end it falls", "90", false),
            ("half an instruction", "0f0be8", false),
        ];
        for (what, code, never) in code {
            with_image(&[("f", &bytes(code))], |image, functions, starts| {
                assert_eq!(functions.returning.never_returns(image, functions, starts[0]), never, "{what}");
                assert!(!functions.returning.never_returns(image, functions, starts[0] + 1), "no function begins there");
            });
        }
    }

    /// `f: call g; 5: nop; ret`, and `g` at +16 that never returns or does; then an unknown jump.
    #[test]
    fn nothing_falls_through_a_call_that_never_returns() {
        let cases = [("e80b00000090c3", "0f0b", false), ("e80b00000090c3", "c3", true), ("e80b00000090ffe0", "0f0b", true)];
        for (caller, callee, falls) in cases {
            with_image(&[("f", &bytes(caller)), ("g", &bytes(callee))], |image, functions, starts| {
                let function = Function::decode(image, functions, starts[0]).unwrap();
                assert_eq!(!function.predecessors(starts[0] + 5).is_empty(), falls, "{caller} {callee}");
            });
        }
    }

    /// `1000: lea rcx, [rip+0xff9] (2000); 1007: movsxd rax, [rcx+4*rax]; 100b: add rax, rcx; 100e: jmp rax; 1010: nop; 1011: ret`
    const SWITCH: &str = "488d0df90f0000486304814801c8ffe090c3";

    fn jumps(code: &str, branches: &[(u64, u64)], table: &[u64]) -> Option<Vec<(u64, u64)>> {
        let code = bytes(code);
        let instructions = decode(&code);
        let read = |address: u64| {
            let index = usize::try_from(address.checked_sub(0x2000)? / 4).ok()?;
            Some(u32::try_from(table.get(index)?.wrapping_sub(0x2000) & 0xffff_ffff).unwrap())
        };
        let is_inside = |address: u64| instructions.iter().any(|instruction| instruction.ip() == address);
        table_jumps(&instructions, branches, 0x1012, is_inside, read)
    }

    #[test]
    fn entries_of_a_table_are_taken_to_the_first_that_is_not_of_the_function() {
        assert_eq!(jumps(SWITCH, &[], &[0x1010, 0x1011, 0x5000, 0x1000]), Some(vec![(0x1010, 0x100e), (0x1011, 0x100e)]));
        assert_eq!(jumps(SWITCH, &[], &[0x1012, 0x1011]), Some(vec![(0x1011, 0x100e)]), "the end fills what cannot be");
        assert_eq!(jumps("ff6018c3", &[], &[]), Some(vec![]), "a call that comes last, through a vtable");
    }

    #[test]
    fn a_jump_whose_table_is_not_certain_is_unknown() {
        assert_eq!(jumps(SWITCH, &[], &[]), None, "no table there");
        assert_eq!(jumps(SWITCH, &[], &[0x5000]), None, "no entry of the function");
        assert_eq!(jumps(SWITCH, &[(0x1007, 0x1010)], &[0x1010]), None, "another table may come from there");
        assert_eq!(jumps("ffe0", &[], &[0x1000]), None, "nothing says what rax is");
        assert_eq!(jumps("ff24c500200000", &[], &[0x1000]), None, "no address of the function");
    }

    /// `1000: jmp [8*rax+0x2000]; 1007: nop; 1008: ret`
    #[test]
    fn tables_of_addresses_are_followed_where_code_is_not_relocated() {
        let instructions = decode(&bytes("ff24c50020000090c3"));
        let is_inside = |address: u64| instructions.iter().any(|instruction| instruction.ip() == address);
        let words = [0x1008_u32, 0, 0x1007, 0, 0x1007, 1];
        let read = |address: u64| words.get(usize::try_from(address.checked_sub(0x2000)? / 4).ok()?).copied();
        let found = table_jumps(&instructions, &[], 0x1009, is_inside, read);
        assert_eq!(found, Some(vec![(0x1008, 0x1000), (0x1007, 0x1000)]), "the third is of another gigabyte");
    }
}
