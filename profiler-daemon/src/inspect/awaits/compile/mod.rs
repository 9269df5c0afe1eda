//! From types to nodes: each future that is reached becomes a node that is shown, and what lies between two futures becomes as few nodes as
//! a walk can take.
//!
//! A future's node is placed before what lies in it is known: recursion goes through a pointer to a future, and ends at its place. What is
//! no future is gone through at once, by value ([`held`]), and leaves a node only where there is something to decide: a tag, a pointer,
//! several at once.

mod coroutine;
mod enums;
mod future;
mod held;
mod join_set;
mod keys;
mod known;
mod lists;
mod pointers;
mod poll_fn;
mod roots;

use std::collections::{HashMap, HashSet, VecDeque};

use profiler_common::awaits::node::target;
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::dwarf::index::Index;
use super::dwarf::shape::Shape;
use super::dwarf::source::{Die, Source};
use super::dwarf::types::Types;
use super::error::{AwaitError, AwaitNote};
use super::layouts::{AwaitLayouts, FrameKind, FrameLayout};
use known::Known;

/// More nodes than any program has futures; below [`target::FIRST`].
const MAX_NODES: usize = 1 << 20;
/// More edges than such nodes have.
const MAX_EDGES: usize = 1 << 22;
const _: () = assert!(MAX_NODES < target::FIRST as usize);

/// What is awaited inside a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Nothing.
    Nothing,
    /// What this edge leads to, from the type's begin.
    At(Edge),
}

impl Held {
    /// Something, but its shape is not understood.
    const UNKNOWN: Self = Self::At(Edge { offset: 0, node: target::UNKNOWN });

    /// The same, as seen from something that has it at `offset`.
    fn inside(self, offset: Option<u64>) -> Self {
        let Self::At(edge) = self else { return self };
        let sum = offset.and_then(|offset| u32::try_from(offset).ok()).and_then(|offset| edge.offset.checked_add(offset));
        sum.map_or(Self::UNKNOWN, |offset| Self::At(Edge { offset, ..edge }))
    }

    /// The edge, or that nothing is there.
    fn edge(self) -> Edge {
        match self {
            Self::At(edge) => edge,
            Self::Nothing => Edge { offset: 0, node: target::NOTHING },
        }
    }
}

/// The table as it grows.
pub(super) struct Compiler<'a, 's> {
    types: Types<'a, 's>,
    index: &'a Index,
    /// Hashes of the paths of types that have a poll.
    futures: HashSet<u64>,
    known: Known,
    layouts: AwaitLayouts,
    files: HashMap<String, u32>,
    /// Futures that have a node, by their type.
    placed: HashMap<Die, u32>,
    /// Pointers that have one, and whether what they point to is awaited for sure.
    pointers: HashMap<(Die, bool), u32>,
    /// What was found in types that are no futures.
    held: HashMap<(Die, bool), Held>,
    /// Whether a pointer to a type is one to a future.
    leads: HashMap<Die, bool>,
    /// Futures whose node is still empty.
    queue: VecDeque<(u32, Die)>,
    /// Types not understood: how many, and the first.
    strange: (u64, String),
    is_full: bool,
    /// Suspend points, and those of them that hold an awaited future.
    suspends: (u64, u64),
    failure: Option<AwaitError>,
}

impl<'a, 's> Compiler<'a, 's> {
    pub(super) fn new(source: &'a Source<'s>, index: &'a Index) -> Self {
        Self {
            types: Types::new(source, index),
            index,
            futures: HashSet::new(),
            known: Known::new(),
            layouts: AwaitLayouts { producer: index.producer.as_ref().map(|(_, name)| rustc(name)), ..AwaitLayouts::default() },
            files: HashMap::new(),
            placed: HashMap::new(),
            pointers: HashMap::new(),
            held: HashMap::new(),
            leads: HashMap::new(),
            queue: VecDeque::new(),
            strange: (0, String::new()),
            is_full: false,
            suspends: (0, 0),
            failure: None,
        }
    }

    /// Compiles everything that was reached.
    fn work(&mut self) -> Result<(), AwaitError> {
        while let Some((node, die)) = self.queue.pop_front() {
            self.future(node, die);
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// What was made, and what was left out of it.
    fn finish(mut self) -> AwaitLayouts {
        let (types, first) = self.strange;
        if types > 0 {
            self.layouts.notes.push(AwaitNote::NotUnderstood { types, first });
        }
        if self.is_full {
            self.layouts.notes.push(AwaitNote::LimitReached { what: format!("{MAX_NODES} nodes or {MAX_EDGES} edges") });
        }
        if let (units, Some(why)) = &self.index.skipped {
            self.layouts.notes.push(AwaitNote::UnitsSkipped { units: *units, why: why.to_string() });
        }
        self.layouts
    }

    /// A place for a node. `None`: the table is full.
    fn place(&mut self) -> Option<u32> {
        let place = self.layouts.nodes.len();
        if place >= MAX_NODES {
            self.is_full = true;
            return None;
        }
        self.layouts.nodes.push(Node::default());
        self.layouts.frames.push(None);
        u32::try_from(place).ok()
    }

    /// Fills a node that was placed. Its edges are written here; `node.first` and `node.count` need not be set.
    fn fill(&mut self, place: u32, mut node: Node, edges: &[Edge]) {
        let first = self.layouts.edges.len();
        if first + edges.len() > MAX_EDGES {
            self.is_full = true;
            node = Node { kind: NodeKind::Leaf as u8, flags: node.flags, ..Node::default() };
        } else {
            self.layouts.edges.extend_from_slice(edges);
            node.first = u32::try_from(first).unwrap_or(u32::MAX);
            node.count = u32::try_from(edges.len()).unwrap_or(0);
        }
        if let Some(slot) = self.layouts.nodes.get_mut(place as usize) {
            *slot = node;
        }
    }

    /// A node that is only passed through.
    fn passed(&mut self, node: Node, edges: &[Edge]) -> Held {
        let Some(place) = self.place() else { return Held::UNKNOWN };
        self.fill(place, node, edges);
        Held::At(Edge { offset: 0, node: place })
    }

    /// Says what a placed node is shown as.
    fn show(&mut self, place: u32, name: String, kind: FrameKind) {
        if let Some(slot) = self.layouts.frames.get_mut(place as usize) {
            *slot = Some(FrameLayout { name, kind, points: Vec::new() });
        }
    }

    /// A type that is not understood.
    fn strange(&mut self, die: Die, shape: &Shape<'_>, what: &str) -> Held {
        self.strange.0 += 1;
        if self.strange.0 == 1 {
            self.strange.1 = format!("`{}` ({what})", self.types.path(die, shape.name));
        }
        Held::UNKNOWN
    }
}

/// `rustc version 1.95.0 (..)` of `clang LLVM (rustc version 1.95.0 (..))`.
fn rustc(producer: &str) -> String {
    let named = producer.split_once("(rustc").map(|(_, rest)| format!("rustc{}", rest.strip_suffix(')').unwrap_or(rest)));
    named.unwrap_or_else(|| producer.to_owned())
}
