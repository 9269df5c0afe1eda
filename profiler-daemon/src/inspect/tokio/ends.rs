//! Where a poll ends and a task completes: the exchanges to idle and to complete, in functions of
//! their own or inlined into others.

use std::collections::{HashMap, HashSet};

use iced_x86::{Instruction, Register};

use super::loads::{is_state_exchange, stack_addresses, state_loads};
use super::transitions::{FIRST_ARGUMENT, Start, Transition, find};
use crate::inspect::code::Function;
use crate::inspect::flow::Root;
use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::inspection::Role;
use crate::inspect::machine::HEADER;
use crate::inspect::placement::{Places, places};
use crate::inspect::proof::Claim;

/// Calls between `raw::poll` or `raw::shutdown` and the function that exchanges: Harness::poll, poll_inner, complete, transition.
const MAX_DEPTH: usize = 4;
/// Calls between a transition and what computes the word it stores.
const CLOSURE_DEPTH: usize = 2;
/// Functions looked at for one task type.
const MAX_REACHED: usize = 2_000;

/// What one function does to the state word of the task it is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    pub(crate) spots: Vec<(Transition, Places)>,
    /// It exchanges an eight-byte word at offset 0 of a register in a way that is none of the transitions known.
    pub(crate) unknown_exchange: bool,
}

impl Ends {
    fn of(transition: Transition, places: Vec<Places>) -> Self {
        Self { spots: places.into_iter().map(|places| (transition, places)).collect(), unknown_exchange: false }
    }
}

/// What a site before the transition tells.
const fn role_of(transition: Transition) -> Role {
    match transition {
        Transition::Idle => Role::PollIdle,
        _ => Role::PollComplete,
    }
}

/// Finds and remembers the ends in functions.
pub(crate) struct EndFinder<'a, 'd> {
    image: &'a Image<'d>,
    functions: &'a Functions<'d>,
    /// Functions that symbols call `transition_to_idle`, or another of `ends`.
    named: &'a HashMap<u64, Transition>,
    /// The transitions that end a poll or a task in this Tokio.
    ends: &'static [Transition],
    seen: HashMap<u64, Option<Looked>>,
}

struct Looked {
    ends: Ends,
    callees: Vec<u64>,
}

impl<'a, 'd> EndFinder<'a, 'd> {
    pub(crate) fn new(
        image: &'a Image<'d>,
        functions: &'a Functions<'d>,
        named: &'a HashMap<u64, Transition>,
        ends: &'static [Transition],
    ) -> Self {
        Self { image, functions, named, ends, seen: HashMap::new() }
    }

    /// All functions that `root` reaches by direct calls and that end a poll or a task, with how.
    pub(crate) fn reached_from(&mut self, root: u64) -> Vec<(u64, Ends)> {
        let mut found = Vec::new();
        let mut reached: HashSet<u64> = HashSet::from([root]);
        let mut level = vec![root];
        for _ in 0..=MAX_DEPTH {
            let mut next = Vec::new();
            for function in level {
                let Some(looked) = self.look(function) else {
                    continue;
                };
                if !looked.ends.spots.is_empty() || looked.ends.unknown_exchange {
                    found.push((function, looked.ends.clone()));
                }
                next.extend(looked.callees.iter().copied().filter(|callee| reached.insert(*callee)));
            }
            if reached.len() > MAX_REACHED {
                break;
            }
            level = next;
        }
        found
    }

    /// The ends in one function.
    pub(crate) fn ends_of(&mut self, function: u64) -> Option<Ends> {
        self.look(function).map(|looked| looked.ends.clone())
    }

    fn look(&mut self, start: u64) -> Option<&Looked> {
        let (image, functions, named, wanted) = (self.image, self.functions, self.named, self.ends);
        let looked = self.seen.entry(start).or_insert_with(|| {
            let function = Function::decode(image, functions, start)?;
            let ends = ends_of(image, functions, &function, named.get(&start).copied(), wanted);
            Some(Looked { ends, callees: function.callees(image) })
        });
        looked.as_ref()
    }
}

fn ends_of(
    image: &Image<'_>,
    functions: &Functions<'_>,
    function: &Function<'_>,
    named: Option<Transition>,
    wanted: &[Transition],
) -> Ends {
    let start = function.extent.start;
    let entry = [Root::new(start, Register::RDI)];
    if let Some(transition) = named {
        let claim = Claim { role: role_of(transition), roots: &entry, exchange: None, after_will_do: false };
        return Ends::of(transition, places(functions, function, &claim));
    }
    let exchanges: Vec<&Instruction> = function.instructions().iter().filter(|i| is_state_exchange(i)).collect();
    if exchanges.is_empty() {
        return Ends::default();
    }
    // A function of its own, the header in its first argument. At `opt-level = "z"` the word to store is computed by a closure
    // that it calls.
    for transition in wanted.iter().copied() {
        let from_entry = Start { at: start, known: &FIRST_ARGUMENT, follow: CLOSURE_DEPTH };
        if let Some(exchange) = find(image, from_entry, transition)
            && function.at(exchange.at).is_some()
        {
            let claim = Claim {
                role: role_of(transition),
                roots: &entry,
                exchange: Some(exchange.at),
                after_will_do: transition == Transition::Complete,
            };
            return Ends::of(transition, places(functions, function, &claim));
        }
    }
    inlined_ends(image, functions, function, &exchanges, wanted)
}

fn inlined_ends(
    image: &Image<'_>,
    functions: &Functions<'_>,
    function: &Function<'_>,
    exchanges: &[&Instruction],
    wanted: &[Transition],
) -> Ends {
    let mut ends = Ends::default();
    for exchange in exchanges {
        let base = exchange.memory_base();
        let loads = state_loads(function, exchange);
        let mut roots: Vec<(Transition, Root)> = Vec::new();
        let mut is_known = false;
        for (load, header) in loads {
            let mut known = stack_addresses(function, load);
            known.extend([(header, HEADER), (base, HEADER)]);
            for transition in
                [Transition::Running, Transition::Idle, Transition::Complete, Transition::Terminal, Transition::Shutdown]
            {
                let start = Start { at: load, known: &known, follow: 0 };
                let Some(found) = find(image, start, transition) else {
                    continue;
                };
                is_known = true;
                if found.at == exchange.ip() && wanted.contains(&transition) {
                    let mut holders = vec![header];
                    holders.extend((base != header).then_some(base));
                    roots.push((transition, Root { at: load, holders }));
                }
            }
        }
        for transition in wanted.iter().copied() {
            let roots: Vec<Root> = roots.iter().filter(|(of, _)| *of == transition).map(|(_, root)| root.clone()).collect();
            let claim = Claim {
                role: role_of(transition),
                roots: &roots,
                exchange: Some(exchange.ip()),
                // Only `Complete` leaves the poll its reference.
                after_will_do: transition == Transition::Complete,
            };
            if !roots.is_empty() {
                ends.spots.extend(places(functions, function, &claim).into_iter().map(|places| (transition, places)));
            }
        }
        ends.unknown_exchange |= !is_known;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::inspection::Register;
    use crate::inspect::specimen::{CODE, INLINED_IDLE, bytes, with_image};

    fn ends_with(panic: &str) -> Ends {
        let mut ends = None;
        with_image(&[("poll", &bytes(INLINED_IDLE)), ("panic", &bytes(panic))], |image, functions, starts| {
            let named = HashMap::new();
            ends = EndFinder::new(image, functions, &named, &[Transition::Idle]).ends_of(starts[0]);
        });
        ends.unwrap()
    }

    #[test]
    fn an_idle_end_behind_the_call_of_a_panic_is_found() {
        let ends = ends_with("0f0b");
        let [(Transition::Idle, places)] = &ends.spots[..] else { panic!("{ends:?}") };
        let spot = places.usual().unwrap();
        assert_eq!((spot.vaddr, spot.header, spot.sp_adjust), (CODE + 0x41, Register::Rbx, 72));
        assert!(!ends.unknown_exchange);
    }

    /// What a register holds is not known where a call that may come back leads there without it.
    #[test]
    fn an_end_behind_a_call_that_may_return_is_not_taken() {
        let ends = ends_with("c3");
        assert!(ends.spots.is_empty() && ends.unknown_exchange, "{ends:?}");
    }
}
