//! What a walk says it went by, against walks over memory that has changed.

use super::*;

/// Walks over `words`, and gives the whole walk.
fn walk(table: &Table, words: &Words, root: u32) -> AwaitWalk {
    let mut walk = AwaitWalk::NEW;
    walk.begin(BASE, root);
    walk.run(table, words);
    walk
}

/// Check that a chain goes by its states, and not by what lies beside them.
#[test]
fn a_chain_goes_by_its_states() {
    let mut table = Table::default();
    let leaf = table.leaf();
    let inner = table.coroutine(&[(8, leaf)]);
    let outer = table.coroutine(&[(8, inner)]);
    let mut memory = Words(vec![3, 3, 7, 0]);
    let found = walk(&table, &memory, outer);
    let basis = *found.basis().unwrap();
    assert_eq!((basis.count, basis.places[0], basis.places[1]), (2, BASE | 1 << 56, (BASE + 8) | 1 << 56));
    assert!(basis.holds(&memory));
    memory.0[0] = 0xab03;
    memory.0[2] = 8;
    assert!(basis.holds(&memory), "only a state's byte counts");
    memory.0[1] = 4;
    assert!(!basis.holds(&memory));
    assert!(!basis.holds(&Words(Vec::new())), "what cannot be read is not as it was");
}

/// Check that nothing is claimed of walks that went by more than words, or by more words than are noted.
#[test]
fn what_is_not_known_is_not_claimed() {
    assert!(!Basis::NONE.holds(&Words(vec![0; 8])));
    let mut table = Table::default();
    let leaf = table.leaf();
    let both = table.add(NodeKind::Branches, FRAMED, &[(0, leaf), (8, leaf)]);
    assert!(walk(&table, &Words(vec![3; 8]), both).basis().is_none());
    let mut inner = leaf;
    for _ in 0..5 {
        inner = table.coroutine(&[(8, inner)]);
    }
    assert!(walk(&table, &Words(vec![3; 8]), inner).basis().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Check that where the words that a walk went by say the same, another walk finds the same, whatever else has changed.
    #[test]
    fn a_walk_that_is_not_taken_would_find_the_same(
        nodes in prop::collection::vec(node(), 1..24),
        edges in prop::collection::vec(edge(), 0..48),
        entries in prop::collection::vec(0_u32..26, 0..5),
        words in prop::collection::vec(memory_word(), 0..80),
        changes in prop::collection::vec((0_usize..80, memory_word()), 0..6),
        root in 0_u32..24,
    ) {
        let table = Table { nodes, edges, entries, types: HashMap::new() };
        let mut memory = Words(words);
        let before = walk(&table, &memory, root);
        let Some(basis) = before.basis() else { return Ok(()) };
        prop_assert!(basis.holds(&memory));
        for (place, word) in changes {
            if let Some(at) = memory.0.get_mut(place) {
                *at = word;
            }
        }
        let after = walk(&table, &memory, root);
        let same = (after.id, after.end(), after.awaited, after.words()) == (before.id, before.end(), before.awaited, before.words());
        prop_assert!(same || !basis.holds(&memory));
    }
}
