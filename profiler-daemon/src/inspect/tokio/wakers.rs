//! The functions behind a task's waker.
//!
//! Source: `tokio/src/runtime/task/waker.rs`. From 1.28 on there is one pair for all types, before that one per type. Where
//! symbols are gone, they are read from the `RawWakerVTable` (clone, wake, wake_by_ref, drop: `core::task::wake`) whose address
//! the poll functions put into the waker.

use iced_x86::{Instruction, OpKind};

use super::transitions::{self, FIRST_ARGUMENT, Start, Transition};
use crate::inspect::code::Function;
use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::inspection::TaskType;
use crate::inspect::symbols::Symbols;

/// Calls between a waker's function and the exchange.
const FOLLOW: usize = 4;
/// Calls between the poll and the function that makes the waker.
const MAX_DEPTH: usize = 2;

/// Addresses of the functions, each sorted and once.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) by_val: Vec<u64>,
    pub(crate) by_ref: Vec<u64>,
    pub(crate) clones: Vec<u64>,
}

pub(crate) fn find_in_symbols(symbols: &Symbols<'_>) -> Wakers {
    Wakers {
        by_val: symbols.ending_with(&["task", "waker", "wake_by_val"]),
        by_ref: symbols.ending_with(&["task", "waker", "wake_by_ref"]),
        clones: symbols.ending_with(&["task", "waker", "clone_waker"]),
    }
}

/// From symbols, else from the waker vtables that polls refer to.
pub(crate) fn find(image: &Image<'_>, functions: &Functions<'_>, symbols: &Symbols<'_>, types: &[TaskType]) -> Wakers {
    let named = find_in_symbols(symbols);
    if !named.by_val.is_empty() && !named.by_ref.is_empty() {
        return named;
    }
    let mut wakers = Wakers::default();
    for task_type in types {
        let mut level = vec![task_type.body];
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for function in level {
                let Some(decoded) = Function::decode(image, functions, function) else {
                    continue;
                };
                for vtable in decoded.instructions().iter().filter_map(|i| constant_address(image, i)) {
                    if let Some((clone, by_val, by_ref)) = waker_vtable(image, functions, vtable) {
                        wakers.clones.push(clone);
                        wakers.by_val.push(by_val);
                        wakers.by_ref.push(by_ref);
                    }
                }
                next.extend(decoded.callees(image));
            }
            level = next;
        }
    }
    for functions in [&mut wakers.by_val, &mut wakers.by_ref, &mut wakers.clones] {
        functions.sort_unstable();
        functions.dedup();
    }
    wakers
}

/// The address of a constant that the instruction loads: `lea reg, [rip + x]`, or `mov reg, [rip + got]`.
fn constant_address(image: &Image<'_>, instruction: &Instruction) -> Option<u64> {
    if instruction.op1_kind() != OpKind::Memory || !instruction.is_ip_rel_memory_operand() {
        return None;
    }
    match instruction.mnemonic() {
        iced_x86::Mnemonic::Lea => Some(instruction.ip_rel_memory_address()),
        iced_x86::Mnemonic::Mov => image.constant(instruction.ip_rel_memory_address(), 8),
        _ => None,
    }
}

fn waker_vtable(image: &Image<'_>, functions: &Functions<'_>, address: u64) -> Option<(u64, u64, u64)> {
    let function = |index: u64| {
        let target = image.word(address.checked_add(8 * index)?)?;
        (image.is_code(target) && functions.starting_at(target).is_some()).then_some(target)
    };
    let (clone, by_val, by_ref, _) = (function(0)?, function(1)?, function(2)?, function(3)?);
    let notifies = |function: u64| {
        let start = Start { at: function, known: &FIRST_ARGUMENT, follow: FOLLOW };
        transitions::find(image, start, Transition::Notified).is_some()
    };
    (notifies(by_val) && notifies(by_ref)).then_some((clone, by_val, by_ref))
}
