//! Where a compare-exchange loop on a task's state begins: the load of the state word, and what
//! registers hold there.

use std::collections::HashSet;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use crate::inspect::code::{Function, is_written};
use crate::inspect::machine::STACK;

/// Instructions searched backwards for a load or a definition.
const MAX_BACK: usize = 512;

/// `lock cmpxchg [register], r64`, `lock xor` or `lock btc` on the word a register points at.
pub(crate) fn is_state_exchange(instruction: &Instruction) -> bool {
    instruction.has_lock_prefix()
        && instruction.op0_kind() == OpKind::Memory
        && is_pointed_word(instruction)
        && matches!(instruction.mnemonic(), Mnemonic::Cmpxchg | Mnemonic::Xor | Mnemonic::Btc)
}

/// The loads `mov r64, [register]` from which the compare-exchange loop of `exchange` is entered, with that register.
/// Where nothing is loaded (`lock xor`), the start of the straight stretch that ends in it.
///
/// Empty where some way into the loop passes no load: then a probe at the others would miss it.
pub(crate) fn state_loads(function: &Function<'_>, exchange: &Instruction) -> Vec<(u64, Register)> {
    if exchange.mnemonic() != Mnemonic::Cmpxchg {
        return vec![(block_start(function, exchange.ip()), exchange.memory_base())];
    }
    let mut found: Vec<(u64, Register)> = Vec::new();
    let mut reached: HashSet<u64> = HashSet::from([exchange.ip()]);
    let mut waiting = vec![exchange.ip()];
    while let Some(address) = waiting.pop() {
        let before = function.predecessors(address);
        if function.is_padding(address) {
            continue;
        }
        if before.is_empty() || address == function.extent.start || reached.len() > MAX_BACK {
            return Vec::new();
        }
        for before in before.into_iter().filter(|before| reached.insert(*before)) {
            let Some(instruction) = function.at(before) else {
                return Vec::new();
            };
            if is_load(instruction) && is_same_header(function, instruction, exchange) {
                found.push((before, instruction.memory_base()));
            } else if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
                return Vec::new();
            } else if !is_state_exchange(instruction) || is_same_loop(exchange, instruction) {
                waiting.push(before);
            }
        }
    }
    found.sort_unstable_by_key(|(at, _)| *at);
    found
}

/// Two exchanges on one register, with no load between: `transition_to_running` has two in one loop.
fn is_same_loop(exchange: &Instruction, other: &Instruction) -> bool {
    exchange.memory_base() == other.memory_base()
}

/// Registers that hold an address on the stack at `address`, in terms of [`STACK`]: LLVM likes to hoist `lea r15, [rsp + 64]` far
/// out of the loop that stores through it.
pub(crate) fn stack_addresses(function: &Function<'_>, address: u64) -> Vec<(Register, u64)> {
    use Register::{R8, R9, R10, R11, R12, R13, R14, R15, RAX, RBX, RCX, RDI, RDX, RSI};
    let all = [RAX, RBX, RCX, RDX, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15];
    all.into_iter().filter_map(|register| Some((register, stack_address(function, address, register)?))).collect()
}

/// The one stack address that every definition of `register` reaching `address` gives it.
fn stack_address(function: &Function<'_>, address: u64, register: Register) -> Option<u64> {
    let mut found = None;
    let mut reached: HashSet<u64> = HashSet::from([address]);
    let mut waiting = vec![address];
    let mut factory = InstructionInfoFactory::new();
    while let Some(address) = waiting.pop() {
        let before = function.predecessors(address);
        if function.is_padding(address) {
            continue;
        }
        // Reached the entry, or code entered through a jump table: the register may hold anything.
        if before.is_empty() || address == function.extent.start || reached.len() > MAX_BACK {
            return None;
        }
        for before in before.into_iter().filter(|before| reached.insert(*before)) {
            let instruction = function.at(before)?;
            if !is_written(&mut factory, instruction, register) {
                waiting.push(before);
                continue;
            }
            let value = stack_lea(instruction)?;
            if found.replace(value).is_some_and(|other| other != value) {
                return None;
            }
        }
    }
    found
}

fn stack_lea(instruction: &Instruction) -> Option<u64> {
    let is_stack_lea = instruction.mnemonic() == Mnemonic::Lea
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None;
    let is_copy = instruction.mnemonic() == Mnemonic::Mov
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register() == Register::RSP;
    match (is_stack_lea, is_copy) {
        (true, _) => Some(STACK.wrapping_add(instruction.memory_displacement64())),
        (_, true) => Some(STACK),
        _ => None,
    }
}

fn is_load(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Memory
        && is_pointed_word(instruction)
}

/// `[register]`, eight bytes, no offset: where a pointer to a task points.
fn is_pointed_word(instruction: &Instruction) -> bool {
    instruction.memory_size().size() == 8
        && instruction.memory_displacement64() == 0
        && instruction.memory_index() == Register::None
        && !matches!(instruction.memory_base(), Register::None | Register::RSP | Register::RIP)
}

/// Load and exchange go through one register, or the exchange through a copy of the load's (`mov rbx, rdi; mov rax, [rdi]`).
fn is_same_header(function: &Function<'_>, load: &Instruction, exchange: &Instruction) -> bool {
    let copies = |instruction: &Instruction| {
        instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_kind() == OpKind::Register
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == exchange.memory_base()
            && instruction.op1_register() == load.memory_base()
    };
    load.memory_base() == exchange.memory_base()
        || function.instructions().iter().take_while(|instruction| instruction.ip() < load.ip()).any(copies)
}

/// The first instruction of the straight stretch that ends at `address`.
fn block_start(function: &Function<'_>, address: u64) -> u64 {
    let mut start = address;
    loop {
        let before = function.predecessors(start);
        let [only] = before[..] else { return start };
        if function.at(only).is_none_or(|instruction| instruction.flow_control() != FlowControl::Next) {
            return start;
        }
        start = only;
    }
}
