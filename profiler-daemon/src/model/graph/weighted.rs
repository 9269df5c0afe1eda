//! The stacks of a selection as they were walked, with whose they are and their exact time in one state.
//!
//! For formats that have columns and labels of their own, where a [`Graph`](super::Graph) has frames. Both are drawn from
//! the same towers by the same division, so both have the same times.

use super::towers::{Owner, Tower, Towers, towers};
use super::waiting::waiting;
use super::{Metric, shapes};
use crate::model::capture::Capture;
use crate::model::selection::{NothingSelected, Selection};
use crate::model::stacks::{FrameName, cut};
use crate::model::states::State;
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
    /// What stands behind the innermost address, root first: no function.
    pub inner: Vec<FrameName>,
    /// The thread. `None`: it was on none, or on one that was not seen.
    pub tid: Option<u32>,
    /// Samples or stretches that it was seen in.
    pub count: u64,
    /// Its time.
    pub ns: u64,
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
pub fn weighted(capture: &Capture, selection: &Selection, keep: Keep) -> Result<Weighted, NothingSelected> {
    selection.check(capture)?;
    let awaits = Stacks::of(capture, None);
    let Towers { selected, beside, .. } = towers(capture, selection, Metric::Wall, &awaits);
    let mut stacks = Vec::new();
    for tower in selected.iter().chain(&beside) {
        stacks.extend(polled(tower));
        if !tower.owner.spawned {
            stacks.extend(unpolled(capture, tower, &awaits, keep));
        }
    }
    stacks.retain(|stack: &WeightedStack| stack.ns > 0);
    Ok(Weighted { title: selection.title(), stacks })
}

/// Time inside polls, where a thread has a stack.
fn polled<'t>(tower: &'t Tower<'_>) -> impl Iterator<Item = WeightedStack> + 't {
    shapes(tower, Metric::Wall).into_iter().flat_map(move |(state, group)| {
        group.shares(tower.states.of(state)).into_iter().map(move |share| WeightedStack {
            owner: tower.owner.clone(),
            state,
            outer: share.cut.into_iter().collect(),
            // A function that runs is its own leaf; one that waits is waiting in something.
            inner: if state == State::Running && share.count > 0 { Vec::new() } else { vec![share.leaf] },
            addresses: share.addresses,
            tid: share.tid,
            count: share.count,
            ns: share.ns,
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
        inner: line.frames,
        tid: None,
        // A suspension is no sample.
        count: 0,
        ns: line.ns,
    })
}

#[cfg(test)]
mod tests;
