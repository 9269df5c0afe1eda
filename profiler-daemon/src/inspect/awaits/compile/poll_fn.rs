//! `poll_fn` and the macros that are made of it: what its closure captured says what is awaited.
//!
//! Source: tokio `macros/join.rs` and `macros/select.rs`: `join!` and `try_join!` capture `futures`, a pointer to a tuple of `MaybeDone`;
//! `select!` captures `futures`, a pointer to a tuple of futures, and `disabled`, a pointer to a mask whose bit n is set when the future n
//! is not awaited (any more). rustc names what is captured by reference `_ref__futures`. futures-util's macros capture each future by itself.

use profiler_common::awaits::node::FRAME;
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::shape::{Kind, Member, Shape};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::layouts::FrameKind;

impl<'s> Compiler<'_, 's> {
    pub(super) fn poll_fn(&mut self, place: u32, die: Die, shape: &Shape<'s>) {
        let Some(f) = self.field(shape, "f") else { return self.changed(place, die, shape, "f") };
        let closure = f.of.map(|of| self.types.shape(of)).unwrap_or_default();
        let captured: Vec<Member<'s>> = closure.members.iter().filter_map(|member| within(&f, member)).collect();
        let named = |name: &str| captured.iter().find(|member| without_ref(member.name) == name).copied();
        let is_tokio = !self.types.modules(die).starts_with("futures");
        if let Some(futures) = named("futures").filter(|_| is_tokio)
            && let Some(tuple) = self.tuple(&futures)
        {
            return match named("disabled") {
                Some(mask) => self.select(place, die, shape, &futures, &mask, &tuple),
                None => self.join(place, &futures),
            };
        }
        let sets: Vec<Held> = captured.iter().filter_map(|member| self.captured_set(member)).collect();
        let awaited: Vec<Member<'s>> =
            captured.into_iter().filter(|member| member.of.is_some_and(|of| self.leads_to_future(of))).collect();
        if let Some(kind) = macro_of_futures(&awaited).filter(|_| !is_tokio) {
            let name = if kind == FrameKind::Join { "futures::join!" } else { "futures::select!" };
            self.show(place, name.to_owned(), kind);
        }
        let held = awaited.iter().map(|member| self.member(member, false, 0)).collect::<Vec<_>>();
        let edges: Vec<Edge> = sets.into_iter().chain(held).filter(|held| *held != Held::Nothing).map(Held::edge).collect();
        self.shown(place, &edges);
    }

    /// The tuple that a captured member is or points to.
    fn tuple(&self, member: &Member<'s>) -> Option<std::rc::Rc<Shape<'s>>> {
        let shape = self.types.shape(member.of?);
        let shape = if shape.kind == Kind::Pointer { self.types.shape(shape.to?) } else { shape };
        shape.name.starts_with('(').then_some(shape)
    }

    fn join(&mut self, place: u32, futures: &Member<'s>) {
        self.show(place, "tokio::join!".to_owned(), FrameKind::Join);
        match self.member(futures, false, 0) {
            Held::At(edge) => self.shown(place, &[edge]),
            Held::Nothing => self.shown(place, &[]),
        }
    }

    fn select(&mut self, place: u32, die: Die, shape: &Shape<'s>, futures: &Member<'s>, mask: &Member<'s>, tuple: &Shape<'s>) {
        self.show(place, "tokio::select!".to_owned(), FrameKind::Select);
        let Some((width, mask)) = self.mask(mask) else { return self.changed(place, die, shape, "disabled") };
        let pointer = futures.of.is_some_and(|of| self.types.shape(of).kind == Kind::Pointer);
        let offset = futures.offset.and_then(|offset| u32::try_from(offset).ok());
        let (Some(offset), true) = (offset, pointer) else { return self.changed(place, die, shape, "futures") };
        let mut edges = Vec::new();
        // A branch's bit is its place in the tuple as written: by its name, not by where the compiler put it.
        for number in 0..tuple.members.len() {
            let name = format!("__{number}");
            let Some(member) = tuple.members.iter().find(|member| member.name == name) else {
                return self.changed(place, die, shape, "futures");
            };
            let held = self.member(member, true, 0);
            edges.push(self.passed(Node { kind: NodeKind::Pointer as u8, offset, ..Node::default() }, &[held.edge()]).edge());
        }
        let node = Node { kind: NodeKind::Branches as u8, width, flags: FRAME, aux: mask, ..Node::default() };
        self.fill(place, node, &edges);
    }

    /// The width of the mask that a member points to, and the pointer's offset.
    fn mask(&self, member: &Member<'s>) -> Option<(u8, u32)> {
        let pointer = self.types.shape(member.of?);
        let mask = self.types.shape(pointer.to.filter(|_| pointer.kind == Kind::Pointer)?);
        let width = u8::try_from(mask.size?).ok().filter(|width| matches!(width, 1 | 2 | 4 | 8))?;
        Some((width, u32::try_from(member.offset?).ok()?))
    }
}

/// A member of the closure as one of what has the closure.
fn within<'s>(closure: &Member<'_>, member: &Member<'s>) -> Option<Member<'s>> {
    Some(Member { offset: Some(closure.offset?.checked_add(member.offset?)?), ..*member })
}

fn without_ref(name: &str) -> &str {
    name.strip_prefix("_ref__").unwrap_or(name)
}

/// Which macro of futures-util captured these. Source: futures-macro 0.3 `join.rs` (`_fut0`, ..) and `select.rs` (`_0`, .., but what the
/// caller named keeps its name, and cannot be told from another closure's).
fn macro_of_futures(captured: &[Member<'_>]) -> Option<FrameKind> {
    let numbered = |prefix: &str| {
        !captured.is_empty()
            && captured.iter().all(|member| {
                let number = without_ref(member.name).strip_prefix(prefix);
                number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
            })
    };
    if numbered("_fut") {
        Some(FrameKind::Join)
    } else if numbered("_") {
        Some(FrameKind::Select)
    } else {
        None
    }
}
