//! Any table, any memory: a walk ends in its bounds, and its words make a tree.
//!
//! The bytes are, in this order: the root (1), how many nodes (1) and edges (1); each node as kind, width, flags, offset, first, count, aux
//! and base (1 each; an aux of 255 is no edge); each edge as its offset (1) and its node (1; from 240 on the words that are no node); the
//! rest are the words of the memory from 0x1000 on. Vtables from 0x8000 on are those of the nodes in their order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_common::awaits::node::{NO_EDGE, target};
use profiler_common::awaits::word::{NO_TYPE, WordKind, parts};
use profiler_common::awaits::{AwaitEnd, AwaitWalk, Edge, Node, Tables};
use profiler_common::limits::{AWAIT_DEPTH, AWAIT_STEPS, AWAIT_WORDS};
use profiler_common::unwind::Memory;

const BASE: u64 = 0x1000;
const VTABLES: u64 = 0x8000;

struct Words(Vec<u64>);

impl Memory for Words {
    fn word(&self, address: u64) -> Option<u64> {
        self.0.get(usize::try_from(address.checked_sub(BASE)? / 8).ok()?).copied()
    }
}

struct Table {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Tables for Table {
    fn node(&self, place: u32) -> Option<Node> {
        self.nodes.get(place as usize).copied()
    }

    fn edge(&self, place: u32) -> Option<Edge> {
        self.edges.get(place as usize).copied()
    }

    fn entry(&self, vtable: u64) -> Option<u32> {
        let place = vtable.checked_sub(VTABLES)? / 8;
        (place <= self.nodes.len() as u64).then_some(place as u32)
    }

    fn task_type(&self, header: u64) -> u32 {
        if header & 1 == 0 { NO_TYPE } else { header as u32 }
    }
}

/// Reads the input from its begin; what is not there is 0.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let n = N.min(self.0.len());
        let (head, rest) = self.0.split_at(n);
        bytes[..n].copy_from_slice(head);
        self.0 = rest;
        bytes
    }
}

fn table(input: &mut Input<'_>) -> Table {
    let [nodes, edges] = input.take();
    let node = |_| {
        let [kind, width, flags, offset, first, count, aux, base] = input.take();
        let aux = if aux == u8::MAX { NO_EDGE } else { u32::from(aux) };
        let (offset, first, count) = (u32::from(offset), u32::from(first), u32::from(count));
        Node { kind, width, flags: u16::from(flags), offset, first, count, aux, padding: 0, base: u64::from(base) }
    };
    let nodes = (0..nodes).map(node).collect();
    let edge = |_| {
        let [offset, node] = input.take();
        let node = if node < 240 { u32::from(node) } else { target::NOTHING - u32::from(node - 240) };
        Edge { offset: u32::from(offset), node }
    };
    Table { nodes, edges: (0..edges).map(edge).collect() }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let [root] = input.take();
    let table = table(&mut input);
    let mut words = Vec::new();
    while !input.0.is_empty() {
        words.push(u64::from_le_bytes(input.take()));
    }
    let memory = Words(words);

    let mut walk = AwaitWalk::NEW;
    walk.begin(BASE, u32::from(root));
    walk.run(&table, &memory);
    assert!(walk.steps <= AWAIT_STEPS + 1);
    assert!(walk.words().len() <= AWAIT_WORDS);
    let (mut allowed, mut is_cut) = (0, false);
    for word in walk.words() {
        let word = parts(*word);
        assert!(word.kind.is_some() && word.depth <= allowed, "{word:?} lies deeper than what it is in");
        allowed = word.depth + u32::from(word.kind == Some(WordKind::Frame));
        is_cut |= matches!(word.kind, Some(WordKind::Cut | WordKind::UnknownDyn));
        assert!(allowed <= AWAIT_DEPTH + 1);
    }
    assert!(!is_cut || walk.end() != AwaitEnd::Whole, "what is cut is said");
    assert!(!walk.words().is_empty() || walk.end() != AwaitEnd::Whole, "nothing pending is said");
});
