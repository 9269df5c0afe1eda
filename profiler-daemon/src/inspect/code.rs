//! Functions as decoded instructions.

use iced_x86::{
    Decoder, DecoderOptions, FastFormatter, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register as Iced,
};

use super::class;
use super::edges::{dead_ends, table_jumps};
use super::functions::{Extent, Functions};
use super::image::Image;
use super::inspection::{InstructionClass, Register};

/// A function, decoded from its first to its last byte.
///
/// LLVM keeps jump tables in `.rodata` and fills gaps with `int3` or `nop`, so a linear sweep over the
/// extent stays aligned with the code.
pub(crate) struct Function<'d> {
    pub(crate) extent: Extent,
    bytes: &'d [u8],
    /// In address order.
    instructions: Vec<Instruction>,
    /// Target and address of every relative branch, and of every jump through a table, sorted.
    branches: Vec<(u64, u64)>,
    /// Addresses of the calls that never return, sorted; none where some jump's targets are not known.
    dead_ends: Vec<u64>,
    /// Some jump may lead to any of its instructions.
    pub(crate) has_unknown_jumps: bool,
}

impl<'d> Function<'d> {
    /// Decodes the function at `start`; `None` where no function begins there.
    pub(crate) fn decode(image: &Image<'d>, functions: &Functions<'d>, start: u64) -> Option<Self> {
        let extent = functions.starting_at(start)?;
        let available = image.bytes_from(start)?;
        let length = usize::try_from(extent.end.checked_sub(start)?).ok()?.min(available.len());
        let bytes = available.get(..length)?;
        if !image.is_code(start) {
            return None;
        }
        // An instruction has some four bytes.
        let mut instructions: Vec<Instruction> = Vec::with_capacity(length / 4 + 1);
        instructions.extend(Decoder::with_ip(64, bytes, start, DecoderOptions::NONE).iter());
        let is_branch = |instruction: &&Instruction| {
            matches!(instruction.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
        };
        let mut branches: Vec<(u64, u64)> =
            instructions.iter().filter(is_branch).map(|i| (i.near_branch_target(), i.ip())).collect();
        branches.sort_unstable();
        let is_inside = |address: u64| instructions.binary_search_by_key(&address, Instruction::ip).is_ok();
        let mut ends = Vec::new();
        let read = |address: u64| image.constant(address, 4).and_then(|word| u32::try_from(word).ok());
        let jumps = table_jumps(&instructions, &branches, extent.end, is_inside, read);
        let has_unknown_jumps = jumps.is_none();
        if let Some(jumps) = jumps {
            branches.extend(jumps);
            ends = dead_ends(image, functions, &instructions);
        }
        branches.sort_unstable();
        branches.dedup();
        Some(Self { extent, bytes, instructions, branches, dead_ends: ends, has_unknown_jumps })
    }

    pub(crate) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The instruction at exactly `address`.
    pub(crate) fn at(&self, address: u64) -> Option<&Instruction> {
        self.instructions.get(self.index_of(address)?)
    }

    fn index_of(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, Instruction::ip).ok()
    }

    /// How the kernel steps over the instruction at `address`.
    pub(crate) fn class_at(&self, address: u64) -> InstructionClass {
        let class = || {
            let instruction = self.at(address)?;
            let start = usize::try_from(address.checked_sub(self.extent.start)?).ok()?;
            let bytes = self.bytes.get(start..start.checked_add(instruction.len())?)?;
            Some(class::classify(instruction, bytes))
        };
        class().unwrap_or(InstructionClass::Refused)
    }

    /// Addresses of the instructions that can run right before `address`: the one above where it falls
    /// through, and every branch to it. A call that never returns falls nowhere.
    pub(crate) fn predecessors(&self, address: u64) -> Vec<u64> {
        let mut found = Vec::new();
        if let Some(above) = self.index_of(address).and_then(|index| self.instructions.get(index.checked_sub(1)?)) {
            let falls = matches!(
                above.flow_control(),
                FlowControl::Next | FlowControl::ConditionalBranch | FlowControl::Call | FlowControl::IndirectCall
            );
            if falls && self.dead_ends.binary_search(&above.ip()).is_err() {
                found.push(above.ip());
            }
        }
        let first = self.branches.partition_point(|(target, _)| *target < address);
        let branches = self.branches.get(first..).unwrap_or_default();
        found.extend(branches.iter().take_while(|(target, _)| *target == address).map(|(_, from)| *from));
        found
    }

    /// Whether nothing leads to `address` because it is padding between blocks. Callers come to the function's entry.
    pub(crate) fn is_padding(&self, address: u64) -> bool {
        address != self.extent.start
            && self.predecessors(address).is_empty()
            && self
                .at(address)
                .is_some_and(|instruction| matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3 | Mnemonic::Ud2))
    }

    /// The functions it calls or ends in, in code order, each once.
    pub(crate) fn callees(&self, image: &Image<'_>) -> Vec<u64> {
        let mut found = Vec::new();
        for instruction in &self.instructions {
            let leaves = match instruction.flow_control() {
                FlowControl::Call | FlowControl::IndirectCall | FlowControl::IndirectBranch => true,
                FlowControl::UnconditionalBranch => {
                    let target = instruction.near_branch_target();
                    target < self.extent.start || target >= self.extent.end
                }
                _ => false,
            };
            if leaves
                && let Some(target) = branch_target(image, instruction)
                && !found.contains(&target)
            {
                found.push(target);
            }
        }
        found
    }

    /// Where the function's only work is to jump elsewhere: the target. With frame pointers such a function still makes a
    /// frame and takes it down again (`push rbp; mov rbp, rsp; pop rbp; jmp`).
    pub(crate) fn single_jump(&self, image: &Image<'_>) -> Option<u64> {
        use iced_x86::Register::{RBP, RSP};
        let first = self.instructions.iter().find(|instruction| {
            let is_frame = match instruction.mnemonic() {
                Mnemonic::Push | Mnemonic::Pop => instruction.op0_register() == RBP,
                Mnemonic::Mov => instruction.op0_register() == RBP && instruction.op1_register() == RSP,
                Mnemonic::Endbr64 | Mnemonic::Nop => true,
                _ => false,
            };
            !is_frame
        })?;
        match first.flow_control() {
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => branch_target(image, first),
            _ => None,
        }
    }
}

/// How the kernel steps over the one instruction at `address`, and the instruction as text.
pub(crate) fn single(image: &Image<'_>, address: u64) -> (InstructionClass, String) {
    let bytes = image.bytes_from(address).unwrap_or_default();
    let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    let encoding = bytes.get(..instruction.len()).unwrap_or_default();
    (class::classify(&instruction, encoding), text(&instruction))
}

/// The instruction as an assembler would take it.
pub(crate) fn text(instruction: &Instruction) -> String {
    let mut text = String::new();
    let mut formatter = FastFormatter::new();
    formatter.options_mut().set_use_hex_prefix(true);
    formatter.options_mut().set_uppercase_hex(false);
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.format(instruction, &mut text);
    text
}

/// The target of a relative branch or call, or of one through a relocated word (`call [rip + x]` of a
/// GOT slot, as rustc emits for functions of another crate).
pub(crate) fn branch_target(image: &Image<'_>, instruction: &Instruction) -> Option<u64> {
    match instruction.op0_kind() {
        OpKind::NearBranch64 => Some(instruction.near_branch_target()),
        OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
            let target = image.word(instruction.ip_rel_memory_address())?;
            image.is_code(target).then_some(target)
        }
        _ => None,
    }
}

/// The plain enum for a 64-bit register of iced.
pub(crate) fn register(register: iced_x86::Register) -> Option<Register> {
    use iced_x86::Register as Iced;
    Some(match register {
        Iced::RAX => Register::Rax,
        Iced::RCX => Register::Rcx,
        Iced::RDX => Register::Rdx,
        Iced::RBX => Register::Rbx,
        Iced::RSP => Register::Rsp,
        Iced::RBP => Register::Rbp,
        Iced::RSI => Register::Rsi,
        Iced::RDI => Register::Rdi,
        Iced::R8 => Register::R8,
        Iced::R9 => Register::R9,
        Iced::R10 => Register::R10,
        Iced::R11 => Register::R11,
        Iced::R12 => Register::R12,
        Iced::R13 => Register::R13,
        Iced::R14 => Register::R14,
        Iced::R15 => Register::R15,
        _ => return None,
    })
}

/// Whether the instruction changes the register; a call changes those the System V convention lets it.
pub(crate) fn is_written(factory: &mut InstructionInfoFactory, instruction: &Instruction, register: Iced) -> bool {
    use Iced::{R12, R13, R14, R15, RBX};
    if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
        return ![RBX, R12, R13, R14, R15].contains(&register);
    }
    factory.info(instruction).used_registers().iter().any(|used| {
        used.register().full_register() == register
            && matches!(used.access(), OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
    })
}
