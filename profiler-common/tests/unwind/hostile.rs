//! Any memory, any rules: a walk ends, within its frames, and its stack pointer only rises but at a signal frame.

use profiler_common::limits::STACK_FRAMES;
use profiler_common::unwind::{CfaKind, Cursor, End, Memory, Rule};
use proptest::prelude::*;

/// A memory of a few words that repeat, some of which cannot be read.
#[derive(Debug)]
struct Few(Vec<Option<u64>>);

impl Memory for Few {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address / 8).ok()? % self.0.len();
        self.0[at]
    }
}

/// Values that look like addresses on a stack, and the ends of all numbers.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0x7fff_0000_0000_u64..0x7fff_0000_4000,
        2 => any::<u64>(),
        1 => (0_u64..64).prop_map(|small| small.wrapping_sub(32)),
        1 => (0_u64..64).prop_map(|near| (1 << 47) - 32 + near),
    ]
}

fn small() -> impl Strategy<Value = i32> {
    prop_oneof![4 => -64_i32..256, 1 => any::<i32>()]
}

fn rule() -> impl Strategy<Value = Rule> {
    // Kinds that there are, and numbers that are none.
    (0_u8..12, 0_u8..4, small(), small(), small()).prop_map(|(cfa, rbp, offset, addend, rbp_offset)| Rule {
        cfa,
        rbp,
        padding: 0,
        offset,
        addend,
        rbp_offset,
    })
}

fn memory() -> impl Strategy<Value = Few> {
    let word = prop_oneof![9 => value().prop_map(Some), 1 => Just(None)];
    prop::collection::vec(word, 1..64).prop_map(Few)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Check the properties of every step of a walk whose rules are chosen by the pc, as rows would.
    #[test]
    fn every_walk_ends(
        memory in memory(), rules in prop::collection::vec(rule(), 1..8),
        pc in value(), sp in value(), bp in value(), poll_sp in prop_oneof![Just(u64::MAX), value()],
    ) {
        let mut cursor = Cursor { pc, sp, bp, is_return: 0 };
        let mut frames = 1;
        while frames < STACK_FRAMES {
            let before = cursor;
            let rule = &rules[usize::try_from(cursor.lookup() % rules.len() as u64).unwrap()];
            let end = cursor.step(rule, poll_sp, &memory);
            if end != End::Going {
                // What cannot be gone on from is no caller, and is counted unless the stack is whole.
                prop_assert_eq!(cursor, before);
                prop_assert!(end.is_whole() || end.loss().is_some(), "{:?}", end);
                return Ok(());
            }
            if rule.cfa == CfaKind::Signal as u8 {
                prop_assert_eq!(cursor.is_return, 0);
            } else {
                prop_assert!(cursor.sp > before.sp, "{:?} to {:?}", before, cursor);
                prop_assert!((cursor.sp - 8) >> 47 == 0 && cursor.pc != 0);
                prop_assert!(poll_sp > cursor.sp - 8, "behind the poll's return address");
                prop_assert_eq!(cursor.is_return, 1);
            }
            frames += 1;
        }
    }

    /// Check that a step depends on nothing but what it is given.
    #[test]
    fn steps_repeat(memory in memory(), rule in rule(), pc in value(), sp in value(), bp in value()) {
        let start = Cursor { pc, sp, bp, is_return: 1 };
        let (mut one, mut other) = (start, start);
        prop_assert_eq!(one.step(&rule, u64::MAX, &memory), other.step(&rule, u64::MAX, &memory));
        prop_assert_eq!(one, other);
    }
}
