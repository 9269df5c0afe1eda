//! Runs code on partly known values until it exchanges a task's state word.
//!
//! How a compiler spells a transition (`and -34`, `btr`, `lea -65`, through the stack or not) changes
//! with versions and optimisation; what it stores for a given state does not. So the code is run, and
//! the stored words are compared.

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

use super::code::branch_target;
use super::image::Image;
use super::machine::{Flags, HEADER, Machine};
use super::value::Value;

/// Instructions over all forks of one run.
const MAX_STEPS: usize = 1_000;
/// Forks waiting at unknown conditions.
const MAX_FORKS: usize = 32;

/// An atomic read-modify-write of the header's first word that the run reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Address of the instruction.
    pub(crate) at: u64,
    /// The word it stores, where it is known.
    pub(crate) stored: Option<u64>,
}

/// Interprets from `start` and gives the first exchange of each path, sorted by address, each once.
///
/// `known` are registers whose values are known at `start`; `follow` is how deep calls are entered.
pub(crate) fn exchanges(image: &Image<'_>, start: u64, known: &[(Register, u64)], state: u64, follow: usize) -> Vec<Exchange> {
    let mut waiting = vec![Machine::new(start, known, state)];
    let mut found: Vec<Exchange> = Vec::new();
    let mut steps = 0;
    while let Some(mut machine) = waiting.pop() {
        while steps < MAX_STEPS {
            steps += 1;
            match step(image, &mut machine, follow) {
                Step::Next => {}
                Step::Fork(other) => {
                    if waiting.len() < MAX_FORKS {
                        let mut fork = machine.clone();
                        fork.ip = other;
                        waiting.push(fork);
                    }
                }
                Step::Exchange(exchange) => {
                    found.push(exchange);
                    break;
                }
                Step::End => break,
            }
        }
    }
    found.sort_by_key(|exchange| (exchange.at, exchange.stored));
    found.dedup();
    found
}

enum Step {
    Next,
    /// Both the machine's own `ip` and this address can come next.
    Fork(u64),
    Exchange(Exchange),
    End,
}

fn step(image: &Image<'_>, machine: &mut Machine, follow: usize) -> Step {
    let Some(bytes) = image.bytes_from(machine.ip).filter(|_| image.is_code(machine.ip)) else {
        return Step::End;
    };
    let instruction = Decoder::with_ip(64, bytes, machine.ip, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return Step::End;
    }
    machine.ip = instruction.next_ip();
    match instruction.flow_control() {
        FlowControl::Next => compute(image, machine, &instruction),
        FlowControl::UnconditionalBranch => {
            machine.ip = instruction.near_branch_target();
            Step::Next
        }
        FlowControl::ConditionalBranch => {
            let target = instruction.near_branch_target();
            match holds(machine.flags, instruction.condition_code()) {
                Some(true) => machine.ip = target,
                Some(false) => {}
                None => return Step::Fork(target),
            }
            Step::Next
        }
        FlowControl::Call | FlowControl::IndirectCall => {
            match branch_target(image, &instruction) {
                Some(target) if machine.calls.len() < follow => {
                    machine.push(Value::known(machine.ip));
                    machine.calls.push(machine.ip);
                    machine.ip = target;
                }
                _ => machine.clobber_call(),
            }
            Step::Next
        }
        FlowControl::IndirectBranch => match jump_target(image, machine, &instruction) {
            Some(target) => {
                machine.ip = target;
                Step::Next
            }
            None => Step::End,
        },
        FlowControl::Return => match machine.calls.pop() {
            Some(address) => {
                machine.pop(image);
                machine.ip = address;
                Step::Next
            }
            None => Step::End,
        },
        _ => Step::End,
    }
}

fn jump_target(image: &Image<'_>, machine: &Machine, instruction: &Instruction) -> Option<u64> {
    branch_target(image, instruction).or_else(|| machine.read(image, instruction, 0).0.exact(8))
}

/// One instruction that falls through.
fn compute(image: &Image<'_>, machine: &mut Machine, instruction: &Instruction) -> Step {
    let on_header = instruction.op0_kind() == OpKind::Memory
        && instruction.memory_size().size() == 8
        && machine.address(instruction) == Some(HEADER);
    let is_atomic = instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg;
    if on_header && is_atomic {
        let stored = stored_by(image, machine, instruction);
        return Step::Exchange(Exchange { at: instruction.ip(), stored });
    }
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx => {
            let (value, size) = machine.read(image, instruction, 1);
            machine.write(instruction, value.low(size));
        }
        Mnemonic::Movsx | Mnemonic::Movsxd => {
            let (value, size) = machine.read(image, instruction, 1);
            machine.write(instruction, value.sign_extend(size));
        }
        Mnemonic::Lea => {
            let address = machine.address(instruction).map_or(Value::UNKNOWN, Value::known);
            machine.write(instruction, address);
        }
        Mnemonic::Push => {
            let (value, _) = machine.read(image, instruction, 0);
            machine.push(value);
        }
        Mnemonic::Pop => {
            let value = machine.pop(image);
            machine.write(instruction, value);
        }
        Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Prefetchw => {}
        _ if instruction.condition_code() != ConditionCode::None => {
            conditional(image, machine, instruction);
        }
        _ => arithmetic(image, machine, instruction),
    }
    Step::Next
}

/// `setcc` and `cmovcc`.
fn conditional(image: &Image<'_>, machine: &mut Machine, instruction: &Instruction) {
    let condition = holds(machine.flags, instruction.condition_code());
    if instruction.op_count() == 1 {
        machine.write(instruction, Value::flag(condition));
        return;
    }
    let (old, _) = machine.read(image, instruction, 0);
    let (new, _) = machine.read(image, instruction, 1);
    let value = match condition {
        Some(true) => new,
        Some(false) => old,
        None if old == new => old,
        None => Value::UNKNOWN,
    };
    machine.write(instruction, value);
}

fn arithmetic(image: &Image<'_>, machine: &mut Machine, instruction: &Instruction) {
    let (a, size) = machine.read(image, instruction, 0);
    let b = if instruction.op_count() > 1 { machine.read(image, instruction, 1).0 } else { Value::known(1) };
    let carry = machine.flags.carry;
    match instruction.mnemonic() {
        Mnemonic::Test => machine.set_logic_flags(a.and(b), size),
        Mnemonic::Cmp => machine.set_subtract_flags(a, b, size),
        // `xor eax, eax` is zero whatever eax is; `sub eax, eax` likewise.
        Mnemonic::Xor | Mnemonic::Sub if is_self(instruction) => {
            machine.write(instruction, Value::known(0));
            machine.set_logic_flags(Value::known(0), size);
        }
        Mnemonic::Add | Mnemonic::Sub | Mnemonic::Inc | Mnemonic::Dec => {
            let Some(result) = result_of(instruction, a, b, size) else {
                return;
            };
            if matches!(instruction.mnemonic(), Mnemonic::Add | Mnemonic::Inc) {
                machine.set_add_flags(a, b, size);
            } else {
                machine.set_subtract_flags(a, b, size);
            }
            if matches!(instruction.mnemonic(), Mnemonic::Inc | Mnemonic::Dec) {
                machine.flags.carry = carry;
            }
            machine.write(instruction, result);
        }
        Mnemonic::And | Mnemonic::Or | Mnemonic::Xor => {
            let Some(result) = result_of(instruction, a, b, size) else {
                return;
            };
            machine.set_logic_flags(result, size);
            machine.write(instruction, result);
        }
        Mnemonic::Not => machine.write(instruction, a.not()),
        Mnemonic::Shl | Mnemonic::Shr | Mnemonic::Sar | Mnemonic::Neg => {
            let result = result_of(instruction, a, b, size).unwrap_or(Value::UNKNOWN);
            machine.flags = Flags { zero: result.is_zero(size), sign: result.sign(size), ..Flags::default() };
            machine.write(instruction, result);
        }
        Mnemonic::Bt | Mnemonic::Btr | Mnemonic::Bts | Mnemonic::Btc => {
            let bit = b.exact(1).and_then(|index| u32::try_from(index % (8 * size.max(1) as u64)).ok());
            machine.flags.carry = bit.and_then(|bit| a.bit(bit));
            if instruction.mnemonic() != Mnemonic::Bt {
                let result = result_of(instruction, a, b, size).unwrap_or(Value::UNKNOWN);
                machine.write(instruction, result);
            }
        }
        Mnemonic::Cdqe => {
            let low = machine.register(Register::EAX);
            machine.set_register(Register::RAX, low.sign_extend(4));
        }
        Mnemonic::Leave => {
            let frame = machine.register(Register::RBP);
            machine.set_register(Register::RSP, frame);
            let value = machine.pop(image);
            machine.set_register(Register::RBP, value);
        }
        _ => forget_written(machine, instruction),
    }
}

/// What a read-modify-write instruction computes from its operands.
fn result_of(instruction: &Instruction, a: Value, b: Value, size: usize) -> Option<Value> {
    let bit = || b.exact(1).map(|index| 1_u64 << (index % (8 * size.clamp(1, 8) as u64)));
    let shift = || u32::try_from(b.exact(1)? & if size == 8 { 63 } else { 31 }).ok();
    Some(match instruction.mnemonic() {
        Mnemonic::Add | Mnemonic::Inc | Mnemonic::Xadd => a.exactly(b, size, u64::wrapping_add),
        Mnemonic::Sub | Mnemonic::Dec => a.exactly(b, size, u64::wrapping_sub),
        Mnemonic::And => a.and(b),
        Mnemonic::Or => a.or(b),
        Mnemonic::Xor => a.xor(b),
        Mnemonic::Not => a.not(),
        Mnemonic::Neg => a.exactly(a, size, |word, _| word.wrapping_neg()),
        Mnemonic::Xchg => b,
        Mnemonic::Btr => a.and(Value::known(!bit()?)),
        Mnemonic::Bts => a.or(Value::known(bit()?)),
        Mnemonic::Btc => a.xor(Value::known(bit()?)),
        Mnemonic::Shl => Value::known(a.exact(size)?.checked_shl(shift()?)?).low(size),
        Mnemonic::Shr => Value::known(a.exact(size)?.checked_shr(shift()?)?),
        Mnemonic::Sar => {
            let extended = Value::known(a.exact(size)?).sign_extend(size).exact(8)?;
            Value::known((extended.cast_signed() >> shift()?).cast_unsigned()).low(size)
        }
        _ => return None,
    })
}

/// What an atomic instruction stores into the header's state word.
fn stored_by(image: &Image<'_>, machine: &Machine, instruction: &Instruction) -> Option<u64> {
    let (state, size) = machine.read(image, instruction, 0);
    let operand = if instruction.op_count() > 1 { machine.read(image, instruction, 1).0 } else { Value::known(1) };
    if instruction.mnemonic() == Mnemonic::Cmpxchg {
        // An exchange that expects another state than the one there fails.
        let expected = machine.register(Register::RAX).exact(8)?;
        return (state.exact(8) == Some(expected)).then(|| operand.exact(8))?;
    }
    result_of(instruction, state, operand, size)?.exact(8)
}

fn is_self(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

/// An instruction that is not interpreted: what it writes becomes unknown.
fn forget_written(machine: &mut Machine, instruction: &Instruction) {
    let writes = |access| matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite);
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    for memory in info.used_memory().iter().filter(|memory| writes(memory.access())) {
        let address = memory.virtual_address(0, |register, _, _| machine.register(register).exact(register.size()));
        machine.store(address, memory.memory_size().size(), Value::UNKNOWN);
    }
    let registers: Vec<Register> =
        info.used_registers().iter().filter(|used| writes(used.access())).map(iced_x86::UsedRegister::register).collect();
    for register in registers {
        if instruction.code() != Code::INVALID && register.is_gpr() {
            machine.set_register(register.full_register(), Value::UNKNOWN);
        }
    }
    if instruction.rflags_modified() != 0 {
        machine.flags = Flags::default();
    }
}

/// Whether a condition holds, where the flags it needs are known.
fn holds(flags: Flags, condition: ConditionCode) -> Option<bool> {
    let less = || Some(flags.sign? != flags.overflow?);
    let either = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    };
    match condition {
        ConditionCode::o => flags.overflow,
        ConditionCode::no => flags.overflow.map(|set| !set),
        ConditionCode::b => flags.carry,
        ConditionCode::ae => flags.carry.map(|set| !set),
        ConditionCode::e => flags.zero,
        ConditionCode::ne => flags.zero.map(|set| !set),
        ConditionCode::be => either(flags.carry, flags.zero),
        ConditionCode::a => either(flags.carry, flags.zero).map(|set| !set),
        ConditionCode::s => flags.sign,
        ConditionCode::ns => flags.sign.map(|set| !set),
        ConditionCode::l => less(),
        ConditionCode::ge => less().map(|set| !set),
        ConditionCode::le => either(less(), flags.zero),
        ConditionCode::g => either(less(), flags.zero).map(|set| !set),
        _ => None,
    }
}
