//! One step by each kind of rule, with the numbers written out.

use std::collections::HashMap;

use profiler_common::unwind::{CfaKind, Cursor, End, Memory, RbpKind, Rule};

const SP: u64 = 0x7ffc_0000_1000;
const BP: u64 = 0x7ffc_0000_1100;
const PC: u64 = 0x40_1000;
const CALLER: u64 = 0x40_2000;

struct Words(HashMap<u64, u64>);

impl Memory for Words {
    fn word(&self, address: u64) -> Option<u64> {
        self.0.get(&address).copied()
    }
}

/// A step from the frame above, on a stack of these words.
fn step(rule: Rule, words: &[(u64, u64)], poll_sp: u64) -> (End, Cursor) {
    let mut cursor = Cursor { pc: PC, sp: SP, bp: BP, is_return: 1 };
    let end = cursor.step(&rule, poll_sp, &Words(words.iter().copied().collect()));
    (end, cursor)
}

fn cfa(kind: CfaKind, offset: i32, addend: i32) -> Rule {
    Rule { offset, addend, ..Rule::of(kind) }
}

fn called(sp: u64, bp: u64) -> (End, Cursor) {
    (End::Going, Cursor { pc: CALLER, sp, bp, is_return: 1 })
}

/// Check the registers of the caller, by rsp and by rbp, with rbp saved and not.
#[test]
fn by_register() {
    let return_at = |cfa: u64| (cfa - 8, CALLER);
    assert_eq!(step(cfa(CfaKind::Rsp, 8, 0), &[return_at(SP + 8)], u64::MAX), called(SP + 8, BP));
    assert_eq!(step(cfa(CfaKind::Rsp, 0x90, 0), &[return_at(SP + 0x90)], u64::MAX), called(SP + 0x90, BP));
    let saved = |rule: Rule, kind: RbpKind, offset| Rule { rbp: kind as u8, rbp_offset: offset, ..rule };
    let rule = saved(cfa(CfaKind::Rbp, 16, 0), RbpKind::AtCfa, -16);
    assert_eq!(step(rule, &[return_at(BP + 16), (BP, 77)], u64::MAX), called(BP + 16, 77));
    let rule = saved(cfa(CfaKind::Rbp, 16, 0), RbpKind::AtRbp, -24);
    assert_eq!(step(rule, &[return_at(BP + 16), (BP - 24, 78)], u64::MAX), called(BP + 16, 78));
    // Behind `pop rbp` the caller's is found below the stack pointer.
    let rule = saved(cfa(CfaKind::Rsp, 8, 0), RbpKind::AtCfa, -16);
    assert_eq!(step(rule, &[return_at(SP + 8), (SP - 8, 79)], u64::MAX), called(SP + 8, 79));
}

/// Check stacks that were realigned: the CFA stands in a word of the stack.
#[test]
fn by_a_word_of_the_stack() {
    let words = [(SP + 120, SP + 0x200), (BP - 8, SP + 0x300), (SP + 0x200, CALLER), (SP + 0x2f8, CALLER)];
    assert_eq!(step(cfa(CfaKind::AtRsp, 120, 8), &words, u64::MAX), called(SP + 0x208, BP));
    assert_eq!(step(cfa(CfaKind::AtRbp, -8, 0), &words, u64::MAX), called(SP + 0x300, BP));
    assert_eq!(step(cfa(CfaKind::AtRbp, -16, 0), &words, u64::MAX).0, End::Unreadable);
}

/// Check a PLT stub before and behind its push, whose place differs between stubs.
#[test]
fn in_a_plt_stub() {
    let words = [(SP, CALLER), (SP + 8, CALLER)];
    for (pushed, at, cfa_at) in [(11, 0, 8), (11, 6, 8), (11, 10, 8), (11, 11, 16), (11, 15, 16), (10, 9, 8), (10, 10, 16)] {
        let mut cursor = Cursor { pc: PC + at, sp: SP, bp: BP, is_return: 0 };
        let end = cursor.step(&cfa(CfaKind::Plt, 8, pushed), u64::MAX, &Words(words.into()));
        assert_eq!((end, cursor), called(SP + cfa_at, BP), "byte {at} of a stub that pushes before {pushed}");
    }
}

/// Check a signal frame: the registers are the kernel's, and the pc is not a return address. The stack may be any other.
#[test]
fn at_a_signal_frame() {
    let below = SP - 0x10_0000;
    let (rbp, rsp, rip) = (SP + 120, SP + 160, SP + 168);
    let (end, cursor) = step(Rule::of(CfaKind::Signal), &[(rbp, 5), (rsp, below), (rip, CALLER)], u64::MAX);
    assert_eq!((end, cursor), (End::Going, Cursor { pc: CALLER, sp: below, bp: 5, is_return: 0 }));
    assert_eq!(cursor.lookup(), CALLER);
    assert_eq!(step(Rule::of(CfaKind::Signal), &[(rbp, 5), (rsp, below)], u64::MAX).0, End::Unreadable);
}

/// Check every other end.
#[test]
fn ends() {
    let words = [(SP, CALLER), (SP + 8, 0)];
    assert_eq!(step(Rule::of(CfaKind::Root), &words, u64::MAX).0, End::Root);
    assert_eq!(step(cfa(CfaKind::Rsp, 16, 0), &words, u64::MAX).0, End::Root, "a return address of zero");
    assert_eq!(step(Rule::of(CfaKind::Gap), &words, u64::MAX).0, End::NoRow);
    assert_eq!(step(Rule::of(CfaKind::Unsupported), &words, u64::MAX).0, End::Unsupported);
    assert_eq!(step(Rule { cfa: 99, ..Rule::default() }, &words, u64::MAX).0, End::Unsupported);
    assert_eq!(step(cfa(CfaKind::Rsp, 0, 0), &words, u64::MAX).0, End::NoProgress);
    assert_eq!(step(cfa(CfaKind::Rsp, -8, 0), &words, u64::MAX).0, End::NoProgress);
    assert_eq!(step(cfa(CfaKind::AtRsp, 8, 4), &words, u64::MAX).0, End::NoProgress, "a CFA of 4 has nothing below it");
    assert_eq!(step(cfa(CfaKind::Rsp, 64, 0), &words, u64::MAX).0, End::Unreadable);
    // The poll function's return address is at SP: it is the last frame. One word higher it is not reached yet.
    assert_eq!(step(cfa(CfaKind::Rsp, 8, 0), &words, SP).0, End::Poll);
    assert_eq!(step(cfa(CfaKind::Rsp, 8, 0), &words, SP + 8), called(SP + 8, BP));
}

/// Check the convention of frame pointers, and that a chain that is none is called so.
#[test]
fn by_frame_pointer() {
    let rule = Rule::of(CfaKind::FramePointer);
    assert_eq!(step(rule, &[(BP, BP + 0x100), (BP + 8, CALLER)], u64::MAX), called(BP + 16, BP + 0x100));
    assert_eq!(step(rule, &[], u64::MAX).0, End::FramePointer);
    let mut cursor = Cursor { pc: PC, sp: BP + 8, bp: BP, is_return: 1 };
    assert_eq!(cursor.step(&rule, u64::MAX, &Words(HashMap::new())), End::FramePointer, "rbp below the stack");
    let mut cursor = Cursor { pc: PC, sp: SP, bp: BP + 1, is_return: 1 };
    assert_eq!(cursor.step(&rule, u64::MAX, &Words(HashMap::new())), End::FramePointer, "rbp is no address of a word");
}
