//! Enums: which variant is there says which future is.

use std::rc::Rc;

use profiler_common::awaits::node::{FRAME, NO_EDGE, target};
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::shape::{Shape, Value, Variant};
use crate::inspect::awaits::dwarf::source::Die;

/// Distance between the smallest and the largest discriminant, at most: the table has an edge for each value between them.
const MAX_VALUES: u64 = 1024;

/// Variants of futures that are done, or hold what they gave: nobody waits there. The names that std, tokio, futures-util, tower, hyper
/// and axum use.
const DONE: [&str; 14] = [
    "Complete",
    "Completed",
    "Consumed",
    "Done",
    "Empty",
    "Finished",
    "Gone",
    "None",
    "Poisoned",
    "Ready",
    "Resolved",
    "Returned",
    "Taken",
    "Terminated",
];

/// The tag of an enum, and where it leads.
pub(super) struct Choice {
    node: Node,
    /// One for each value from `node.base` on, then, if `node.aux` is not [`NO_EDGE`], the one for all others.
    edges: Vec<Edge>,
}

impl Choice {
    pub(super) fn node(&self) -> Node {
        self.node
    }

    pub(super) fn edges(&self) -> &[Edge] {
        &self.edges
    }
}

impl<'s> Compiler<'_, 's> {
    /// An enum that is not shown.
    pub(super) fn passed_enum(&mut self, die: Die, shape: &Rc<Shape<'s>>, depth: u32) -> Held {
        let payloads = self.payloads(shape, depth);
        if payloads.iter().all(|held| *held == Held::Nothing) {
            return Held::Nothing;
        }
        let edges: Vec<Edge> = payloads.iter().map(|held| held.edge()).collect();
        if let ([edge], None) = (&edges[..], shape.variants.as_ref().and_then(|variants| variants.tag)) {
            return Held::At(*edge);
        }
        let Some(choice) = self.choice(shape, &edges) else {
            return self.strange(die, shape, "a discriminant that is wide or sparse");
        };
        let Some(place) = self.place() else { return Held::UNKNOWN };
        self.fill_tagged(place, choice.node, &choice.edges);
        Held::At(Edge { offset: 0, node: place })
    }

    /// An enum that is a future.
    pub(super) fn shown_enum(&mut self, place: u32, die: Die, shape: &Rc<Shape<'s>>) {
        let payloads = self.payloads(shape, 0);
        let Some(variants) = &shape.variants else { return self.shown(place, &[]) };
        if payloads.iter().all(|held| *held == Held::Nothing) {
            return self.shown(place, &[]);
        }
        let edges: Vec<Edge> = payloads
            .iter()
            .zip(&variants.list)
            .map(|(held, variant)| match held {
                Held::At(edge) => *edge,
                Held::Nothing => Edge { offset: 0, node: self.without_future(variant) },
            })
            .collect();
        if let ([edge], None) = (&edges[..], variants.tag) {
            return self.shown(place, &[*edge]);
        }
        if let Some(choice) = self.choice(shape, &edges) {
            self.fill_tagged(place, Node { flags: FRAME, ..choice.node }, &choice.edges);
        } else {
            let edge = self.strange(die, shape, "a discriminant that is wide or sparse").edge();
            self.shown(place, &[edge]);
        }
    }

    /// What a variant of a future is that has no future inside: done, or waiting for something that is no future (a socket).
    fn without_future(&self, variant: &Variant<'_>) -> u32 {
        let Some(member) = variant.member else { return target::NOTHING };
        let has_fields = member.of.is_some_and(|of| {
            self.types.shape(of).members.iter().any(|field| field.of.is_some_and(|of| self.types.shape(of).size != Some(0)))
        });
        if has_fields && !DONE.contains(&member.name) { target::UNSTARTED } else { target::NOTHING }
    }

    /// What is awaited in each variant.
    fn payloads(&mut self, shape: &Rc<Shape<'s>>, depth: u32) -> Vec<Held> {
        let Some(variants) = &shape.variants else { return Vec::new() };
        let payload = |variant: &Variant<'s>| {
            let Some((of, member)) = variant.member.and_then(|member| Some((member.of?, member))) else { return Held::Nothing };
            if depth > super::held::MAX_DEPTH {
                return Held::UNKNOWN;
            }
            let fields = self.types.shape(of);
            let edges = self.fields(&fields, depth + 1);
            self.together(&edges).inside(member.offset)
        };
        variants.list.iter().map(payload).collect()
    }

    /// The tag that leads to these edges, one for each variant. `None`: its values are not understood.
    pub(super) fn choice(&self, shape: &Shape<'_>, edges: &[Edge]) -> Option<Choice> {
        let variants = shape.variants.as_ref()?;
        let tag = variants.tag?;
        let width = u8::try_from(self.types.shape(tag.of?).size?).ok().filter(|width| matches!(width, 1 | 2 | 4 | 8))?;
        let cut = u64::MAX >> (64 - 8 * u32::from(width));
        let (mut known, mut others) = (Vec::new(), None);
        for (variant, edge) in variants.list.iter().zip(edges) {
            match variant.value {
                Value::Is(value) => known.push((value & cut, *edge)),
                Value::Others if others.is_none() => others = Some(*edge),
                Value::Others | Value::Strange => return None,
            }
        }
        known.sort_unstable_by_key(|(value, _)| *value);
        let (base, last) = (known.first()?.0, known.last()?.0);
        let count = last.checked_sub(base)?.checked_add(1).filter(|count| *count <= MAX_VALUES)?;
        let gap = others.unwrap_or(Edge { offset: 0, node: target::UNKNOWN });
        let mut table = vec![gap; usize::try_from(count).ok()?];
        for (value, edge) in known {
            *table.get_mut(usize::try_from(value - base).ok()?)? = edge;
        }
        let count = u32::try_from(table.len()).ok()?;
        table.extend(others);
        let node = Node {
            kind: NodeKind::Tagged as u8,
            width,
            offset: u32::try_from(tag.offset?).ok()?,
            count,
            // Set where the edges' place is.
            aux: if others.is_some() { 0 } else { NO_EDGE },
            base,
            ..Node::default()
        };
        Some(Choice { node, edges: table })
    }

    /// Fills a node that has a tag: `edges` are those of the values, then the one for others if it has one.
    pub(super) fn fill_tagged(&mut self, place: u32, node: Node, edges: &[Edge]) {
        self.fill(place, node, edges);
        let Some(slot) = self.layouts.nodes.get_mut(place as usize) else { return };
        if slot.kind != NodeKind::Tagged as u8 {
            return;
        }
        slot.count = node.count;
        slot.aux = if node.aux == NO_EDGE { NO_EDGE } else { slot.first.saturating_add(node.count) };
    }
}
