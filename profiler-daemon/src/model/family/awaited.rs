//! Which member of a family a wait was for.
//!
//! Where the await stack names one task, it is that one. Where several were awaited at once, or the stack does not tell, the rule is: the child
//! whose end coincides with the wake (it ended at most [`COINCIDES_NS`] before, on the thread that woke, where that is known); else, if only
//! tasks were awaited, the last that had ended by the wake; else, if one alone is alive, that one; else it is not known.

use std::collections::HashMap;

use super::node::{Awaited, Key, Node, Parent, Wait};
use super::timeline::Unknown;

/// How long after a child's end a wake may come and count as its doing. Tokio wakes the handle's waker right after the exchange at which a
/// child's end is seen (`Harness::complete`): some microseconds, unless the thread loses its CPU.
pub(super) const COINCIDES_NS: u64 = 200_000;

/// What a wait was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Nothing that can be opened.
    Itself,
    /// The member of this place; whether the stack said so.
    Member(usize, bool),
    /// A task, but which is not known.
    Unknown(Unknown),
}

/// Members by key, and by who spawned them.
pub(super) struct Members<'n> {
    nodes: &'n [Node],
    places: HashMap<Key, usize>,
    children: Vec<Vec<usize>>,
}

impl<'n> Members<'n> {
    pub(super) fn of(nodes: &'n [Node]) -> Self {
        let places: HashMap<Key, usize> = nodes.iter().enumerate().map(|(place, node)| (node.key, place)).collect();
        let mut children = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            let parent = match node.parent {
                Parent::Nobody => None,
                Parent::Known(key) => places.get(&key).copied(),
                // Whoever it was awaits it too, as far as is known.
                Parent::Unknown => (place != 0).then_some(0),
            };
            if let Some(list) = parent.filter(|&parent| parent != place).and_then(|parent| children.get_mut(parent)) {
                list.push(place);
            }
        }
        Self { nodes, places, children }
    }

    /// What `wait` of the member at `place` was for.
    pub(super) fn awaited(&self, place: usize, wait: &Wait) -> For {
        match &wait.on {
            Awaited::Else => For::Itself,
            Awaited::Task(key) => match self.places.get(key) {
                Some(&child) => self.instead_of(child, place, wait).unwrap_or(For::Member(child, true)),
                None => For::Unknown(Unknown::NotOfFamily),
            },
            Awaited::Tasks { types, first, beside } => {
                let first = first.and_then(|key| self.places.get(&key).copied());
                let fits = |child: &usize| {
                    Some(*child) == first
                        || self
                            .nodes
                            .get(*child)
                            .is_some_and(|node| types.iter().any(|wanted| wanted.is_none() || *wanted == node.task_type))
                };
                let mut candidates: Vec<usize> = self.children(place).filter(fits).collect();
                candidates.extend(first.filter(|first| !candidates.contains(first)));
                self.chosen(&candidates, wait, *beside).unwrap_or(if *beside {
                    For::Itself
                } else {
                    For::Unknown(Unknown::NotOfFamily)
                })
            }
            Awaited::Set => {
                let candidates: Vec<usize> = self.children(place).collect();
                self.chosen(&candidates, wait, false).unwrap_or(For::Unknown(Unknown::NotOfFamily))
            }
            Awaited::Unseen => {
                // A handle may have been handed on: any member's end may be what woke.
                let candidates: Vec<usize> = (1..self.nodes.len()).filter(|&other| other != place).collect();
                self.chosen(&candidates, wait, true).unwrap_or(For::Itself)
            }
        }
    }

    /// Of many equal handles in one future (`join_all`) a stack has one: another child of that type, whose end woke, while the named one
    /// goes on.
    fn instead_of(&self, named: usize, place: usize, wait: &Wait) -> Option<For> {
        let one = self.nodes.get(named)?;
        if one.complete && one.end_ns() <= wait.woken_ns() {
            return None;
        }
        let alike = self
            .children(place)
            .filter(|&child| self.nodes.get(child).is_some_and(|node| node.task_type == one.task_type && child != named));
        self.chosen(&alike.collect::<Vec<_>>(), wait, true)
    }

    fn children(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.children.get(place).into_iter().flatten().copied()
    }

    /// The rule at the top of this file. `None`: nobody alive in the wait.
    fn chosen(&self, candidates: &[usize], wait: &Wait, beside: bool) -> Option<For> {
        let woken = wait.woken_ns();
        let node = |place: usize| self.nodes.get(place);
        let alive: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|&place| node(place).is_some_and(|node| node.start_ns < woken && node.end_ns() > wait.start_ns))
            .collect();
        let ended =
            alive.iter().copied().filter(|&place| node(place).is_some_and(|node| node.complete && node.end_ns() <= woken));
        let ended: Vec<usize> = ended.collect();
        let last = |places: &mut dyn Iterator<Item = usize>| places.max_by_key(|&place| node(place).map(Node::end_ns));
        let by_wake = last(&mut ended.iter().copied().filter(|&place| node(place).is_some_and(|node| coincides(node, wait))));
        if let Some(place) = by_wake {
            return Some(For::Member(place, false));
        }
        if beside {
            return None;
        }
        match (last(&mut ended.into_iter()), &alive[..]) {
            (Some(place), _) => Some(For::Member(place, false)),
            (None, [one]) => Some(For::Member(*one, false)),
            (None, []) => None,
            (None, _) => Some(For::Unknown(Unknown::Several)),
        }
    }
}

fn coincides(node: &Node, wait: &Wait) -> bool {
    let there = node.spans.last().zip(wait.woken_on).is_none_or(|(last, tid)| last.tid == tid);
    there && wait.woken_ns().saturating_sub(node.end_ns()) <= COINCIDES_NS
}
