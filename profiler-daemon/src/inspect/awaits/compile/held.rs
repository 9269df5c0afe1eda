//! What is awaited inside a type, gone through by value: structures, tuples, arrays, and what they lead to.

use std::rc::Rc;

use profiler_common::awaits::{Edge, Node, NodeKind};

use super::known::Rule;
use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::shape::{Kind, Member, Shape};
use crate::inspect::awaits::dwarf::source::Die;

/// Types inside one another that are gone through between two futures.
pub(super) const MAX_DEPTH: u32 = 48;
/// Elements of an array that are branches of their own.
const MAX_ELEMENTS: u64 = 64;

impl<'s> Compiler<'_, 's> {
    /// What is awaited inside the type. `awaited`: the type itself is, so it is a future whether its poll was found or not.
    pub(super) fn held(&mut self, die: Die, awaited: bool, depth: u32) -> Held {
        if let Some(held) = self.held.get(&(die, awaited)) {
            return *held;
        }
        let shape = self.types.shape(die);
        if depth > MAX_DEPTH {
            return self.strange(die, &shape, "types nested too deeply");
        }
        // No type holds itself by value; one that comes back to itself through a pointer is not told apart from one that says it does.
        if shape.kind != Kind::Pointer {
            self.held.insert((die, awaited), Held::UNKNOWN);
        }
        let held = match shape.kind {
            Kind::Structure => self.structure(die, &shape, awaited, depth),
            Kind::Pointer => self.pointer(die, &shape, awaited, depth),
            Kind::Array => self.array(&shape, depth),
            Kind::Union => self.union(die, &shape, depth),
            Kind::Plain => Held::Nothing,
        };
        // What is awaited is something, also where its description is missing.
        let held = if awaited && held == Held::Nothing { self.strange(die, &shape, "not described as a future") } else { held };
        self.held.insert((die, awaited), held);
        held
    }

    fn structure(&mut self, die: Die, shape: &Rc<Shape<'s>>, awaited: bool, depth: u32) -> Held {
        if let Some(wide) = Self::wide(shape) {
            return self.wide_pointer(die, shape, wide, awaited, depth);
        }
        match self.rule(die, shape) {
            Some(Rule::Pin) => {
                let Some(member) = shape.members.first() else { return Held::Nothing };
                return self.member(member, awaited, depth);
            }
            Some(Rule::Closed) if !awaited => return Held::Nothing,
            Some(Rule::JoinHandle) => return self.join_handle(die, shape),
            Some(Rule::Vec) if !awaited => return self.vector(die, shape, depth),
            Some(Rule::Transparent) => return self.parts(die, shape, depth),
            _ => {}
        }
        if awaited || self.is_future(die, shape) {
            return self.placed(die).map_or(Held::UNKNOWN, |node| Held::At(Edge { offset: 0, node }));
        }
        // A closure is what happens later: the futures that it holds are not polled before.
        if shape.name.starts_with("{closure_env") {
            return Held::Nothing;
        }
        self.parts(die, shape, depth)
    }

    /// The node of a future, empty as yet where it is new.
    pub(super) fn placed(&mut self, die: Die) -> Option<u32> {
        if let Some(node) = self.placed.get(&die) {
            return Some(*node);
        }
        let node = self.place()?;
        self.placed.insert(die, node);
        self.queue.push_back((node, die));
        Some(node)
    }

    /// What is in a structure or an enum that is not shown itself.
    pub(super) fn parts(&mut self, die: Die, shape: &Rc<Shape<'s>>, depth: u32) -> Held {
        if shape.variants.is_some() {
            return self.passed_enum(die, shape, depth);
        }
        let edges = self.fields(shape, depth);
        self.together(&edges)
    }

    /// All of these at once.
    pub(super) fn together(&mut self, edges: &[Edge]) -> Held {
        match edges {
            [] => Held::Nothing,
            [one] => Held::At(*one),
            several => self.passed(Node { kind: NodeKind::Branches as u8, ..Node::default() }, several),
        }
    }

    /// The edges of the members that hold something.
    pub(super) fn fields(&mut self, shape: &Shape<'s>, depth: u32) -> Vec<Edge> {
        let held = shape.members.iter().map(|member| self.member(member, false, depth));
        held.filter_map(|held| if let Held::At(edge) = held { Some(edge) } else { None }).collect()
    }

    /// What is awaited inside a member, as seen from what has it.
    pub(super) fn member(&mut self, member: &Member<'s>, awaited: bool, depth: u32) -> Held {
        let Some(of) = member.of else { return Held::Nothing };
        self.held(of, awaited, depth + 1).inside(member.offset)
    }

    fn array(&mut self, shape: &Shape<'s>, depth: u32) -> Held {
        let (Some(of), Some(count)) = (shape.to, shape.count) else { return Held::Nothing };
        if count == 0 {
            return Held::Nothing;
        }
        let Held::At(element) = self.held(of, false, depth + 1) else { return Held::Nothing };
        let size = self.types.shape(of).size;
        let (Some(size), 1..=MAX_ELEMENTS) = (size, count) else {
            return self.strange(of, shape, "a long array of futures");
        };
        let edges: Vec<Edge> = (0..count).map(|place| Held::At(element).inside(size.checked_mul(place)).edge()).collect();
        self.together(&edges)
    }

    /// Which member of a union is alive is not written anywhere.
    fn union(&mut self, die: Die, shape: &Shape<'s>, depth: u32) -> Held {
        if self.fields(shape, depth).is_empty() {
            return Held::Nothing;
        }
        self.strange(die, shape, "a union that may hold a future")
    }

    /// Whether the type is a future or a stream, by its poll; a coroutine is one anyway.
    pub(super) fn is_future(&self, die: Die, shape: &Shape<'_>) -> bool {
        super::coroutine::is_coroutine(shape) || self.futures.contains(&self.types.path_hash(die, shape.name))
    }
}
