//! Small call frame information with the rows that it must become.

use gimli::write::CallFrameInstruction as Cfi;
use profiler_common::unwind::{CfaKind, RbpKind, Rule};

use super::specimen::{
    BASE, CODE, Found, Function, MEMORY, RA, RAX, RBP, RBX, RSP, eh_frame, elf, entries, expression, function,
};
use super::{UnwindError, UnwindTable, unwind_table};

const GAP: Rule = Rule::of(CfaKind::Gap);
const ROOT: Rule = Rule::of(CfaKind::Root);
const SIGNAL: Rule = Rule::of(CfaKind::Signal);
const UNSUPPORTED: Rule = Rule::of(CfaKind::Unsupported);

fn rsp(offset: i32) -> Rule {
    Rule { offset, ..Rule::of(CfaKind::Rsp) }
}

/// `rule` with the caller's rbp at `CFA + offset`.
fn saved(rule: Rule, offset: i32) -> Rule {
    Rule { rbp: RbpKind::AtCfa as u8, rbp_offset: offset, ..rule }
}

fn table(functions: &[Function]) -> UnwindTable {
    unwind_table(&elf(&eh_frame(functions), &Found::Section)).unwrap()
}

/// The rows, with pcs behind `CODE`; the gap before the first function is left out.
fn said(table: &UnwindTable) -> Vec<(i64, Rule)> {
    let code = (CODE - BASE).cast_signed();
    let rows = table.rows.iter().map(|row| (i64::from(row.pc) - code, table.rules[usize::from(row.rule)]));
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows[0], (-code, GAP), "the first row begins with the segment");
    rows[1..].to_vec()
}

/// The rules of one function, whose last row is followed by the gap behind it.
fn rules(instructions: &[(u32, Cfi)]) -> Vec<(i64, Rule)> {
    let mut rows = said(&table(&[function(0, 0x40, instructions)]));
    assert_eq!(rows.pop(), Some((0x40, GAP)));
    rows
}

/// Check a prologue that pushes and subtracts, and the epilogue.
#[test]
fn pushes_and_subtractions() {
    let rows = rules(&[
        (1, Cfi::CfaOffset(16)),
        (1, Cfi::Offset(RBX, -16)),
        (8, Cfi::CfaOffset(0x90)),
        (0x30, Cfi::CfaOffset(16)),
        (0x31, Cfi::CfaOffset(8)),
    ]);
    assert_eq!(rows, [(0, rsp(8)), (1, rsp(16)), (8, rsp(0x90)), (0x30, rsp(16)), (0x31, rsp(8))]);
}

/// Check a function with a frame pointer, and one that saves rbp to use it as any other register.
#[test]
fn saved_rbp() {
    let rows =
        rules(&[(1, Cfi::CfaOffset(16)), (1, Cfi::Offset(RBP, -16)), (4, Cfi::CfaRegister(RBP)), (0x3f, Cfi::Cfa(RSP, 8))]);
    let by_rbp = saved(Rule { offset: 16, ..Rule::of(CfaKind::Rbp) }, -16);
    assert_eq!(rows, [(0, rsp(8)), (1, saved(rsp(16), -16)), (4, by_rbp), (0x3f, saved(rsp(8), -16))]);
    let rows = rules(&[(2, Cfi::CfaOffset(24)), (2, Cfi::Offset(RBP, -24)), (9, Cfi::Restore(RBP)), (12, Cfi::SameValue(RBP))]);
    assert_eq!(rows, [(0, rsp(8)), (2, saved(rsp(24), -24)), (9, rsp(24))]);
}

/// Check a remembered state: an early return in the middle of a function.
#[test]
fn remembered_states() {
    let rows = rules(&[(1, Cfi::CfaOffset(32)), (16, Cfi::RememberState), (16, Cfi::CfaOffset(8)), (17, Cfi::RestoreState)]);
    assert_eq!(rows, [(0, rsp(8)), (1, rsp(32)), (16, rsp(8)), (17, rsp(32))]);
}

/// Check that rows with the same rule are one row, across functions too, and that a register that nobody follows makes no row.
#[test]
fn equal_neighbours_are_merged() {
    let one = |at| function(at, 0x10, &[(4, Cfi::Offset(RBX, -16)), (8, Cfi::CfaOffset(8))]);
    assert_eq!(said(&table(&[one(0), one(0x10), one(0x20)])), [(0, rsp(8)), (0x30, GAP)]);
}

/// Check gaps: between functions that do not touch, and behind the last.
#[test]
fn gaps_are_rows() {
    let table = table(&[function(0, 0x10, &[]), function(0x18, 8, &[])]);
    assert_eq!(said(&table), [(0, rsp(8)), (0x10, GAP), (0x18, rsp(8)), (0x20, GAP)]);
    assert_eq!((table.coverage.gaps, table.coverage.described_bytes, table.coverage.entries), (3, 0x18, 2));
    assert_eq!(table.base, BASE);
}

/// Check binutils' expression for a PLT, and the one for IBT stubs.
#[test]
fn plt_stubs() {
    let plt = |pushed: u8| Cfi::CfaExpression(expression(&[0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x30 + pushed, 0x2a, 0x33, 0x24, 0x22]));
    let rule = |pushed| Rule { offset: 8, addend: pushed, ..Rule::of(CfaKind::Plt) };
    let rows = rules(&[(0, Cfi::CfaOffset(16)), (6, Cfi::CfaOffset(24)), (16, plt(11)), (32, plt(10))]);
    assert_eq!(rows, [(0, rsp(16)), (6, rsp(24)), (16, rule(11)), (32, rule(10))]);
}

/// Check the signal trampoline as glibc describes it, and one whose frame is not the kernel's.
#[test]
fn signal_trampolines() {
    // breg7 (rsp): 160; deref
    let kernels = Cfi::CfaExpression(expression(&[0x77, 0xa0, 0x01, 0x06]));
    // breg7 (rsp): 168
    let rip = Cfi::Expression(RA, expression(&[0x77, 0xa8, 0x01]));
    let trampoline = |instructions: &[(u32, Cfi)]| {
        let trampoline = Function { signal: true, ..function(0x20, 10, instructions) };
        said(&table(&[function(0, 8, &[]), trampoline]))[2]
    };
    assert_eq!(trampoline(&[(0, kernels), (0, rip.clone())]), (0x20, SIGNAL));
    assert_eq!(trampoline(&[(0, Cfi::CfaOffset(16)), (0, rip)]), (0x20, UNSUPPORTED));
}

/// Check musl's trampoline, which has no entry: it is known by its bytes, in a gap only.
#[test]
fn trampolines_without_an_entry() {
    let trampoline = [0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05, 0xf4];
    let mut bytes = eh_frame(&[function(0, 8, &[])]);
    // Whatever follows the end mark of the section is no entry, and the whole file is one executable segment.
    bytes.extend([0; 4]);
    let at = (bytes.len() + 64 + 2 * 56) as u64;
    bytes.extend(trampoline);
    let file = elf(&bytes, &Found::Section);
    let said = |file: &[u8]| {
        let table = unwind_table(file).unwrap();
        table.rows.iter().map(|row| (u64::from(row.pc), table.rules[usize::from(row.rule)])).collect::<Vec<_>>()
    };
    let code = CODE - BASE;
    assert_eq!(said(&file), [(0, GAP), (at, SIGNAL), (at + 10, GAP), (code, rsp(8)), (code + 8, GAP)]);
    // Between two functions that leave no room.
    let entry = entries(&eh_frame(&[function(0, 8, &[])]))[0].1;
    let mut before = bytes.clone();
    before[entry + 8..entry + 16].copy_from_slice(&(BASE + at - 8).to_le_bytes());
    let rows = said(&elf(&before, &Found::Section));
    assert_eq!(rows, [(0, GAP), (at - 8, rsp(8)), (at, SIGNAL), (at + 10, GAP)]);
    let mut behind = bytes.clone();
    behind[entry + 8..entry + 16].copy_from_slice(&(BASE + at + 10).to_le_bytes());
    let rows = said(&elf(&behind, &Found::Section));
    assert_eq!(rows, [(0, GAP), (at, SIGNAL), (at + 10, rsp(8)), (at + 18, GAP)]);
    // With a function where the bytes lie, they are that function's.
    let mut other = bytes.clone();
    other[entry + 8..entry + 16].copy_from_slice(&(BASE + at).to_le_bytes());
    let table = unwind_table(&elf(&other, &Found::Section)).unwrap();
    assert!(!table.rules.contains(&SIGNAL), "{:?}", table.rules);
}

/// Check CFAs at a word of the stack, and rbp at a place that counts from rbp or rsp.
#[test]
fn realigned_stacks() {
    let at = |kind, offset, addend| Rule { offset, addend, ..Rule::of(kind) };
    // GCC's DRAP: breg6 (rbp): -8; deref, and rbp itself at breg6 (rbp): 0.
    let drap = Cfi::CfaExpression(expression(&[0x76, 0x78, 0x06]));
    let own = Cfi::Expression(RBP, expression(&[0x76, 0]));
    let rule = at(CfaKind::AtRbp, -8, 0);
    let both = Rule { rbp: RbpKind::AtRbp as u8, ..rule };
    assert_eq!(rules(&[(0, drap.clone()), (8, own)]), [(0, rule), (8, both)]);
    // OpenSSL: breg7 (rsp): 120; deref; plus_uconst 8
    let openssl = Cfi::CfaExpression(expression(&[0x77, 0xf8, 0x00, 0x06, 0x23, 8]));
    let rows = rules(&[(0, openssl), (9, Cfi::Offset(RBP, -24))]);
    assert_eq!(rows, [(0, at(CfaKind::AtRsp, 120, 8)), (9, saved(at(CfaKind::AtRsp, 120, 8), -24))]);
    // rbp at breg7 (rsp): 16 where the CFA is rsp + 48.
    let slot = Cfi::Expression(RBP, expression(&[0x77, 16]));
    assert_eq!(rules(&[(0, Cfi::CfaOffset(48)), (0, slot)]), [(0, saved(rsp(48), -32))]);
}

/// Check outermost frames, also one whose CFA cannot be said.
#[test]
fn undefined_return_address_is_the_root() {
    assert_eq!(rules(&[(0, Cfi::Undefined(RA))]), [(0, ROOT)]);
    assert_eq!(rules(&[(0, Cfi::CfaRegister(RAX)), (0, Cfi::Undefined(RA))]), [(0, ROOT)]);
}

/// Check what no rule can say, each counted.
#[test]
fn what_no_rule_can_say() {
    let lit8 = expression(&[0x38]);
    // breg7 8; breg9 0; lit8; mul; plus; deref; plus_uconst 8: OpenSSL's multiplications.
    let product = expression(&[0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8]);
    // breg7 8; deref; plus_uconst 8; lit8: something follows a form that is known.
    let longer = expression(&[0x77, 8, 0x06, 0x23, 8, 0x38]);
    let unsayable = [
        Cfi::CfaRegister(RAX),
        Cfi::CfaExpression(lit8.clone()),
        Cfi::CfaExpression(product),
        Cfi::CfaExpression(longer),
        Cfi::CfaExpression(expression(&[])),
        Cfi::Offset(RA, -16),
        Cfi::SameValue(RA),
        Cfi::Register(RA, RBX),
        Cfi::Register(RBP, RBX),
        Cfi::ValOffset(RBP, -16),
        Cfi::Expression(RBP, lit8.clone()),
        Cfi::ValExpression(RBP, lit8),
    ];
    for instruction in unsayable {
        let table = table(&[function(0, 0x40, &[(8, instruction.clone())])]);
        assert_eq!(said(&table), [(0, rsp(8)), (8, UNSUPPORTED), (0x40, GAP)], "{instruction:?}");
        assert_eq!((table.coverage.unsupported_rows, table.coverage.unsupported_bytes), (1, 0x38));
    }
}

/// Check a return address that stands in another column, as no x86-64 code has it.
#[test]
fn other_return_columns_are_unsupported() {
    let mut bytes = eh_frame(&[function(0, 0x40, &[])]);
    // Behind the length, the id, the version, an empty augmentation and both factors.
    assert_eq!(std::mem::replace(&mut bytes[12], 15), 16);
    let table = unwind_table(&elf(&bytes, &Found::Section)).unwrap();
    assert_eq!(said(&table), [(0, UNSUPPORTED), (0x40, GAP)]);
}

/// Check that the section, the header's list and the header alone give the same rows, in whatever order the entries stand.
#[test]
fn however_it_is_found() {
    let bytes = eh_frame(&[function(0x80, 0x10, &[]), function(0, 0x10, &[(4, Cfi::CfaOffset(16))]), function(0x40, 0x10, &[])]);
    let mut list = entries(&bytes);
    let what = |found: &Found<'_>| {
        let table = unwind_table(&elf(&bytes, found)).unwrap();
        (table.rows, table.rules, table.coverage)
    };
    let expected = what(&Found::Section);
    assert_eq!(expected.0.len(), 8);
    list.sort_unstable();
    assert_eq!(what(&Found::List(&list)), expected);
    list.reverse();
    assert_eq!(what(&Found::List(&list)), expected, "an unsorted list");
    assert_eq!(what(&Found::Header), expected);
    assert_eq!(unwind_table(&elf(&bytes, &Found::Nothing)), Err(UnwindError::NoTable));
}

/// Check that an entry ends where the next begins, and that the latter holds.
#[test]
fn overlapping_entries() {
    let table = table(&[
        function(0, 0x40, &[(8, Cfi::CfaOffset(16)), (0x20, Cfi::CfaOffset(24))]),
        function(0x10, 8, &[]),
        function(0x10, 0x100, &[]),
    ]);
    assert_eq!(said(&table), [(0, rsp(8)), (8, rsp(16)), (0x10, rsp(8)), (0x18, GAP)]);
    assert_eq!(table.coverage.overlapping, 2);
}

/// Check entries for addresses where the file has no code: before it, behind it, across its end, and at the end of all addresses.
#[test]
fn entries_outside_the_code() {
    let end = u32::try_from(MEMORY - (CODE - BASE)).unwrap();
    let mut bytes =
        eh_frame(&[function(0, 8, &[]), function(end - 8, 16, &[]), function(end, 16, &[]), function(end + 64, 8, &[])]);
    let last = entries(&bytes)[3].1;
    bytes[last + 8..last + 16].copy_from_slice(&u64::MAX.to_le_bytes());
    let table = unwind_table(&elf(&bytes, &Found::Section)).unwrap();
    let end = i64::from(end);
    assert_eq!(said(&table), [(0, rsp(8)), (8, GAP), (end - 8, rsp(8)), (end, GAP)]);
    assert_eq!(table.coverage.outside, 3);
}

/// Check that rows before a broken instruction hold and that the rest of the entry is not trusted; the other entries stand.
#[test]
fn broken_instructions() {
    let mut bytes = eh_frame(&[function(0, 0x20, &[(8, Cfi::CfaOffset(16)), (16, Cfi::RestoreState)]), function(0x20, 8, &[])]);
    let table = unwind_table(&elf(&bytes, &Found::Section)).unwrap();
    assert_eq!(said(&table), [(0, rsp(8)), (8, rsp(16)), (16, UNSUPPORTED), (0x20, rsp(8)), (0x28, GAP)]);
    assert_eq!((table.coverage.broken, table.coverage.entries), (1, 2));
    // An entry whose head is not where it says.
    let second = entries(&bytes)[1].1;
    bytes[second + 4] ^= 0x40;
    let list = entries(&bytes);
    let table = unwind_table(&elf(&bytes, &Found::List(&list))).unwrap();
    assert_eq!(said(&table), [(0, rsp(8)), (8, rsp(16)), (16, UNSUPPORTED), (0x20, GAP)]);
    assert_eq!((table.coverage.broken, table.coverage.entries), (2, 1));
}

/// Check that a list is not believed: entries at other addresses than it says, and before the section.
#[test]
fn lists_that_lie() {
    let bytes = eh_frame(&[function(0, 0x20, &[]), function(0x20, 0x20, &[])]);
    let list = entries(&bytes);
    let lies = [(list[0].0 + 8, list[0].1), list[1], (list[1].0 + 8, list[0].1), (list[1].0 + 16, bytes.len() + 0x100)];
    let table = unwind_table(&elf(&bytes, &Found::List(&lies))).unwrap();
    assert_eq!(said(&table), [(0x20, rsp(8)), (0x28, GAP)]);
    assert_eq!(table.coverage.broken, 3);
}

/// Check that a file with more different rules than a row can name says so.
#[test]
fn rules_are_counted() {
    let many: Vec<_> = (1..70_000).map(|at: u32| (at, Cfi::CfaOffset(8 + i32::try_from(at).unwrap()))).collect();
    let table = table(&[function(0, 80_000, &many)]);
    assert_eq!(table.rules.len(), 65_536);
    // Gap, unsupported and the entry's own are among them.
    assert_eq!(table.coverage.too_many_rules, 69_999 - 65_533);
    assert_eq!(table.coverage.unsupported_rows, table.coverage.too_many_rules);
}

/// Check that a head of a megabyte, shared by a thousand entries, is not evaluated a thousand times.
#[test]
fn shared_work_is_bounded() {
    let functions: Vec<_> = (0..1000).map(|at| function(at * 16, 16, &[])).collect();
    let mut bytes = eh_frame(&functions);
    // The head grows by instructions that do nothing; so does the way back to it.
    let more: usize = 1 << 20;
    let len = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    bytes[..4].copy_from_slice(&(len + u32::try_from(more).unwrap()).to_le_bytes());
    let end = 4 + len as usize;
    for (_, at) in entries(&eh_frame(&functions)) {
        let back = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) + u32::try_from(more).unwrap();
        bytes[at + 4..at + 8].copy_from_slice(&back.to_le_bytes());
    }
    bytes.splice(end..end, std::iter::repeat_n(0, more));
    assert!(matches!(unwind_table(&elf(&bytes, &Found::Section)), Err(UnwindError::TooMuchWork { .. })));
}
