//! The rows of every file in this process against gimli's own evaluation of the same entries, at many pcs of each, by what a step does.

use std::cell::RefCell;

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, Expression, Location, Register, RegisterRule, UnwindContext,
    UnwindSection, UnwindTableRow,
};
use object::{Object as _, ObjectSection as _};
use profiler_common::unwind::{CfaKind, Cursor, End, Memory};

use crate::process::{Object, Process};

const RBP: Register = Register(6);
const RSP: Register = Register(7);
const RA: Register = Register(16);

type Bytes<'d> = EndianSlice<'d, gimli::LittleEndian>;

/// A memory in which every word is different and looks like an address on a stack.
struct Numbered;

impl Memory for Numbered {
    fn word(&self, address: u64) -> Option<u64> {
        Some(0x7f00_0000_0000 + (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24 & 0xffff_fff8))
    }
}

/// Every register's value in the frame at `pc`; those that no rule of ours follows are recognisable.
fn register(pc: u64, number: Register) -> u64 {
    match number {
        RSP => 0x7000_0000_1000,
        RBP => 0x7000_0000_9000,
        RA => pc,
        Register(other) => 0x6000_0000_0000 + u64::from(other) * 0x10_0000,
    }
}

/// The value of an expression, as the standard has it, with `initial` on its stack.
fn evaluate(expression: Expression<Bytes<'_>>, pc: u64, initial: Option<u64>) -> Option<u64> {
    let encoding = gimli::Encoding { address_size: 8, format: gimli::Format::Dwarf32, version: 4 };
    let mut evaluation = expression.evaluation(encoding);
    if let Some(initial) = initial {
        evaluation.set_initial_value(initial);
    }
    let mut state = evaluation.evaluate().ok()?;
    loop {
        state = match state {
            gimli::EvaluationResult::Complete => break,
            gimli::EvaluationResult::RequiresRegister { register: number, .. } => {
                evaluation.resume_with_register(gimli::Value::Generic(register(pc, number))).ok()?
            }
            gimli::EvaluationResult::RequiresMemory { address, .. } => {
                evaluation.resume_with_memory(gimli::Value::Generic(Numbered.word(address)?)).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.result().first()?.location {
        Location::Address { address } => Some(address),
        _ => None,
    }
}

/// The caller by gimli's row: pc, sp and rbp. `None` in a place: not recoverable, or by a register that a walk does not have.
fn caller(section: &EhFrame<Bytes<'_>>, row: &UnwindTableRow<usize>, pc: u64) -> Option<[Option<u64>; 3]> {
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register: number, offset } => register(pc, *number).wrapping_add(offset.cast_unsigned()),
        CfaRule::Expression(expression) => evaluate(expression.get(section).ok()?, pc, None)?,
    };
    let value = |number: Register| match row.register(number) {
        None | Some(RegisterRule::SameValue) => Some(register(pc, number)),
        Some(RegisterRule::Offset(offset)) => Numbered.word(cfa.wrapping_add(offset.cast_unsigned())),
        Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add(offset.cast_unsigned())),
        Some(RegisterRule::Register(other)) => Some(register(pc, other)),
        Some(RegisterRule::Expression(expression)) => Numbered.word(evaluate(expression.get(section).ok()?, pc, Some(cfa))?),
        Some(RegisterRule::ValExpression(expression)) => evaluate(expression.get(section).ok()?, pc, Some(cfa)),
        _ => None,
    };
    // The stack pointer is the CFA, but where a trampoline says otherwise.
    let sp = if row.register(RSP).is_some() { value(RSP) } else { Some(cfa) };
    Some([value(RA), sp, value(RBP)])
}

/// Pcs of a row that are compared: its ends, and some between them.
fn sample(from: u64, to: u64) -> impl Iterator<Item = u64> {
    let step = ((to - from) / 4).max(1);
    (from..to).step_by(usize::try_from(step).unwrap()).chain([to - 1])
}

#[derive(Debug, Default)]
struct Compared {
    pcs: u64,
    unsupported: u64,
    roots: u64,
    signals: u64,
}

/// Compares every entry of one file. Gives how many pcs of which kind.
fn compare(object: &Object) -> Compared {
    let file = object::File::parse(&object.bytes[..]).unwrap();
    let section = file.section_by_name(".eh_frame").unwrap();
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    let eh_frame = EhFrame::new(section.data().unwrap(), gimli::LittleEndian);
    let context = RefCell::new(UnwindContext::new());
    let mut compared = Compared::default();
    let mut entries = eh_frame.entries(&bases);
    while let Some(entry) = entries.next().unwrap() {
        let CieOrFde::Fde(entry) = entry else { continue };
        let entry = entry.parse(EhFrame::cie_from_offset).unwrap();
        let mut context = context.borrow_mut();
        let mut rows = entry.rows(&eh_frame, &bases, &mut context).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            if row.end_address() <= row.start_address() {
                continue;
            }
            for address in sample(row.start_address(), row.end_address()) {
                let pc = address + object.bias;
                let said = object.row(pc).unwrap();
                let rule = said.rule;
                let expected = caller(&eh_frame, row, pc);
                let mut cursor = Cursor { pc, sp: register(pc, RSP), bp: register(pc, RBP), is_return: 0 };
                let end = cursor.step(rule, u64::MAX, &Numbered);
                let place = format!("{} {address:#x} {rule:?} {row:?}", object.name);
                compared.pcs += 1;
                match end {
                    End::Going => {
                        assert_eq!([cursor.pc, cursor.sp, cursor.bp].map(Some), expected.unwrap(), "{place}");
                        let signal = rule.cfa == CfaKind::Signal as u8;
                        assert_eq!(cursor.is_return == 0, signal, "{place}");
                        compared.signals += u64::from(signal);
                    }
                    End::Root => {
                        assert!(matches!(row.register(RA), Some(RegisterRule::Undefined)), "{place}");
                        compared.roots += 1;
                    }
                    End::Unsupported => {
                        // Never where one of the two registers and a saved rbp would have said it.
                        let plain = matches!(row.cfa(), CfaRule::RegisterAndOffset { register: RSP | RBP, .. })
                            && matches!(row.register(RBP), None | Some(RegisterRule::Offset(_)))
                            && matches!(row.register(RA), Some(RegisterRule::Offset(-8)));
                        assert!(!plain, "{place}");
                        compared.unsupported += 1;
                    }
                    end => panic!("{end:?} at {place}"),
                }
            }
        }
    }
    compared
}

/// Check that a step by our row is a step by gimli's, in this test's own executable, libc, the dynamic linker and the vDSO.
#[test]
fn a_step_is_what_gimli_says() {
    let process = Process::own();
    let names: Vec<&str> = process.objects.iter().map(|object| object.name.as_str()).collect();
    for part in ["unwind-", "/libc.so", "/ld-linux", "[vdso]"] {
        assert!(names.iter().any(|name| name.contains(part)), "{part} is not among {names:?}");
    }
    let mut sum = Compared::default();
    for object in &process.objects {
        let compared = compare(object);
        println!("{}: {compared:?}, {} rows, {:?}", object.name, object.table.rows.len(), object.table.coverage);
        assert!(compared.pcs > 0 && compared.unsupported * 50 < compared.pcs, "{} {compared:?}", object.name);
        assert_eq!((object.table.coverage.broken, object.table.coverage.outside), (0, 0), "{}", object.name);
        sum.signals += compared.signals;
        sum.roots += compared.roots;
    }
    // libc's trampoline, and `_start` and `clone`.
    assert!(sum.signals > 0 && sum.roots > 1, "{sum:?}");
}
