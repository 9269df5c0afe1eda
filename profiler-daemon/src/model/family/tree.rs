//! The members of a family in the order of a tree: each under the one that spawned it.

use std::collections::HashMap;

use super::node::{Key, Node, Parent};

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Place of the member.
    pub node: usize,
    /// How many it was spawned by, one by another. The root has 0.
    pub depth: u32,
    /// Whether it is known who spawned it. If not, it stands under the root.
    pub parent_known: bool,
}

/// Every member once, the root first, each before those that it spawned, those in order of their start.
#[must_use]
pub fn tree(nodes: &[Node]) -> Vec<Place> {
    let places: HashMap<Key, usize> = nodes.iter().enumerate().map(|(place, node)| (node.key, place)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut strays = Vec::new();
    for (place, node) in nodes.iter().enumerate().skip(1) {
        let parent = match node.parent {
            Parent::Known(key) => places.get(&key).copied().filter(|&parent| parent != place),
            Parent::Nobody | Parent::Unknown => None,
        };
        match parent.and_then(|parent| children.get_mut(parent)) {
            Some(list) => list.push(place),
            None => strays.push(place),
        }
    }
    let start = |place: &usize| nodes.get(*place).map(|node| (node.start_ns, node.key));
    for list in &mut children {
        list.sort_by_key(start);
    }
    strays.sort_by_key(start);
    let mut order = Order { children, seen: vec![false; nodes.len()], places: Vec::new() };
    if !nodes.is_empty() {
        order.add(0, 0, true);
    }
    for place in strays {
        order.add(place, 1, false);
    }
    // What spawned one another in a circle: ids that were read wrong.
    for place in 0..nodes.len() {
        order.add(place, 1, false);
    }
    order.places
}

struct Order {
    children: Vec<Vec<usize>>,
    seen: Vec<bool>,
    places: Vec<Place>,
}

impl Order {
    /// A member and all below it. Not by recursion: tasks may spawn one another without end.
    fn add(&mut self, node: usize, depth: u32, parent_known: bool) {
        let mut open = vec![Place { node, depth, parent_known }];
        while let Some(place) = open.pop() {
            match self.seen.get_mut(place.node) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            self.places.push(place);
            let below = self.children.get(place.node).into_iter().flatten().rev();
            open.extend(below.map(|&node| Place { node, depth: place.depth.saturating_add(1), parent_known: true }));
        }
    }
}
