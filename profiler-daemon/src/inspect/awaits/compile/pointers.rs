//! Through pointers: only those that own or exclusively borrow what they point to, and only to futures, or tuples, arrays and enums of
//! them. An `Arc`, a `&T` or a raw pointer leads to what others use too; nobody polls a future through it.

use std::collections::HashSet;
use std::rc::Rc;

use profiler_common::awaits::{Edge, Node, NodeKind};

use super::known::Rule;
use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::scan::is_awaited_trait;
use crate::inspect::awaits::dwarf::shape::{Kind, Member, Shape};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::layouts::FrameKind;

/// Types between a pointer and the future behind it that are looked at.
const MAX_WRAPPERS: usize = 1024;
/// Structures around the pointer in a `Vec` or a `JoinHandle`.
const MAX_INSIDE: u32 = 8;

/// A pointer of two words.
pub(super) struct Wide<'s> {
    pointer: Member<'s>,
    second: Member<'s>,
    is_slice: bool,
}

impl<'s> Compiler<'_, 's> {
    pub(super) fn pointer(&mut self, die: Die, shape: &Shape<'s>, awaited: bool, depth: u32) -> Held {
        let Some(to) = shape.to.filter(|_| is_exclusive(shape.name)) else { return Held::Nothing };
        if let Some(node) = self.pointers.get(&(die, awaited)) {
            return Held::At(Edge { offset: 0, node: *node });
        }
        if !awaited && !self.leads_to_future(to) {
            return Held::Nothing;
        }
        // Its place comes first: what it points to may lead back to it.
        let Some(node) = self.place() else { return Held::UNKNOWN };
        self.pointers.insert((die, awaited), node);
        match self.held(to, awaited, depth + 1) {
            Held::Nothing => {
                self.pointers.remove(&(die, awaited));
                Held::Nothing
            }
            Held::At(edge) => {
                self.fill(node, Node { kind: NodeKind::Pointer as u8, ..Node::default() }, &[edge]);
                Held::At(Edge { offset: 0, node })
            }
        }
    }

    /// The parts of a pointer of two words, if it is one. Source: rustc's `debuginfo/metadata.rs`, `build_pointer_or_reference_di_type`: its
    /// members are `data_ptr` (of a `Box` `pointer`), and `length` or `vtable`.
    pub(super) fn wide(shape: &Shape<'s>) -> Option<Wide<'s>> {
        let [pointer, second] = shape.members[..] else { return None };
        let is_pointer = matches!(pointer.name, "data_ptr" | "pointer");
        let is_slice = second.name == "length";
        (is_pointer && (is_slice || second.name == "vtable")).then_some(Wide { pointer, second, is_slice })
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is what the caller made for this call")]
    pub(super) fn wide_pointer(&mut self, die: Die, shape: &Shape<'s>, wide: Wide<'s>, awaited: bool, depth: u32) -> Held {
        if !is_exclusive(shape.name) {
            return Held::Nothing;
        }
        let offset = |member: &Member<'_>| member.offset.and_then(|offset| u32::try_from(offset).ok());
        let (Some(at), Some(second)) = (offset(&wide.pointer), offset(&wide.second)) else { return Held::Nothing };
        if !wide.is_slice {
            if !awaited && !is_awaited_object(shape.name) {
                return Held::Nothing;
            }
            return self.passed(Node { kind: NodeKind::Dyn as u8, offset: at, aux: second, ..Node::default() }, &[]);
        }
        let element = wide.pointer.of.and_then(|of| self.types.shape(of).to);
        let Some(element) = element.filter(|element| self.leads_to_future(*element)) else { return Held::Nothing };
        self.slice(die, shape, [at, second], element, depth)
    }

    /// Elements behind the pointer at the first of these places, as many as the second says.
    fn slice(&mut self, die: Die, shape: &Shape<'s>, at: [u32; 2], element: Die, depth: u32) -> Held {
        let Held::At(edge) = self.held(element, false, depth + 1) else { return Held::Nothing };
        let Some(size) = self.types.shape(element).size else { return self.strange(die, shape, "elements of no known size") };
        let node = Node { kind: NodeKind::Slice as u8, offset: at[0], aux: at[1], base: size, ..Node::default() };
        self.passed(node, &[edge])
    }

    /// A `Vec` of futures.
    pub(super) fn vector(&mut self, die: Die, shape: &Shape<'s>, depth: u32) -> Held {
        let Some((_, element)) = shape.parameters.first().copied() else { return Held::Nothing };
        if !self.leads_to_future(element) {
            return Held::Nothing;
        }
        let member = |name: &str| shape.members.iter().find(|member| member.name == name).copied();
        let places = || {
            let (buffer, length) = (member("buf")?, member("len")?);
            let (into, _) = self.pointer_inside(buffer.of?, 0)?;
            let pointer = u32::try_from(buffer.offset?.checked_add(into)?).ok()?;
            Some([pointer, u32::try_from(length.offset?).ok()?])
        };
        match places() {
            Some(places) => self.slice(die, shape, places, element, depth),
            None => self.strange(die, shape, "a vector without a pointer and a length"),
        }
    }

    /// A `JoinHandle`: what it waits for is another task, whose header its pointer leads to.
    pub(super) fn join_handle(&mut self, die: Die, shape: &Rc<Shape<'s>>) -> Held {
        if let Some(node) = self.placed.get(&die) {
            return Held::At(Edge { offset: 0, node: *node });
        }
        let raw = shape.members.iter().find(|member| member.name == "raw");
        let place = raw.and_then(|raw| raw.offset?.checked_add(self.pointer_inside(raw.of?, 0)?.0));
        let Some(offset) = place.and_then(|place| u32::try_from(place).ok()) else {
            return self.strange(die, shape, "a join handle without a pointer to its task");
        };
        let Some(node) = self.place() else { return Held::UNKNOWN };
        self.placed.insert(die, node);
        self.fill(node, Node { kind: NodeKind::Task as u8, offset, ..Node::default() }, &[]);
        let name = self.types.path(die, shape.name);
        self.show(node, name, FrameKind::Task);
        Held::At(Edge { offset: 0, node })
    }

    /// Where the one pointer lies that this type is a wrapper of, and what it points to.
    pub(super) fn pointer_inside(&self, die: Die, depth: u32) -> Option<(u64, Die)> {
        let shape = self.types.shape(die);
        if shape.kind == Kind::Pointer {
            return Some((0, shape.to?));
        }
        if depth > MAX_INSIDE {
            return None;
        }
        let of_variants = shape.variants.iter().flat_map(|variants| &variants.list).filter_map(|variant| variant.member.as_ref());
        shape.members.iter().chain(of_variants).find_map(|member| {
            let (into, to) = self.pointer_inside(member.of?, depth + 1)?;
            Some((member.offset?.checked_add(into)?, to))
        })
    }

    /// Whether a pointer to this type is one to a future: to one itself, or to a tuple, an array or an enum of them.
    pub(super) fn leads_to_future(&mut self, die: Die) -> bool {
        if let Some(leads) = self.leads.get(&die) {
            return *leads;
        }
        let (mut open, mut seen) = (vec![die], HashSet::from([die]));
        let mut leads = false;
        while let Some(next) = open.pop() {
            match self.led_by(next) {
                Led::Future => {
                    leads = true;
                    break;
                }
                Led::By(types) if seen.len() < MAX_WRAPPERS => open.extend(types.into_iter().filter(|of| seen.insert(*of))),
                Led::By(_) => {}
            }
        }
        self.leads.insert(die, leads);
        leads
    }

    /// What a type leads to.
    fn led_by(&self, die: Die) -> Led {
        let shape = self.types.shape(die);
        let exclusive = |to: Option<Die>| Led::By(to.into_iter().filter(|_| is_exclusive(shape.name)).collect());
        match shape.kind {
            Kind::Pointer => return exclusive(shape.to),
            Kind::Array => return Led::By(shape.to.into_iter().collect()),
            Kind::Plain | Kind::Union => return Led::By(Vec::new()),
            Kind::Structure => {}
        }
        if let Some(wide) = Self::wide(&shape) {
            let is_object = !wide.is_slice && is_exclusive(shape.name) && is_awaited_object(shape.name);
            let element = wide.pointer.of.filter(|_| wide.is_slice).and_then(|of| self.types.shape(of).to);
            return if is_object { Led::Future } else { exclusive(element) };
        }
        match self.rule(die, &shape) {
            Some(Rule::Closed) => return Led::By(Vec::new()),
            Some(Rule::Pin) => return Led::By(shape.members.first().and_then(|member| member.of).into_iter().collect()),
            Some(Rule::Vec) => return Led::By(shape.parameters.first().map(|(_, of)| *of).into_iter().collect()),
            Some(Rule::JoinHandle) => return Led::Future,
            _ => {}
        }
        if self.is_future(die, &shape) {
            return Led::Future;
        }
        if let Some(variants) = &shape.variants {
            let fields = variants.list.iter().filter_map(|variant| variant.member.and_then(|member| member.of));
            let types =
                fields.flat_map(|of| self.types.shape(of).members.iter().filter_map(|member| member.of).collect::<Vec<_>>());
            return Led::By(types.collect());
        }
        let is_tuple = shape.name.starts_with('(');
        Led::By(shape.members.iter().filter(|_| is_tuple).filter_map(|member| member.of).collect())
    }
}

/// What a type leads to, if anything.
enum Led {
    Future,
    /// What these do.
    By(Vec<Die>),
}

/// Whether who has the pointer may poll what it points to.
fn is_exclusive(name: &str) -> bool {
    name.starts_with("&mut ") || name.starts_with("alloc::boxed::Box<")
}

/// Whether a pointer of this name is to a `dyn Future` or `dyn Stream`.
fn is_awaited_object(name: &str) -> bool {
    let Some((_, object)) = name.split_once("dyn ") else { return false };
    let end = object.find([' ', ',', ')']).unwrap_or(object.len());
    // `Future<Output=(u8, u16)>` ends early; what is asked for stands before its bracket.
    is_awaited_trait(object.get(..end).unwrap_or_default().split(['<', '>']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check which objects are awaited.
    #[test]
    fn objects_are_told_by_their_trait() {
        let boxed =
            "alloc::boxed::Box<(dyn core::future::future::Future<Output=(u8, u16)> + core::marker::Send), alloc::alloc::Global>";
        assert!(is_awaited_object(boxed) && is_exclusive(boxed));
        assert!(is_awaited_object("&mut dyn futures_core::stream::Stream<Item=u8>"));
        assert!(is_awaited_object("alloc::boxed::Box<dyn core::future::future::Future, alloc::alloc::Global>"));
        assert!(!is_awaited_object("alloc::boxed::Box<dyn core::error::Error, alloc::alloc::Global>"));
        assert!(!is_exclusive("&a::B") && !is_exclusive("*mut a::B"));
    }
}
