//! Any rows, any memory, any registers: a walk ends, takes no step that is not counted, and its stack pointer only rises but at a signal
//! frame.
//!
//! The bytes are, in this order: pc, sp, bp and the poll's sp (8 each); how many rows (1); each row as its distance from the row before (2)
//! and its rule (cfa 1, rbp 1, offset, addend, rbp_offset 2 each, signed); the rest are the words of the stack from sp on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_common::limits::STACK_FRAMES;
use profiler_common::unwind::{CfaKind, Cursor, End, Memory, Rule, search};

/// More rows would only be more of the same.
const ROWS: usize = 32;

/// The words of the stack; everything outside cannot be read.
struct Stack {
    sp: u64,
    words: Vec<u64>,
}

impl Memory for Stack {
    fn word(&self, address: u64) -> Option<u64> {
        // Red zone included.
        let at = address.wrapping_sub(self.sp.wrapping_sub(128));
        self.words.get(usize::try_from(at / 8).ok()?).copied()
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

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn small(&mut self) -> i32 {
        i32::from(i16::from_le_bytes(self.take()))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let (pc, sp, bp, poll_sp) = (input.word(), input.word(), input.word(), input.word());
    let [count] = input.take();
    let (mut pcs, mut rules, mut at) = (Vec::new(), Vec::new(), 0_u32);
    for _ in 0..usize::from(count).clamp(1, ROWS) {
        pcs.push(at);
        at += 1 + u32::from(u16::from_le_bytes(input.take()));
        let [cfa, rbp] = input.take();
        let (offset, addend, rbp_offset) = (input.small(), input.small(), input.small());
        rules.push(Rule { cfa, rbp, padding: 0, offset, addend, rbp_offset });
    }
    let mut words = Vec::new();
    while !input.0.is_empty() {
        words.push(input.word());
    }
    let memory = Stack { sp, words };

    let mut cursor = Cursor { pc, sp, bp, is_return: 0 };
    for _ in 1..STACK_FRAMES {
        let before = cursor;
        // Pcs are 32 bits from their region's base. What is no row may be anything: here it is the last pc there is.
        let pc = cursor.lookup() as u32;
        let row_pc = |place| usize::try_from(place).ok().and_then(|place| pcs.get(place).copied()).unwrap_or(u32::MAX);
        let place = search::row(pc, pcs.len() as u32, |number| number, row_pc) as usize;
        assert!(pcs[place] <= pc && pcs.get(place + 1).is_none_or(|next| *next > pc), "the row of a pc");
        match cursor.step(&rules[place], poll_sp, &memory) {
            End::Going if rules[place].cfa == CfaKind::Signal as u8 => assert_eq!(cursor.is_return, 0),
            End::Going => {
                assert!(cursor.sp > before.sp && cursor.pc != 0 && cursor.is_return == 1);
                assert!(cursor.sp - 8 < poll_sp, "behind the poll's return address");
            }
            end => {
                assert_eq!(cursor, before, "what ends a walk moves nothing");
                assert!(end.is_whole() || end.loss().is_some(), "every cut is counted");
                break;
            }
        }
    }
});
