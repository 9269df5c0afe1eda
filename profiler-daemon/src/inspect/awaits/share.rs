//! One node for all types of one meaning: a type that several units describe is compiled from each, and a stack's id must not depend on
//! which was met.
//!
//! Nodes fall into classes by what they say of themselves, then again and again by the classes that their edges lead to, until no class
//! splits any more (Moore's algorithm for automata).

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use profiler_common::awaits::node::{NO_EDGE, target};
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::layouts::{AwaitLayouts, FrameLayout};

/// The edges of a node: those of its count, and behind them the one for other tags.
pub(super) fn edges_of<'e>(node: &Node, edges: &'e [Edge]) -> &'e [Edge] {
    let has_other = node.kind == NodeKind::Tagged as u8 && node.aux != NO_EDGE;
    let count = node.count as usize + usize::from(has_other);
    edges.get(node.first as usize..).and_then(|from| from.get(..count)).unwrap_or_default()
}

/// Merges nodes of one meaning. Gives the new place of each old one.
pub(super) fn share(layouts: &mut AwaitLayouts) -> Vec<u32> {
    let count = layouts.nodes.len();
    let mut classes: Vec<u64> = (0..count).map(|place| own_hash(layouts, place)).collect();
    let mut different = distinct(&classes);
    // A class splits off at every round but the last, so there are no more rounds than nodes.
    for _ in 0..count {
        let next: Vec<u64> = (0..count).map(|place| edge_hash(layouts, &classes, place)).collect();
        let split = distinct(&next);
        classes = next;
        if split == different {
            break;
        }
        different = split;
    }
    let mut first_of: HashMap<u64, u32> = HashMap::new();
    let mut kept = Vec::new();
    let mut places = Vec::with_capacity(count);
    for (place, class) in classes.iter().enumerate() {
        let next = u32::try_from(kept.len()).unwrap_or(target::UNKNOWN);
        let new = *first_of.entry(*class).or_insert_with(|| {
            kept.push(place);
            next
        });
        places.push(new);
    }
    rebuild(layouts, &kept, &places);
    places
}

/// Drops nodes that nothing leads to.
pub(super) fn drop_unreached(layouts: &mut AwaitLayouts) {
    let mut reached = vec![false; layouts.nodes.len()];
    let roots = [&layouts.tasks, &layouts.dynamic, &layouts.scopes];
    let mut open: Vec<u32> = roots.into_iter().flatten().map(|(_, node)| *node).collect();
    while let Some(place) = open.pop() {
        let (Some(seen), Some(node)) = (reached.get_mut(place as usize), layouts.nodes.get(place as usize)) else { continue };
        if !std::mem::replace(seen, true) {
            open.extend(edges_of(node, &layouts.edges).iter().map(|edge| edge.node));
        }
    }
    let kept: Vec<usize> = (0..reached.len()).filter(|place| reached.get(*place).copied().unwrap_or_default()).collect();
    let mut places = vec![target::UNKNOWN; reached.len()];
    for (new, old) in (0..).zip(&kept) {
        if let Some(place) = places.get_mut(*old) {
            *place = new;
        }
    }
    rebuild(layouts, &kept, &places);
    for entries in [&mut layouts.tasks, &mut layouts.dynamic, &mut layouts.scopes] {
        for (_, node) in entries {
            *node = places.get(*node as usize).copied().unwrap_or(target::UNKNOWN);
        }
    }
}

fn rebuild(layouts: &mut AwaitLayouts, kept: &[usize], places: &[u32]) {
    let (mut nodes, mut edges, mut frames) = (Vec::with_capacity(kept.len()), Vec::new(), Vec::with_capacity(kept.len()));
    for place in kept {
        let Some(mut node) = layouts.nodes.get(*place).copied() else { continue };
        let first = u32::try_from(edges.len()).unwrap_or(0);
        edges.extend(edges_of(&node, &layouts.edges).iter().map(|edge| Edge {
            offset: edge.offset,
            node: if edge.node >= target::FIRST {
                edge.node
            } else {
                places.get(edge.node as usize).copied().unwrap_or(target::UNKNOWN)
            },
        }));
        if node.kind == NodeKind::Tagged as u8 && node.aux != NO_EDGE {
            node.aux = first.saturating_add(node.count);
        }
        node.first = first;
        nodes.push(node);
        frames.push(layouts.frames.get_mut(*place).and_then(Option::take));
    }
    layouts.nodes = nodes;
    layouts.edges = edges;
    layouts.frames = frames;
}

/// What a node says of itself.
fn own_hash(layouts: &AwaitLayouts, place: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(node) = layouts.nodes.get(place) {
        let aux = if node.kind == NodeKind::Tagged as u8 && node.aux != NO_EDGE { 0 } else { node.aux };
        (node.kind, node.width, node.flags, node.offset, node.count, aux, node.base).hash(&mut hasher);
    }
    if let Some(FrameLayout { name, kind, points }) = layouts.frames.get(place).and_then(Option::as_ref) {
        (name, kind).hash(&mut hasher);
        for point in points {
            (point.state, point.file, point.line).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// The same, and where its edges lead.
fn edge_hash(layouts: &AwaitLayouts, classes: &[u64], place: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    classes.get(place).hash(&mut hasher);
    if let Some(node) = layouts.nodes.get(place) {
        for edge in edges_of(node, &layouts.edges) {
            let class = classes.get(edge.node as usize).copied().unwrap_or(u64::from(edge.node));
            (edge.offset, class).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn distinct(classes: &[u64]) -> usize {
    let mut sorted = classes.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len()
}
