//! What is x86-64's own in call frame information: register numbers, the shape of a frame, PLT stubs and the signal trampoline.
//!
//! Register numbers are the psABI's (System V AMD64, figure 3.36). Another architecture is a file beside this one, with `MACHINE`,
//! `TRAMPOLINE` and `rule`.

use gimli::{
    CfaRule, CommonInformationEntry, EhFrame, Encoding, Expression, Format, Operation, Register, RegisterRule, UnwindExpression,
    UnwindTableRow,
};
use profiler_common::unwind::{CfaKind, RbpKind, Rule};

use super::source::Bytes;

/// The machine of its files.
pub(super) const MACHINE: u16 = object::elf::EM_X86_64;

/// The signal trampoline: `mov rax, 15; syscall`, which is `rt_sigreturn`.
pub(super) const TRAMPOLINE: &[u8] = &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

const RBP: Register = Register(6);
const RSP: Register = Register(7);
const RETURN_ADDRESS: Register = Register(16);

/// The return address lies right below the CFA: `call` pushed it.
const RETURN_ADDRESS_AT: i64 = -8;

/// Where the kernel's signal frame keeps the interrupted rsp: `uc_mcontext` at 40 and 15 words into it (`asm/sigcontext.h`). glibc's
/// `__restore_rt` describes its CFA as the word there (`sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c`, `do_cfa_expr`).
const SIGNAL_RSP: i32 = 40 + 15 * 8;

const UNSUPPORTED: Rule = Rule::of(CfaKind::Unsupported);

/// Turns a row of gimli's into a rule.
pub(super) fn rule(section: &EhFrame<Bytes<'_>>, cie: &CommonInformationEntry<Bytes<'_>>, row: &UnwindTableRow<usize>) -> Rule {
    if cie.return_address_register() != RETURN_ADDRESS {
        return UNSUPPORTED;
    }
    let Some(cfa) = cfa(section, row.cfa()) else {
        // An outermost frame is outermost whatever its CFA.
        let outermost = matches!(row.register(RETURN_ADDRESS), Some(RegisterRule::Undefined));
        return if outermost { Rule::of(CfaKind::Root) } else { UNSUPPORTED };
    };
    if cie.is_signal_trampoline() {
        // The caller of such a frame was interrupted and made no call. Only the kernel's layout is known.
        let kernels = cfa == Rule { offset: SIGNAL_RSP, ..Rule::of(CfaKind::AtRsp) };
        return if kernels { Rule::of(CfaKind::Signal) } else { UNSUPPORTED };
    }
    match row.register(RETURN_ADDRESS) {
        Some(RegisterRule::Undefined) => return Rule::of(CfaKind::Root),
        Some(RegisterRule::Offset(RETURN_ADDRESS_AT)) => {}
        _ => return UNSUPPORTED,
    }
    rbp(section, cfa, row.register(RBP).as_ref()).unwrap_or(UNSUPPORTED)
}

/// The CFA's part of a rule.
fn cfa(section: &EhFrame<Bytes<'_>>, rule: &CfaRule<usize>) -> Option<Rule> {
    match rule {
        CfaRule::RegisterAndOffset { register, offset } => {
            let kind = match *register {
                RSP => CfaKind::Rsp,
                RBP => CfaKind::Rbp,
                _ => return None,
            };
            Some(Rule { offset: i32::try_from(*offset).ok()?, ..Rule::of(kind) })
        }
        CfaRule::Expression(expression) => {
            let expression = expression.get(section).ok()?;
            plt(expression.0.slice()).or_else(|| at_register(expression))
        }
    }
}

/// What binutils writes for a PLT (`bfd/elfxx-x86.c`, `elf_x86_64_eh_frame_lazy_plt` and its siblings): `rsp + 8`, and 8 more from byte
/// `pushed` of each stub of 16 on: `breg7 8; breg16 0; lit15; and; lit<pushed>; ge; lit3; shl; plus`.
fn plt(expression: &[u8]) -> Option<Rule> {
    let [0x77, 8, 0x80, 0, 0x3f, 0x1a, literal @ 0x30..=0x3f, 0x2a, 0x33, 0x24, 0x22] = expression else { return None };
    Some(Rule { offset: 8, addend: i32::from(literal - 0x30), ..Rule::of(CfaKind::Plt) })
}

/// `breg off; deref` and `breg off; deref; plus_uconst n`: the word at a register's place on the stack, where a realigned frame keeps
/// the old stack pointer (GCC's DRAP, OpenSSL's assembly).
fn at_register(expression: Expression<Bytes<'_>>) -> Option<Rule> {
    let mut operations = operations(expression);
    let (register, offset) = register_offset(operations.next().ok()??)?;
    let kind = match register {
        RSP => CfaKind::AtRsp,
        RBP => CfaKind::AtRbp,
        _ => return None,
    };
    let Operation::Deref { size: 8, space: false, .. } = operations.next().ok()?? else { return None };
    let addend = match operations.next().ok()? {
        None => 0,
        Some(Operation::PlusConstant { value }) if operations.next().ok()?.is_none() => i32::try_from(value).ok()?,
        Some(_) => return None,
    };
    Some(Rule { offset, addend, ..Rule::of(kind) })
}

/// Adds to `cfa` where the caller's rbp is.
fn rbp(section: &EhFrame<Bytes<'_>>, cfa: Rule, rule: Option<&RegisterRule<usize>>) -> Option<Rule> {
    match rule {
        // Without a rule it is callee-saved and was not touched; undefined, nobody will need it.
        None | Some(RegisterRule::SameValue | RegisterRule::Undefined) => Some(cfa),
        Some(RegisterRule::Offset(offset)) => at_cfa(cfa, *offset),
        Some(RegisterRule::Expression(expression)) => match stack_slot(section, *expression)? {
            (RBP, offset) => Some(Rule { rbp: RbpKind::AtRbp as u8, rbp_offset: offset, ..cfa }),
            // The CFA is a fixed way from rsp, so a place that counts from rsp is a place that counts from the CFA.
            (RSP, offset) if cfa.cfa == CfaKind::Rsp as u8 => at_cfa(cfa, i64::from(offset) - i64::from(cfa.offset)),
            _ => None,
        },
        Some(_) => None,
    }
}

fn at_cfa(cfa: Rule, offset: i64) -> Option<Rule> {
    Some(Rule { rbp: RbpKind::AtCfa as u8, rbp_offset: i32::try_from(offset).ok()?, ..cfa })
}

/// An expression that is one `breg off`.
fn stack_slot(section: &EhFrame<Bytes<'_>>, expression: UnwindExpression<usize>) -> Option<(Register, i32)> {
    let mut operations = operations(expression.get(section).ok()?);
    let slot = register_offset(operations.next().ok()??)?;
    operations.next().ok()?.is_none().then_some(slot)
}

fn register_offset(operation: Operation<Bytes<'_>>) -> Option<(Register, i32)> {
    let Operation::RegisterOffset { register, offset, .. } = operation else { return None };
    Some((register, i32::try_from(offset).ok()?))
}

fn operations(expression: Expression<Bytes<'_>>) -> gimli::OperationIter<Bytes<'_>> {
    expression.operations(Encoding { address_size: 8, format: Format::Dwarf32, version: 4 })
}
