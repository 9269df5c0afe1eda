//! Tests of the walk: over tables and memory that are right, and over any.

mod basis;
mod keys;

use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::awaits::word::{NO_TYPE, Parts, parts};
use crate::limits::AWAIT_WORDS;

/// Where the memory of a test begins.
const BASE: u64 = 0x1000;
/// Where vtables of `dyn` futures lie: the entry number n at 8 times n.
const VTABLES: u64 = 0x8000;

/// Words from [`BASE`] on; everything else cannot be read.
#[derive(Debug, Clone)]
struct Words(Vec<u64>);

impl Memory for Words {
    fn word(&self, address: u64) -> Option<u64> {
        let into = address.checked_sub(BASE)?;
        // A word may lie anywhere, also across two of these.
        let at = usize::try_from(into / 8).ok()?;
        let low = *self.0.get(at)?;
        let shift = into % 8 * 8;
        if shift == 0 {
            return Some(low);
        }
        Some(low >> shift | self.0.get(at + 1)? << (64 - shift))
    }
}

#[derive(Debug, Clone, Default)]
struct Table {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    entries: Vec<u32>,
    types: HashMap<u64, u32>,
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
        self.entries.get(usize::try_from(place).ok()?).copied()
    }

    fn task_type(&self, header: u64) -> u32 {
        self.types.get(&header).copied().unwrap_or(NO_TYPE)
    }
}

impl Table {
    /// Adds a node with these edges, and gives its place.
    fn add(&mut self, kind: NodeKind, node: Node, edges: &[(u32, u32)]) -> u32 {
        let first = u32::try_from(self.edges.len()).unwrap();
        self.edges.extend(edges.iter().map(|(offset, node)| Edge { offset: *offset, node: *node }));
        let count = u32::try_from(edges.len()).unwrap();
        self.nodes.push(Node { kind: kind as u8, first, count, ..node });
        u32::try_from(self.nodes.len() - 1).unwrap()
    }

    fn leaf(&mut self) -> u32 {
        self.add(NodeKind::Leaf, FRAMED, &[])
    }

    /// A coroutine whose state is its first byte, with what each state from 3 on awaits.
    fn coroutine(&mut self, awaited: &[(u32, u32)]) -> u32 {
        let begin = [(0, target::UNSTARTED), (0, target::SPENT), (0, target::SPENT)];
        let edges: Vec<(u32, u32)> = begin.into_iter().chain(awaited.iter().copied()).collect();
        self.add(NodeKind::Tagged, Node { width: 1, flags: FRAME | COROUTINE, aux: NO_EDGE, ..Node::default() }, &edges)
    }
}

const FRAMED: Node = Node { kind: 0, width: 0, flags: FRAME, offset: 0, first: 0, count: 0, aux: 0, padding: 0, base: 0 };

fn walked(table: &Table, words: &[u64], root: u32) -> (Vec<Parts>, AwaitWalk) {
    let mut walk = AwaitWalk::NEW;
    walk.begin(BASE, root);
    walk.run(table, &Words(words.to_vec()));
    (walk.words().iter().map(|word| parts(*word)).collect(), walk)
}

/// Kind, node (or end of a cut), detail and depth of each word.
fn shown(words: &[Parts]) -> Vec<(WordKind, u32, u32, u32)> {
    words.iter().map(|word| (word.kind.unwrap(), word.node, word.detail, word.depth)).collect()
}

/// Check a chain: states are in the words, what is only passed through is not.
#[test]
fn a_chain_is_its_frames() {
    let mut table = Table::default();
    let leaf = table.leaf();
    let inner = table.coroutine(&[(8, leaf)]);
    let pointer = table.add(NodeKind::Pointer, Node { offset: 8, ..Node::default() }, &[(0, inner)]);
    let outer = table.coroutine(&[(0, leaf), (0, pointer)]);
    let (words, walk) = walked(&table, &[4, BASE + 16, 3], outer);
    assert_eq!(shown(&words), [(WordKind::Frame, outer, 4, 0), (WordKind::Frame, inner, 3, 1), (WordKind::Frame, leaf, 0, 2)]);
    assert_eq!(walk.end(), AwaitEnd::Whole);
}

/// Check what states say that are no suspend points, and a tag that the table does not know.
#[test]
fn other_states_end_a_walk() {
    let mut table = Table::default();
    let leaf = table.leaf();
    let root = table.coroutine(&[(8, leaf)]);
    assert_eq!(shown(&walked(&table, &[0], root).0), [(WordKind::Frame, root, 0, 0)]);
    for (state, end) in [(1, AwaitEnd::NotPending), (2, AwaitEnd::NotPending), (9, AwaitEnd::BadTag)] {
        let (_, walk) = walked(&table, &[state], root);
        assert_eq!(walk.end(), end, "state {state}");
    }
    let (words, walk) = walked(&table, &[], root);
    assert_eq!(shown(&words), [(WordKind::Cut, 0, AwaitEnd::Unreadable as u32, 0)]);
    assert_eq!(walk.end(), AwaitEnd::Unreadable);
}

/// Check that a mask hides the branches that are not awaited, and that their order does not change the id.
#[test]
fn a_mask_hides_branches() {
    let mut table = Table::default();
    let (one, two, three) = (table.leaf(), table.leaf(), table.leaf());
    let masked = Node { width: 1, aux: 8, ..FRAMED };
    let root = table.add(NodeKind::Branches, masked, &[(0, one), (0, two), (0, three)]);
    let (words, walk) = walked(&table, &[0, BASE + 16, 0b010], root);
    assert_eq!(shown(&words), [(WordKind::Frame, root, 0, 0), (WordKind::Frame, one, 0, 1), (WordKind::Frame, three, 0, 1)]);
    table.edges.swap(0, 2);
    assert_eq!(walked(&table, &[0, BASE + 16, 0b010], root).1.id, walk.id);
    assert_ne!(walked(&table, &[0, BASE + 16, 0b011], root).1.id, walk.id);
}

/// Check that equal elements of a list or slice are kept once.
#[test]
fn equal_elements_are_kept_once() {
    let mut table = Table::default();
    let leaf = table.leaf();
    let element = table.coroutine(&[(0, leaf), (0, leaf)]);
    let list = table.add(NodeKind::List, Node { offset: 0, aux: 8, ..FRAMED }, &[(0, element)]);
    // Three elements of 16 bytes: in state 3, 4 and 3.
    let words = [BASE + 8, 3, BASE + 24, 4, BASE + 40, 3, 0];
    let (found, walk) = walked(&table, &words, list);
    let expected = [
        (WordKind::Frame, list, 0, 0),
        (WordKind::Frame, element, 3, 1),
        (WordKind::Frame, leaf, 0, 2),
        (WordKind::Frame, element, 4, 1),
        (WordKind::Frame, leaf, 0, 2),
    ];
    assert_eq!((shown(&found), walk.end()), (expected.to_vec(), AwaitEnd::Whole));
    table.add(NodeKind::Slice, Node { offset: 0, aux: 8, base: 8, ..FRAMED }, &[(0, element)]);
    let slice = list + 1;
    let (found, _) = walked(&table, &[BASE + 16, 4, 3, 3, 4, 3], slice);
    assert_eq!(found.len(), 5);
}

/// Check objects: by their vtable, or counted where it is not known.
#[test]
fn objects_are_known_by_their_vtable() {
    let mut table = Table::default();
    let leaf = table.leaf();
    let root = table.add(NodeKind::Dyn, Node { offset: 0, aux: 8, ..FRAMED }, &[]);
    table.entries = vec![leaf];
    let (words, _) = walked(&table, &[BASE, VTABLES], root);
    assert_eq!(shown(&words)[1], (WordKind::Frame, leaf, 0, 1));
    let (words, walk) = walked(&table, &[BASE, VTABLES + 8], root);
    assert_eq!((words[1].kind, words[1].address, walk.end()), (Some(WordKind::UnknownDyn), VTABLES + 8, AwaitEnd::UnknownDyn));
}

/// Check that another task is named, and remembered.
#[test]
fn another_task_is_named() {
    let mut table = Table::default();
    let root = table.add(NodeKind::Task, Node { offset: 8, ..Node::default() }, &[]);
    table.types = HashMap::from([(0xabc0, 7)]);
    let (words, walk) = walked(&table, &[0, 0xabc0], root);
    assert_eq!((shown(&words), walk.awaited), (vec![(WordKind::Task, root, 7, 0)], 0xabc0));
}

/// Check that a circle ends, by depth where it shows frames, else by its steps.
#[test]
fn circles_end() {
    let mut table = Table::default();
    table.add(NodeKind::Inside, FRAMED, &[(0, 0)]);
    assert_eq!(walked(&table, &[], 0).1.end(), AwaitEnd::TooDeep);
    let mut table = Table::default();
    table.add(NodeKind::Inside, Node::default(), &[(0, 0)]);
    assert_eq!(walked(&table, &[], 0).1.end(), AwaitEnd::TooLong);
    let mut table = Table::default();
    table.add(NodeKind::Branches, FRAMED, &[(0, 0), (0, 0)]);
    assert!(matches!(walked(&table, &[], 0).1.end(), AwaitEnd::TooDeep | AwaitEnd::TooWide));
}

fn node() -> impl Strategy<Value = Node> {
    let width = prop::sample::select(vec![0_u8, 1, 2, 4, 8, 3]);
    let aux = prop_oneof![4 => 0_u32..64, 1 => Just(NO_EDGE), 1 => any::<u32>()];
    let base = prop_oneof![6 => 0_u64..8, 1 => any::<u64>()];
    (0_u8..=10, width, 0_u16..4, 0_u32..64, 0_u32..40, 0_u32..6, aux, base).prop_map(
        |(kind, width, flags, offset, first, count, aux, base)| Node {
            kind,
            width,
            flags,
            offset,
            first,
            count,
            aux,
            padding: 0,
            base,
        },
    )
}

fn edge() -> impl Strategy<Value = Edge> {
    let node = prop_oneof![12 => 0_u32..24, 3 => target::UNSTARTED..=target::NOTHING, 1 => any::<u32>()];
    (0_u32..64, node).prop_map(|(offset, node)| Edge { offset, node })
}

fn memory_word() -> impl Strategy<Value = u64> {
    let pointer = (0_u64..80).prop_map(|place| BASE + 8 * place);
    let vtable = (0_u64..6).prop_map(|place| VTABLES + 8 * place);
    prop_oneof![4 => 0_u64..8, 6 => pointer, 2 => vtable, 1 => any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Check that any walk ends in its bounds, twice the same, and that its words make a tree.
    #[test]
    fn any_walk_ends_and_is_a_tree(
        nodes in prop::collection::vec(node(), 1..24),
        edges in prop::collection::vec(edge(), 0..48),
        entries in prop::collection::vec(0_u32..26, 0..5),
        words in prop::collection::vec(memory_word(), 0..80),
        root in 0_u32..24,
    ) {
        let table = Table { nodes, edges, entries, types: HashMap::new() };
        let (found, walk) = walked(&table, &words, root);
        prop_assert!(walk.steps <= AWAIT_STEPS + 1);
        prop_assert!(found.len() <= AWAIT_WORDS);
        let mut allowed = 0;
        for word in &found {
            prop_assert!(word.kind.is_some());
            prop_assert!(word.depth <= allowed, "{:?} lies deeper than what it is in", word);
            // Only a frame has something inside.
            allowed = word.depth + u32::from(word.kind == Some(WordKind::Frame));
            prop_assert!(allowed <= AWAIT_DEPTH + 1);
        }
        let cuts = found.iter().any(|word| matches!(word.kind, Some(WordKind::Cut | WordKind::UnknownDyn)));
        prop_assert!(!cuts || walk.end() != AwaitEnd::Whole, "what is cut is said");
        prop_assert!(!found.is_empty() || walk.end() != AwaitEnd::Whole, "nothing pending is said");
        let (again, same) = walked(&table, &words, root);
        prop_assert_eq!(again, found);
        prop_assert_eq!(same.id, walk.id);
    }

    /// Check that a walk does not depend on what the one before left behind.
    #[test]
    fn a_walk_begins_anew(
        nodes in prop::collection::vec(node(), 1..24),
        edges in prop::collection::vec(edge(), 0..48),
        words in prop::collection::vec(memory_word(), 0..80),
        roots in (0_u32..24, 0_u32..24),
    ) {
        let table = Table { nodes, edges, entries: vec![0, 1], types: HashMap::new() };
        let memory = Words(words.clone());
        let mut walk = AwaitWalk::NEW;
        walk.begin(BASE, roots.0);
        walk.run(&table, &memory);
        walk.begin(BASE, roots.1);
        walk.run(&table, &memory);
        let (found, fresh) = walked(&table, &words, roots.1);
        let words: Vec<Parts> = walk.words().iter().map(|word| parts(*word)).collect();
        prop_assert_eq!(words, found);
        prop_assert_eq!((walk.id, walk.end(), walk.awaited, walk.steps), (fresh.id, fresh.end(), fresh.awaited, fresh.steps));
    }
}
