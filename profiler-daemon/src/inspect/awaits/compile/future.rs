//! The nodes of futures that are no coroutines: structures and enums with a poll of their own.

use std::rc::Rc;

use profiler_common::awaits::node::{FRAME, NO_EDGE, target};
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::known::Rule;
use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::shape::{Member, Shape};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::layouts::FrameKind;

impl<'s> Compiler<'_, 's> {
    /// Fills the node of a future.
    pub(super) fn future(&mut self, place: u32, die: Die) {
        let shape = self.types.shape(die);
        if super::coroutine::is_coroutine(&shape) {
            self.coroutine(place, die, &shape);
            return;
        }
        let rule = self.rule(die, &shape);
        let kind = match rule {
            Some(Rule::Of(kind)) => kind,
            Some(Rule::Unordered | Rule::QueueElse(..) | Rule::Only("in_progress_queue")) => FrameKind::Join,
            _ => FrameKind::Future,
        };
        let name = self.types.path(die, shape.name);
        self.show(place, name, kind);
        match rule {
            Some(Rule::Closed) => self.shown(place, &[]),
            Some(Rule::Only(field)) => match self.field(&shape, field) {
                Some(member) => self.only(place, &member),
                None => self.changed(place, die, &shape, field),
            },
            Some(Rule::TaskLocal) => self.task_local(place, die, &shape),
            Some(Rule::While(field)) => match self.field(&shape, field) {
                Some(member) => self.while_some(place, &member),
                None => self.changed(place, die, &shape, field),
            },
            Some(Rule::Else(first, second)) => match (self.field(&shape, first), self.field(&shape, second)) {
                (Some(first), Some(second)) => self.first_else(place, &first, &second),
                _ => self.changed(place, die, &shape, first),
            },
            Some(Rule::QueueElse(queue, stream)) => match (self.field(&shape, queue), self.field(&shape, stream)) {
                (Some(queue), Some(stream)) => self.queue_else(place, die, &shape, &queue, &stream),
                _ => self.changed(place, die, &shape, queue),
            },
            Some(Rule::PollFn) => self.poll_fn(place, die, &shape),
            Some(Rule::Unordered) => self.unordered(place, die, &shape),
            _ => self.general(place, die, &shape),
        }
    }

    /// Whatever lies inside.
    fn general(&mut self, place: u32, die: Die, shape: &Rc<Shape<'s>>) {
        if shape.variants.is_some() {
            self.shown_enum(place, die, shape);
        } else {
            let edges = self.fields(shape, 0);
            self.shown(place, &edges);
        }
    }

    /// A frame with all of these inside.
    pub(super) fn shown(&mut self, place: u32, edges: &[Edge]) {
        let kind = match edges.len() {
            0 => NodeKind::Leaf,
            1 => NodeKind::Inside,
            _ => NodeKind::Branches,
        };
        self.fill(place, Node { kind: kind as u8, flags: FRAME, ..Node::default() }, edges);
    }

    /// A frame of which a field that was there once is not.
    pub(super) fn changed(&mut self, place: u32, die: Die, shape: &Shape<'_>, field: &str) {
        let edge = self.strange(die, shape, &format!("it has no field `{field}` of the kind that is known")).edge();
        self.shown(place, &[edge]);
    }

    pub(super) fn only(&mut self, place: u32, member: &Member<'s>) {
        match self.member(member, false, 0) {
            Held::At(edge) => self.shown(place, &[edge]),
            Held::Nothing => self.shown(place, &[]),
        }
    }

    /// A frame that is one as long as its field, an `Option`, is not `None`.
    fn while_some(&mut self, place: u32, member: &Member<'s>) {
        match self.member(member, false, 0) {
            Held::At(edge) if self.is_tagged(edge) => self.take_over(place, edge, FRAME, None),
            _ => self.only(place, member),
        }
    }

    /// A frame with the first inside, or where nothing is there, the second.
    fn first_else(&mut self, place: u32, first: &Member<'s>, second: &Member<'s>) {
        let first = self.member(first, false, 0);
        let second = self.member(second, false, 0);
        match first {
            Held::At(edge) if self.is_tagged(edge) => {
                let Some(choice) = self.place() else { return self.shown(place, &[]) };
                self.take_over(choice, edge, 0, Some(second.edge()));
                self.shown(place, &[Edge { offset: 0, node: choice }]);
            }
            Held::At(edge) if self.is_frame(edge) && second == Held::Nothing => self.shown(place, &[edge]),
            // A first that never runs out cannot be told from one that has.
            Held::At(_) if second == Held::Nothing => self.shown(place, &[first.edge()]),
            Held::At(_) => self.shown(place, &[Edge { offset: 0, node: target::UNKNOWN }]),
            Held::Nothing => match second {
                Held::At(edge) => self.shown(place, &[edge]),
                Held::Nothing => self.shown(place, &[]),
            },
        }
    }

    fn is_tagged(&self, edge: Edge) -> bool {
        self.layouts
            .nodes
            .get(edge.node as usize)
            .is_some_and(|node| node.kind == NodeKind::Tagged as u8 && node.flags & FRAME == 0)
    }

    fn is_frame(&self, edge: Edge) -> bool {
        self.layouts.nodes.get(edge.node as usize).is_some_and(|node| node.flags & FRAME != 0)
    }

    /// Makes the node at `place` a copy of the tag that `edge` leads to, with these flags. Where that leads to nothing, it leads to `instead`.
    fn take_over(&mut self, place: u32, edge: Edge, flags: u16, instead: Option<Edge>) {
        let Some(node) = self.layouts.nodes.get(edge.node as usize).copied() else { return };
        let count = node.count as usize + usize::from(node.aux != NO_EDGE);
        let all = self.layouts.edges.get(node.first as usize..).and_then(|edges| edges.get(..count)).unwrap_or_default();
        let moved: Vec<Edge> = all
            .iter()
            .map(|from| match instead {
                Some(instead) if from.node == target::NOTHING => instead,
                _ if from.node >= target::FIRST => *from,
                _ => Edge { offset: from.offset.saturating_add(edge.offset), node: from.node },
            })
            .collect();
        let offset = node.offset.saturating_add(edge.offset);
        self.fill_tagged(place, Node { offset, flags, ..node }, &moved);
    }
}

impl<'s> Compiler<'_, 's> {
    /// The member of this name; `a.b` is the member `b` of the member `a`.
    pub(super) fn field(&self, shape: &Shape<'s>, path: &str) -> Option<Member<'s>> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let member = shape.members.iter().find(|member| member.name == name).copied()?;
        let Some(rest) = rest else { return Some(member) };
        let inner = self.field(&self.types.shape(member.of?), rest)?;
        Some(Member { offset: Some(member.offset?.checked_add(inner.offset?)?), ..inner })
    }
}
