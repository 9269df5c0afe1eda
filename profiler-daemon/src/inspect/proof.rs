//! Why a probe may sit where it does: a site's proof, made by looking at all ways through its function.
//!
//! A [`Proof`] says that a handler at the site sees what it would see at the plain site (the function's entry; for an exchange that is inlined
//! into a larger function, the load from which it begins), with the argument in the register named. Only [`prove`] makes one.
//!
//! It rests on three things that code cannot tell: functions are entered at their beginning only, `.eh_frame` is right about the stack
//! pointer, and a function that returns gives `rbx`, `rbp` and `r12` to `r15` back as they were (System V ABI).

use std::fmt;

use iced_x86::{Instruction, Register as Iced};
use serde::Serialize;

use super::code::{Function, register};
use super::flow::{self, Root};
use super::functions::Functions;
use super::inspection::{Register, Role};

/// Why the handler at a site sees the events of the plain site, no more and no fewer. Made by a checker alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    passes: Passes,
    times: Times,
    argument: Held,
    between: Between,
    stack: StackFrom,
}

/// Why every event comes by the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Passes {
    /// It is the plain site itself.
    Plain,
    /// Every way from each plain site comes to it, whatever branches decide, and none comes to it otherwise.
    EveryWay {
        /// Instructions on all ways from the first plain site to it.
        instructions: usize,
        /// How many plain sites it stands for.
        plain_sites: usize,
    },
    /// It is one of all the exits that the function has, and each of them is a site.
    Exit,
}

/// How often one event comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Times {
    /// Once.
    Once,
    /// Again where an exchange is retried. The handler takes it.
    Retried {
        /// Why.
        handler: &'static str,
    },
}

/// Where the argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Held {
    /// In the register that it was passed in, which no way changes.
    Intact {
        /// The register.
        register: Register,
    },
    /// In a copy.
    Copied {
        /// The copy, which no way changes.
        register: Register,
        /// So many moves are on the ways to it.
        moves: usize,
    },
    /// None is asked for.
    None,
}

/// What is done between the plain site and this one that somebody could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Between {
    /// Nothing.
    Nothing,
    /// Stores to the function's own stack.
    OwnStack,
    /// The exchange at this address; the caller holds a reference to the task beyond it.
    Exchange {
        /// The exchange.
        at: u64,
    },
}

/// What says how far the stack pointer is from where it was at the function's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StackFrom {
    /// The row of `.eh_frame`.
    UnwindRow,
    /// The prologue's instructions, added up.
    Prologue,
    /// It is back there.
    Returned,
}

/// What is asked of a site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// What its handler is.
    pub(crate) role: Role,
    /// The plain sites of the event.
    pub(crate) roots: &'a [Root],
    /// The exchange of the event, where the plain site is not the function's entry.
    pub(crate) exchange: Option<u64>,
    /// The task outlives the exchange, so that a site behind it will do.
    pub(crate) after_will_do: bool,
}

/// What was proved, beside the proof.
#[derive(Debug, Clone)]
pub(crate) struct Proved {
    pub(crate) proof: Proof,
    pub(crate) register: Register,
    pub(crate) repeats: bool,
    /// The plain sites that it stands for.
    pub(crate) roots: Vec<u64>,
    pub(crate) past_exchange: bool,
}

/// Why a handler takes a second call for one event; `None` where it does not.
const fn takes_repeats(role: Role) -> Option<&'static str> {
    match role {
        Role::PollStart => Some("the start of a poll that is open at that stack pointer is dropped"),
        Role::PollIdle => Some("a poll that is closed only looks again whether its task was woken"),
        Role::PollComplete => Some("a task that has completed has no row any more"),
        Role::WakeByVal | Role::WakeByRef => Some("the first wake alone is timed (a compare-exchange), a retry may be counted"),
        Role::LocalScheduled => Some("a task that has a row is no new one"),
        Role::CloneWaker => Some("the same stack is noted again"),
        Role::PollReturn | Role::Defer | Role::Spawn | Role::SpawnBlocking => None,
    }
}

/// Proves that `at` can stand for plain sites of the claim, or gives nothing.
pub(crate) fn prove(
    functions: &Functions<'_>,
    function: &Function<'_>,
    claim: &Claim<'_>,
    at: u64,
    stack: StackFrom,
) -> Option<Proved> {
    let first = claim.roots.first()?;
    let mut holders: Vec<Iced> = Vec::new();
    for holder in claim.roots.iter().flat_map(|root| flow::holders(function, root, at)) {
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    // The register whose walk shows it intact on every way.
    let (holder, reached) =
        holders.into_iter().find_map(|holder| Some((holder, flow::reached(function, claim.roots, at, holder)?)))?;
    let register = register(holder)?;
    let allowed =
        |instruction: &Instruction| claim.after_will_do && claim.exchange.is_none_or(|exchange| exchange == instruction.ip());
    let mut regions = Vec::new();
    for root in &reached.roots {
        regions.push(flow::region(functions, function, (*root, claim.roots), at, allowed)?);
    }
    let exchange = regions.iter().find_map(|region| region.exchange);
    let times = if reached.again {
        // Behind an exchange that may have failed nobody knows whether a task is woken; one that completes does so in the end.
        let is_known = exchange.is_none() || claim.role == Role::PollComplete;
        Times::Retried { handler: takes_repeats(claim.role).filter(|_| is_known)? }
    } else {
        Times::Once
    };
    let passes = if reached.roots.len() == 1 && reached.roots.contains(&at) {
        Passes::Plain
    } else {
        let instructions = regions.first()?.instructions;
        Passes::EveryWay { instructions, plain_sites: reached.roots.len() }
    };
    let argument = if first.holders.contains(&holder) && reached.copies.is_empty() {
        Held::Intact { register }
    } else {
        Held::Copied { register, moves: reached.copies.len() }
    };
    let between = match exchange {
        Some(at) => Between::Exchange { at },
        None if regions.iter().any(|region| region.stores) => Between::OwnStack,
        None => Between::Nothing,
    };
    Some(Proved {
        proof: Proof { passes, times, argument, between, stack },
        register,
        repeats: reached.again,
        roots: reached.roots.into_iter().collect(),
        past_exchange: exchange.is_some(),
    })
}

impl Proof {
    /// Of one of all exits of a function, where no argument is asked for.
    pub(crate) const fn of_exit(stack: StackFrom) -> Self {
        Self { passes: Passes::Exit, times: Times::Once, argument: Held::None, between: Between::Nothing, stack }
    }

    /// Of a function's entry in a made-up inspection.
    #[cfg(test)]
    pub(crate) const fn made_up() -> Self {
        let argument = Held::Intact { register: Register::Rdi };
        Self { passes: Passes::Plain, times: Times::Once, argument, between: Between::Nothing, stack: StackFrom::UnwindRow }
    }

    /// Why every event comes by.
    #[must_use]
    pub const fn passes(&self) -> Passes {
        self.passes
    }

    /// How often one event comes by.
    #[must_use]
    pub const fn times(&self) -> Times {
        self.times
    }

    /// Where the argument is.
    #[must_use]
    pub const fn argument(&self) -> Held {
        self.argument
    }
}

/// In words, as `inspect` prints it.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.passes {
            Passes::Plain => write!(f, "the plain site")?,
            Passes::EveryWay { instructions, plain_sites: 1 } => write!(f, "every way passes it ({instructions} before)")?,
            Passes::EveryWay { instructions, plain_sites } => {
                write!(f, "every way from each of {plain_sites} plain sites passes it ({instructions} before)")?;
            }
            Passes::Exit => write!(f, "one of all exits")?,
        }
        match self.argument {
            Held::Intact { register } => write!(f, ", {register} intact")?,
            Held::Copied { register, moves } => write!(f, ", copied to {register} by {moves} mov")?,
            Held::None => {}
        }
        match self.between {
            Between::Nothing => {}
            Between::OwnStack => write!(f, ", stores to its own stack only")?,
            Between::Exchange { at } => write!(f, ", past the exchange at {at:#x} with a reference held")?,
        }
        match self.times {
            Times::Once => write!(f, ", once")?,
            Times::Retried { handler } => write!(f, ", again in a retry: {handler}")?,
        }
        match self.stack {
            StackFrom::UnwindRow | StackFrom::Returned => Ok(()),
            StackFrom::Prologue => write!(f, ", stack by the prologue"),
        }
    }
}
