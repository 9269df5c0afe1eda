//! The stacks of a selection as they were walked, with whose they are and their exact time in one state.
//!
//! For formats that have columns and labels of their own, where a [`Graph`](super::Graph) has frames. Both are drawn from
//! the same towers by the same division, so both have the same times.

use std::collections::{BTreeMap, BTreeSet};

use super::methods::Methods;
use super::towers::{Owner, Tower, Towers, towers};
use super::waiting::{aligned, waiting};
use super::{Metric, shapes};
use crate::model::capture::Capture;
use crate::model::selection::{NothingSelected, Selection};
use crate::model::stacks::{Aligned, FrameName, Merged, Nested, cut};
use crate::model::states::State;
use crate::model::symbols::{Frame, Symbolize, by_address};
use crate::model::text::printable;
use crate::model::waits::{Keep, Stacks};

/// One stack, in one state, of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedStack {
    /// Whose time it is.
    pub owner: Owner,
    /// What it was doing.
    pub state: State,
    /// What stands before the outermost address, root first: no function.
    pub outer: Vec<FrameName>,
    /// Leaf first, each in its call.
    pub addresses: Vec<u64>,
    /// What is drawn of the functions at each of the addresses, where it is not all: a stack is cut to what await stacks have of it
    /// ([`crate::model::stacks::Aligned`]).
    pub drawn: Option<Vec<Vec<Function>>>,
    /// What stands behind the innermost address, root first: no function.
    pub inner: Vec<FrameName>,
    /// The thread. `None`: it was on none, or on one that was not seen.
    pub tid: Option<u32>,
    /// Samples or stretches that it was seen in.
    pub count: u64,
    /// Its time.
    pub ns: u64,
}

/// A function at an address that is drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// Its place among those at the address, the innermost first.
    pub place: usize,
    /// What it is called in await stacks. `None`: it keeps its name.
    pub name: Option<String>,
}

/// Every stack of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// What it is about, e.g. `request order-42`. Printable.
    pub title: String,
    /// Stacks with time above zero. Of tasks that a request spawned only what held a worker: those have
    /// [`Owner::spawned`], and their time is no part of the request's wall.
    pub stacks: Vec<WeightedStack>,
}

impl Weighted {
    /// Wall time of what was selected: the sum of its stacks, without those of spawned tasks.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        let own = self.stacks.iter().filter(|stack| !stack.owner.spawned);
        own.fold(0, |sum, stack| sum.saturating_add(stack.ns))
    }
}

/// Lists the stacks of a selection. Refuses one that matches nothing.
///
/// Expects instances to be numbered ([`Capture::number_instances`]).
pub fn weighted(
    capture: &Capture,
    selection: &Selection,
    keep: Keep,
    symbols: &mut dyn Symbolize,
) -> Result<Weighted, NothingSelected> {
    selection.check(capture)?;
    let awaits = Stacks::of(capture, None);
    let Towers { selected, beside, .. } = towers(capture, selection, (Metric::Wall, None), &awaits);
    let towers: Vec<(&Tower<'_>, Vec<(State, Merged)>)> =
        selected.iter().chain(&beside).map(|tower| (tower, shapes(tower, Metric::Wall))).collect();
    // Names are needed only where there is something to cut by them.
    let cuts = towers.iter().filter(|(tower, _)| aligned(tower, &awaits, keep, &Methods::default()).is_some());
    let code = Code::of(cuts.flat_map(|(_, polled)| polled).flat_map(|(_, group)| group.addresses()), symbols);
    let methods = code.methods(&awaits);
    let mut stacks = Vec::new();
    for (tower, polled_in) in &towers {
        let aligned = aligned(tower, &awaits, keep, &methods);
        stacks.extend(polled(tower, polled_in).map(|(mut stack, nested)| {
            stack.drawn = aligned.as_ref().map(|aligned| code.drawn(&stack.addresses, aligned, nested));
            stack
        }));
        if !tower.owner.spawned {
            let lines = unpolled(capture, tower, &awaits, keep);
            stacks.extend(lines.map(|line| {
                let inner = line.inner.into_iter().map(|name| methods.named(name)).collect();
                WeightedStack { inner, ..line }
            }));
        }
    }
    stacks.retain(|stack: &WeightedStack| stack.ns > 0);
    Ok(Weighted { title: selection.title(), stacks })
}

/// Names of code, to cut stacks by.
struct Code(BTreeMap<u64, Vec<(String, BTreeSet<String>)>>);

impl Code {
    fn of(addresses: impl Iterator<Item = u64>, symbols: &mut dyn Symbolize) -> Self {
        let named = by_address(addresses, symbols).into_iter();
        let told = |frame: Frame| (printable(frame.function.as_bytes()), frame.file.into_iter().collect());
        Self(named.map(|(address, frames)| (address, frames.into_iter().map(told).collect())).collect())
    }

    fn methods(&self, awaits: &Stacks) -> Methods {
        Methods::of(awaits.frames(), self.0.values().flatten().map(|(text, files)| (text.as_str(), files)))
    }

    /// What is left of the functions at these addresses.
    fn drawn(&self, addresses: &[u64], aligned: &Aligned, nested: Nested) -> Vec<Vec<Function>> {
        let functions = |at: usize| addresses.get(at).and_then(|address| self.0.get(address)).into_iter().flatten();
        // Root first: of the addresses, and of the functions at each.
        let all: Vec<(usize, usize, &str)> = (0..addresses.len())
            .rev()
            .flat_map(|at| {
                let here: Vec<_> = functions(at).enumerate().map(|(place, (text, _))| (at, place, text.as_str())).collect();
                here.into_iter().rev()
            })
            .collect();
        let texts: Vec<&str> = all.iter().map(|(_, _, text)| *text).collect();
        let mut drawn = vec![Vec::new(); addresses.len()];
        for kept in aligned.align(&texts, nested) {
            let Some(&(at, place, _)) = all.get(kept.at) else { continue };
            if let Some(drawn) = drawn.get_mut(at) {
                drawn.insert(0, Function { place, name: kept.text });
            }
        }
        drawn
    }
}

/// Time inside polls, where a thread has a stack; with the place of the tower's scope in each.
fn polled<'t>(tower: &'t Tower<'_>, shapes: &'t [(State, Merged)]) -> impl Iterator<Item = (WeightedStack, Nested)> + use<'t> {
    shapes.iter().flat_map(move |(state, group)| {
        group.shares(tower.states.of(*state)).into_iter().map(move |share| {
            let stack = WeightedStack {
                owner: tower.owner.clone(),
                state: *state,
                outer: share.cut.into_iter().collect(),
                // A function that runs is its own leaf; one that waits is waiting in something.
                inner: if *state == State::Running && share.count > 0 { Vec::new() } else { vec![share.leaf] },
                addresses: share.addresses,
                drawn: None,
                tid: share.tid,
                count: share.count,
                ns: share.ns,
            };
            (stack, share.nested)
        })
    })
}

/// Time between polls.
fn unpolled<'t>(
    capture: &Capture,
    tower: &'t Tower<'_>,
    awaits: &Stacks,
    keep: Keep,
) -> impl Iterator<Item = WeightedStack> + use<'t> {
    waiting(capture, tower, awaits, keep).into_iter().map(|line| WeightedStack {
        owner: tower.owner.clone(),
        state: line.state,
        outer: if line.truncated { cut(&line.addresses, true).into_iter().collect() } else { Vec::new() },
        addresses: line.addresses,
        drawn: None,
        inner: line.frames,
        tid: None,
        // A suspension is no sample.
        count: 0,
        ns: line.ns,
    })
}

#[cfg(test)]
mod tests;
