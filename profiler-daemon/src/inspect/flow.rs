//! Where control goes within a function, forwards and backwards: what the proof of a site is made of.
//!
//! Both walks are over all ways that the code has, whatever its data is, and refuse where they do not know: a call may unwind, an indirect
//! jump may lead anywhere, so nothing behind either is passed for certain.

use std::collections::{BTreeSet, HashMap, HashSet};

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register as Iced};

use super::code::{Function, is_written};
use super::functions::Functions;
use super::inspection::Register;

/// Instructions between a plain site and what it moves to.
pub(crate) const MAX_REGION: usize = 256;
/// Instructions, with the register looked for, walked backwards.
const MAX_BACK: usize = 4_096;

/// A place where an argument is known: the plain site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    /// The instruction.
    pub(crate) at: u64,
    /// The registers that hold the argument just before it.
    pub(crate) holders: Vec<Iced>,
}

impl Root {
    pub(crate) fn new(at: u64, holder: Iced) -> Self {
        Self { at, holders: vec![holder] }
    }
}

/// What is executed, on one way or another, between a root and a site that every way passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Region {
    /// So many instructions, the site not counted.
    pub(crate) instructions: usize,
    /// Some of them write to the function's own stack.
    pub(crate) stores: bool,
    /// The exchange that stands between them, which may release the task.
    pub(crate) exchange: Option<u64>,
}

/// How a site is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The roots on the ways to it. There is no way without one.
    pub(crate) roots: BTreeSet<u64>,
    /// A way leads from it back to it, past no root.
    pub(crate) again: bool,
    /// Moves on these ways from register to register, by their addresses.
    pub(crate) copies: BTreeSet<u64>,
}

/// The instructions that may come right after; `None` where control may leave the function or nobody knows.
pub(crate) fn successors(function: &Function<'_>, instruction: &Instruction) -> Option<Vec<u64>> {
    let found = match instruction.flow_control() {
        FlowControl::Next => vec![instruction.next_ip()],
        FlowControl::UnconditionalBranch => vec![instruction.near_branch_target()],
        FlowControl::ConditionalBranch => vec![instruction.next_ip(), instruction.near_branch_target()],
        _ => return None,
    };
    found.iter().all(|address| function.at(*address).is_some()).then_some(found)
}

/// All that a thread may execute from `root` on before it comes to `at`; `None` where some way may never come there, or where
/// something is done on it that the handler would see: a store to what is not the own stack, or an exchange that is not `allowed`.
pub(crate) fn region(
    functions: &Functions<'_>,
    function: &Function<'_>,
    (root, roots): (u64, &[Root]),
    at: u64,
    allowed: impl Fn(&Instruction) -> bool,
) -> Option<Region> {
    let mut region = Region::default();
    let mut factory = InstructionInfoFactory::new();
    // Instructions on the present way, and those from which every way is known to come to `at`.
    let (mut open, mut done) = (HashSet::new(), HashSet::new());
    let mut waiting = vec![(root, false)];
    while let Some((address, is_left)) = waiting.pop() {
        if is_left {
            open.remove(&address);
            done.insert(address);
            continue;
        }
        if address == at || done.contains(&address) {
            continue;
        }
        let instruction = function.at(address)?;
        // Of two plain sites on one way each would be an event.
        if address != root && roots.iter().any(|other| other.at == address) {
            return None;
        }
        // A loop that does not pass the site may never end.
        if !open.insert(address) || open.len() + done.len() > MAX_REGION {
            return None;
        }
        if instruction.has_lock_prefix() {
            if !allowed(instruction) || region.exchange.replace(address).is_some() {
                return None;
            }
        } else {
            region.stores |= stores_to_own_stack(functions, function, instruction, &mut factory)?;
        }
        region.instructions += 1;
        waiting.push((address, true));
        waiting.extend(successors(function, instruction)?.into_iter().map(|next| (next, false)));
    }
    Some(region)
}

/// Whether the instruction stores to the function's own stack; `None` where it stores elsewhere.
fn stores_to_own_stack(
    functions: &Functions<'_>,
    function: &Function<'_>,
    instruction: &Instruction,
    factory: &mut InstructionInfoFactory,
) -> Option<bool> {
    let mut stores = false;
    for memory in factory.info(instruction).used_memory() {
        if !matches!(memory.access(), OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite) {
            continue;
        }
        let has_frame = || {
            let base = functions.entry_stack(function.extent, instruction.ip());
            base.is_some_and(|(base, _)| base == Register::Rbp)
        };
        let is_own = memory.base() == Iced::RSP || memory.base() == Iced::RBP && memory.index() == Iced::None && has_frame();
        stores = is_own.then_some(true)?;
    }
    Some(stores)
}

/// The registers that hold the argument somewhere on a way from the root to `at`, those that it began in first.
pub(crate) fn holders(function: &Function<'_>, root: &Root, at: u64) -> Vec<Iced> {
    let mut found = root.holders.clone();
    let mut reached = HashSet::from([root.at]);
    let mut waiting = vec![root.at];
    while let Some(address) = waiting.pop() {
        let Some(instruction) = function.at(address).filter(|_| address != at) else { continue };
        if let Some((to, from)) = copy(instruction)
            && found.contains(&from)
            && !found.contains(&to)
        {
            found.push(to);
        }
        let next = successors(function, instruction).unwrap_or_default();
        waiting.extend(next.into_iter().filter(|next| reached.insert(*next) && reached.len() <= MAX_REGION));
    }
    found
}

/// `mov to, from` of two whole registers.
fn copy(instruction: &Instruction) -> Option<(Iced, Iced)> {
    let is_copy = instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register().is_gpr64()
        && instruction.op1_register().is_gpr64();
    is_copy.then(|| (instruction.op0_register(), instruction.op1_register()))
}

/// Walks backwards from `at` on every way until it comes to a root with the argument in the register; `None` where some way has none,
/// or changes the register: then it does not hold the argument whenever a thread comes to `at`.
pub(crate) fn reached(function: &Function<'_>, roots: &[Root], at: u64, register: Iced) -> Option<Reached> {
    let by_address: HashMap<u64, &Root> = roots.iter().map(|root| (root.at, root)).collect();
    let is_root = |address: u64, register: Iced| by_address.get(&address).is_some_and(|root| root.holders.contains(&register));
    let mut found = Reached::default();
    let mut factory = InstructionInfoFactory::new();
    let mut seen = HashSet::from([(at, register)]);
    let mut waiting = vec![(at, register)];
    while let Some((address, register)) = waiting.pop() {
        if is_root(address, register) {
            found.roots.insert(address);
            continue;
        }
        // Somebody may come from anywhere.
        if function.has_unknown_jumps {
            return None;
        }
        let before = function.predecessors(address);
        // Whoever calls the function comes to its entry, whatever else leads there.
        if before.is_empty() || address == function.extent.start {
            // Padding between blocks is never executed.
            if function.is_padding(address) && address != at {
                continue;
            }
            return None;
        }
        for before in before {
            let instruction = function.at(before)?;
            let register = match copy(instruction) {
                Some((to, from)) if to == register => {
                    found.copies.insert(before);
                    from
                }
                _ if is_written(&mut factory, instruction, register) => return None,
                _ => register,
            };
            found.again |= before == at;
            if seen.insert((before, register)) {
                waiting.push((before, register));
            }
        }
        if seen.len() > MAX_BACK {
            return None;
        }
    }
    Some(found)
}
