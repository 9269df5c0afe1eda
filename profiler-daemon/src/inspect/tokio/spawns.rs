//! The functions that hand a new task to its scheduler, the header in their second argument.
//!
//! * `OwnedTasks::bind_inner(&self, task, notified)`, `tokio/src/runtime/task/list.rs`, 1.38 on. Before, `bind` is generic and makes the task
//!   itself; so does `LocalOwnedTasks::bind` to this day, whose tasks are seen where their `LocalSet` queues them.
//! * `Spawner::spawn_task(&self, task, rt)`, `tokio/src/runtime/blocking/pool.rs`, 1.28 on, whose `Task` is a pointer and a byte.
//!
//! Without symbols `bind_inner` is known by its beginning: it stores the list's id into the header (`owner_id`, offset 24) and
//! reads the task's id through the vtable (offset 16, then `id_offset`, the tenth word), to choose a shard.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::symbols::Symbols;

/// Instructions of a function's beginning that are looked at.
const BEGINNING: usize = 40;
/// `Header::vtable`, `Header::owner_id`, and `Vtable::id_offset` since 1.23.
const VTABLE: u64 = 16;
const OWNER_ID: u64 = 24;
const ID_OFFSET: u64 = 72;

/// Addresses of `bind_inner`.
pub(crate) fn binds(image: &Image<'_>, functions: &Functions<'_>, symbols: &Symbols<'_>) -> Vec<u64> {
    if !symbols.is_empty() {
        return symbols.ending_with(&["bind_inner"]);
    }
    functions.starts().filter(|start| begins_like_bind(image, *start)).collect()
}

/// Addresses of `spawn_task`.
pub(crate) fn blocking(symbols: &Symbols<'_>) -> Vec<u64> {
    symbols.ending_with(&["Spawner", "spawn_task"])
}

/// Addresses of `Shared::schedule(&self, task)`, `tokio/src/task/local.rs`, 1.8 on: not generic, and every new task of a `LocalSet` passes it.
pub(crate) fn local(symbols: &Symbols<'_>) -> Vec<u64> {
    // v0 mangling has a type between the module and what is of it, and schedulers of old have a `Shared` too.
    symbols.ending_with(&["Shared", "schedule"]).into_iter().filter(|function| symbols.at(*function).any(in_task_local)).collect()
}

/// Whether a mangled name has the path `task::local` in it.
fn in_task_local(name: &str) -> bool {
    name.contains("4task5local")
}

fn begins_like_bind(image: &Image<'_>, start: u64) -> bool {
    let Some(code) = image.bytes_from(start).filter(|_| image.is_code(start)) else {
        return false;
    };
    let mut registers = Registers::new();
    let mut stores_owner = false;
    for instruction in Decoder::with_ip(64, code, start, DecoderOptions::NONE).iter().take(BEGINNING) {
        if instruction.is_invalid() || instruction.flow_control() != FlowControl::Next {
            return false;
        }
        stores_owner |= registers.stores_owner(&instruction);
        if registers.step(&instruction) == Some(Holds::IdOffset) {
            return stores_owner;
        }
    }
    false
}

/// What a register holds, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    List,
    FieldOfList,
    Header,
    Vtable,
    IdOffset,
}

struct Registers([Option<Holds>; 16]);

impl Registers {
    fn new() -> Self {
        let mut registers = Self([None; 16]);
        registers.set(Register::RDI, Some(Holds::List));
        registers.set(Register::RSI, Some(Holds::Header));
        registers
    }

    fn get(&self, register: Register) -> Option<Holds> {
        let index = register.is_gpr64().then(|| register.number())?;
        self.0.get(index).copied().flatten()
    }

    fn set(&mut self, register: Register, holds: Option<Holds>) {
        let full = register.full_register();
        if full.is_gpr64()
            && let Some(slot) = self.0.get_mut(full.number())
        {
            *slot = holds;
        }
    }

    /// `mov [header + 24], <a field of the list>`.
    fn stores_owner(&self, instruction: &Instruction) -> bool {
        instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_kind() == OpKind::Memory
            && instruction.op1_kind() == OpKind::Register
            && self.get(instruction.memory_base()) == Some(Holds::Header)
            && instruction.memory_displacement64() == OWNER_ID
            && self.get(instruction.op1_register()) == Some(Holds::FieldOfList)
    }

    /// Follows moves and loads; gives what was put into the first operand.
    fn step(&mut self, instruction: &Instruction) -> Option<Holds> {
        if instruction.op0_kind() != OpKind::Register
            || matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Cmp | Mnemonic::Test)
        {
            return None;
        }
        let holds = match (instruction.mnemonic(), instruction.op1_kind()) {
            (Mnemonic::Mov, OpKind::Register) => self.get(instruction.op1_register()),
            (Mnemonic::Mov, OpKind::Memory) => match (self.get(instruction.memory_base()), instruction.memory_displacement64()) {
                (Some(Holds::List), _) => Some(Holds::FieldOfList),
                (Some(Holds::Header), VTABLE) => Some(Holds::Vtable),
                (Some(Holds::Vtable), ID_OFFSET) => Some(Holds::IdOffset),
                _ => None,
            },
            _ => None,
        };
        self.set(instruction.op0_register(), holds);
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::specimen::{IDLE, bytes, with_image};

    /// `OwnedTasks::bind_inner` of 1.54.1, fat LTO, to where it locks its shard: `push r15; push r14; push r13; push r12; push rbx;
    /// sub rsp, 64; mov rbx, rdx; mov rax, [rdi+40]; mov [rsi+24], rax; mov rax, [rsi+16]; mov rax, [rax+72]; mov r15, [rsi+rax]; ret`
    const BIND: &str = "41574156415541545348 83ec40 4889d3 488b4728 48894618 488b4610 488b4048 4c8b3c06 c3";

    fn is_bind(code: &[u8]) -> bool {
        let mut found = false;
        with_image(&[("f", code)], |image, _, starts| {
            found = begins_like_bind(image, starts[0]);
        });
        found
    }

    #[test]
    fn bind_inner_is_known_by_its_beginning() {
        assert!(is_bind(&bytes(BIND)));
        assert!(!is_bind(&bytes(IDLE)));
        let other_field = BIND.replace("48894618", "48894620");
        assert!(!is_bind(&bytes(&other_field)), "mov [rsi+32], rax stores no owner");
    }
}
