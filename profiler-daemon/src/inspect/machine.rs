//! The state an interpreted piece of code works on: registers, flags and memory, partly known.

use iced_x86::{Instruction, OpKind, Register};
use rustc_hash::FxHashMap;

use super::image::Image;
use super::value::{Value, mask};

/// Where the interpreted task header lies: an address no ELF file loads at.
pub(crate) const HEADER: u64 = 0x5eed_0000_0000;
/// Where the interpreted stack begins, growing down.
pub(crate) const STACK: u64 = 0x7ffd_0000_0000;

/// The flags conditional jumps test; `None` is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) zero: Option<bool>,
    pub(crate) sign: Option<bool>,
    pub(crate) carry: Option<bool>,
    pub(crate) overflow: Option<bool>,
}

/// One thread of interpretation.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) ip: u64,
    registers: [Value; 16],
    pub(crate) flags: Flags,
    /// Single bytes that were written, or preset. Code that is written to make addresses collide gains nothing: a run has a thousand steps. A hash that
    /// withstands it is a fifth of the inspection of a large program.
    memory: FxHashMap<u64, Value>,
    /// Return addresses of the calls that were followed.
    pub(crate) calls: Vec<u64>,
}

impl Machine {
    /// About to execute `ip`, with `state` in the header's first word and `known` values in registers (the header's
    /// address is [`HEADER`]). The stack pointer is [`STACK`], everything else is unknown.
    pub(crate) fn new(ip: u64, known: &[(Register, u64)], state: u64) -> Self {
        let mut machine = Self {
            ip,
            registers: [Value::UNKNOWN; 16],
            flags: Flags::default(),
            memory: FxHashMap::default(),
            calls: Vec::new(),
        };
        machine.set_register(Register::RSP, Value::known(STACK));
        for (register, value) in known {
            machine.set_register(*register, Value::known(*value));
        }
        machine.store(Some(HEADER), 8, Value::known(state));
        machine
    }

    pub(crate) fn register(&self, register: Register) -> Value {
        let Some(word) = index(register).and_then(|index| self.registers.get(index)) else {
            return Value::UNKNOWN;
        };
        if is_high_byte(register) { word.byte(1) } else { word.low(register.size()) }
    }

    /// Writes as the processor does: 32 bits clear the upper half, 8 and 16 bits leave the rest.
    pub(crate) fn set_register(&mut self, register: Register, value: Value) {
        let Some(word) = index(register).and_then(|index| self.registers.get_mut(index)) else {
            return;
        };
        *word = match register.size() {
            _ if is_high_byte(register) => word.with_low(2, Value::UNKNOWN),
            size @ (1 | 2) => word.with_low(size, value),
            size => value.low(size),
        };
    }

    /// What a call leaves unknown under the System V convention: all but rbx, rbp, rsp, r12 to r15.
    pub(crate) fn clobber_call(&mut self) {
        use Register::{R8, R9, R10, R11, RAX, RCX, RDI, RDX, RSI};
        for register in [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11] {
            self.set_register(register, Value::UNKNOWN);
        }
        self.flags = Flags::default();
    }

    pub(crate) fn push(&mut self, value: Value) {
        let top = self.register(Register::RSP).exact(8).map(|top| top.wrapping_sub(8));
        self.set_register(Register::RSP, top.map_or(Value::UNKNOWN, Value::known));
        self.store(top, 8, value);
    }

    pub(crate) fn pop(&mut self, image: &Image<'_>) -> Value {
        let top = self.register(Register::RSP).exact(8);
        self.set_register(Register::RSP, top.map_or(Value::UNKNOWN, |top| Value::known(top.wrapping_add(8))));
        self.load(image, top, 8)
    }

    /// `size` bytes at `address`: what was written there, else the file's constants, else unknown.
    pub(crate) fn load(&self, image: &Image<'_>, address: Option<u64>, size: usize) -> Value {
        let Some(address) = address else {
            return Value::UNKNOWN.low(size);
        };
        let written = |index: u64| self.memory.get(&address.wrapping_add(index)).copied();
        if (0..size as u64).any(|index| written(index).is_some()) {
            let bytes = (0..size.min(8) as u64).map(|index| written(index).unwrap_or(Value::UNKNOWN));
            return Value::from_bytes(bytes);
        }
        image.constant(address, size).map_or(Value::UNKNOWN.low(size), Value::known)
    }

    /// Writes `size` bytes. A write to an unknown address is dropped: what is recognised from the
    /// interpretation is then checked against several state words.
    pub(crate) fn store(&mut self, address: Option<u64>, size: usize, value: Value) {
        let Some(address) = address else { return };
        for index in 0..size.min(64) {
            let byte = if index < 8 { value.byte(index) } else { Value::UNKNOWN };
            self.memory.insert(address.wrapping_add(index as u64), byte);
        }
    }

    /// The address of the memory operand, where every part of it is known.
    pub(crate) fn address(&self, instruction: &Instruction) -> Option<u64> {
        if matches!(instruction.memory_segment(), Register::FS | Register::GS) {
            return None;
        }
        if instruction.is_ip_rel_memory_operand() {
            return Some(instruction.ip_rel_memory_address());
        }
        let part = |register: Register| match register {
            Register::None => Some(0),
            register => self.register(register).exact(8),
        };
        let index = part(instruction.memory_index())?.wrapping_mul(u64::from(instruction.memory_index_scale()));
        let sum = part(instruction.memory_base())?.wrapping_add(index);
        Some(sum.wrapping_add(instruction.memory_displacement64()))
    }

    /// The value of an operand and its size in bytes.
    pub(crate) fn read(&self, image: &Image<'_>, instruction: &Instruction, operand: u32) -> (Value, usize) {
        match instruction.op_kind(operand) {
            OpKind::Register => {
                let register = instruction.op_register(operand);
                (self.register(register), register.size())
            }
            OpKind::Memory => {
                let size = instruction.memory_size().size();
                (self.load(image, self.address(instruction), size), size)
            }
            _ => (instruction.try_immediate(operand).map_or(Value::UNKNOWN, Value::known), 8),
        }
    }

    /// Writes the first operand.
    pub(crate) fn write(&mut self, instruction: &Instruction, value: Value) {
        match instruction.op0_kind() {
            OpKind::Register => self.set_register(instruction.op0_register(), value),
            OpKind::Memory => {
                let address = self.address(instruction);
                self.store(address, instruction.memory_size().size(), value);
            }
            _ => {}
        }
    }

    /// Flags of a logical operation with this result.
    pub(crate) fn set_logic_flags(&mut self, result: Value, size: usize) {
        self.flags = Flags { zero: result.is_zero(size), sign: result.sign(size), carry: Some(false), overflow: Some(false) };
    }

    /// Flags of `a - b`.
    pub(crate) fn set_subtract_flags(&mut self, a: Value, b: Value, size: usize) {
        let result = a.exactly(b, size, u64::wrapping_sub);
        let overflow = || {
            let (a, b, result) = (a.sign(size)?, b.sign(size)?, result.sign(size)?);
            Some(a != b && result != a)
        };
        let carry = || Some(a.exact(size)? < b.exact(size)?);
        self.flags = Flags { zero: result.is_zero(size), sign: result.sign(size), carry: carry(), overflow: overflow() };
    }

    /// Flags of `a + b`.
    pub(crate) fn set_add_flags(&mut self, a: Value, b: Value, size: usize) {
        let result = a.exactly(b, size, u64::wrapping_add);
        let overflow = || {
            let (a, b, result) = (a.sign(size)?, b.sign(size)?, result.sign(size)?);
            Some(a == b && result != a)
        };
        let carry = || Some((a.exact(size)?.wrapping_add(b.exact(size)?)) & mask(size) < a.exact(size)?);
        self.flags = Flags { zero: result.is_zero(size), sign: result.sign(size), carry: carry(), overflow: overflow() };
    }
}

fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

fn index(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}
