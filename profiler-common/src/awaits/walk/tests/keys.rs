//! Tests of what a walk finds of a task-local key.

use std::vec::Vec;

use super::super::*;

/// A table of few nodes.
struct Few(Vec<Node>, Vec<Edge>);

impl Tables for Few {
    fn node(&self, place: u32) -> Option<Node> {
        self.0.get(place as usize).copied()
    }

    fn edge(&self, place: u32) -> Option<Edge> {
        self.1.get(place as usize).copied()
    }

    fn entry(&self, _vtable: u64) -> Option<u32> {
        None
    }

    fn task_type(&self, _header: u64) -> u32 {
        crate::awaits::word::NO_TYPE
    }
}

/// Words from 0x1000 on.
struct Words(Vec<u64>);

impl Memory for Words {
    fn word(&self, address: u64) -> Option<u64> {
        self.0.get(usize::try_from(address.checked_sub(0x1000)? / 8).ok()?).copied()
    }
}

/// Three futures inside one another that each carry a value: its key's address, its slot, then the next.
fn carriers() -> Few {
    let carrier = |kind: NodeKind, first: u32, count: u32| Node {
        kind: kind as u8,
        flags: FRAME | TASK_LOCAL,
        offset: 0,
        aux: 8,
        first,
        count,
        ..Node::default()
    };
    let nodes = Vec::from([carrier(NodeKind::Inside, 0, 1), carrier(NodeKind::Inside, 1, 1), carrier(NodeKind::Leaf, 0, 0)]);
    Few(nodes, Vec::from([Edge { offset: 16, node: 1 }, Edge { offset: 16, node: 2 }]))
}

fn slot(keys: [u64; 3], wanted: u64) -> u64 {
    let memory = Words(keys.iter().flat_map(|key| [*key, 0]).collect());
    let mut walk = AwaitWalk { key: wanted, ..AwaitWalk::NEW };
    walk.begin(0x1000, 0);
    walk.run(&carriers(), &memory);
    assert_eq!((walk.words().len(), walk.end()), (3, AwaitEnd::Whole), "the stack is the same whatever key is looked for");
    walk.slot
}

/// Check that of several values of one key the outermost is found, and that keys are told apart by their address.
#[test]
fn the_outermost_value_of_the_key_is_found() {
    assert_eq!(slot([7, 8, 7], 7), 0x1008);
    assert_eq!(slot([7, 8, 8], 8), 0x1018);
    assert_eq!(slot([7, 8, 9], 9), 0x1028);
    assert_eq!(slot([7, 8, 9], 6), 0);
    assert_eq!(slot([0, 0, 0], 0), 0, "no key is looked for");
}

/// Check that a walk forgets what the one before it found.
#[test]
fn every_walk_looks_anew() {
    let mut walk = AwaitWalk { key: 7, slot: 99, ..AwaitWalk::NEW };
    walk.begin(0x1000, 0);
    walk.run(&carriers(), &Words(Vec::from([1, 0, 2, 0, 3, 0])));
    assert_eq!(walk.slot, 0);
}
