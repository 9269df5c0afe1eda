//! Where a thread keeps the id of the task that it polls: the field `current_task_id` of Tokio's thread-local `CONTEXT` (tokio
//! `runtime/context.rs`, since 1.23).
//!
//! The thread-local's place comes from its symbol and the file's TLS segment. The field's place inside is rustc's choice: it is read off the
//! code that exchanges the field around each poll (`set_current_task_id`, `TaskIdGuard::enter`, or the poll functions they are inlined into);
//! where no code tells, a table of the layouts that were seen serves, if the thread-local's size is the same.

use std::collections::BTreeMap;

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};
use object::elf::STT_TLS;
use object::read::elf::Sym;
use object::{LittleEndian, Object, ObjectSymbol};
use thiserror::Error;

use crate::inspect::code::Function;
use crate::inspect::foreign::own_thread_local;
use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::inspection::{TaskType, TokioVersion};
use crate::inspect::symbols::Symbols;

/// The thread-local, as both manglings write it.
const CONTEXT: &str = "5tokio7runtime7context7CONTEXT";
/// More symbols than any program has.
const MAX_SYMBOLS: usize = 16 << 20;
/// Poll functions that are decoded.
const MAX_BODIES: usize = 256;
/// How many instructions lie between the reading of the old id and the writing of the new one, at most.
const APART: usize = 12;

/// Where a thread keeps the id of the task that it polls (bytes from the thread pointer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentTask {
    /// The id.
    pub id: i64,
    /// The word that is 1 while there is one; `None`: the id is 0 where there is none (Tokio from 1.40 on).
    pub tag: Option<i64>,
    /// What told.
    pub by: FoundBy,
}

/// What told where the id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// The code that sets it.
    Code,
    /// The layout that this version of Tokio has had wherever it was looked at.
    Version,
}

/// Why it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CurrentTaskError {
    /// No ELF file.
    #[error("the program cannot be read: {0}")]
    Malformed(String),
    /// Stripped, or another Tokio.
    #[error("no symbol names Tokio's thread-local, so its place is not known (a program that is stripped has none)")]
    NoSymbol,
    /// A symbol without a segment, or beyond it.
    #[error("the symbol of Tokio's thread-local lies outside of the program's thread-local segment")]
    NoSegment,
    /// A library's thread-locals lie in blocks that each thread has at another place.
    #[error("Tokio is in a shared object, whose thread-locals have no place that is the same in every thread")]
    SharedObject,
    /// Before ids were kept there.
    #[error("Tokio {0} does not keep the id of the current task: that came with 1.23")]
    TooOld(TokioVersion),
    /// Nothing in the code and nothing in the table.
    #[error("no code that sets the id was recognised, and the layout of this build of Tokio is not known")]
    NotRecognised,
}

/// The thread-local's extent (bytes from the thread pointer).
#[derive(Clone, Copy)]
struct Context {
    at: i64,
    size: i64,
}

/// Finds the place.
pub(crate) fn find(
    image: &Image<'_>,
    functions: &Functions<'_>,
    symbols: &Symbols<'_>,
    version: Option<TokioVersion>,
    types: &[TaskType],
) -> Result<CurrentTask, CurrentTaskError> {
    if let Some(version) = version.filter(|version| version.major == 1 && version.minor < 23) {
        return Err(CurrentTaskError::TooOld(version));
    }
    if image.is_shared_object() {
        return Err(CurrentTaskError::SharedObject);
    }
    let context = context(image)?;
    let setters = [&["context", "set_current_task_id"][..], &["TaskIdGuard", "enter"][..]];
    let setters: Vec<u64> = setters.iter().flat_map(|path| symbols.ending_with(path)).collect();
    let bodies: Vec<u64> = types.iter().map(|found| found.body).take(MAX_BODIES).collect();
    let by_code = [setters, bodies].iter().find_map(|starts| {
        let mut exchanged = BTreeMap::new();
        for function in starts.iter().filter_map(|start| Function::decode(image, functions, *start)) {
            exchanges(function.instructions(), context, &mut exchanged);
        }
        told(&exchanged, context, version)
    });
    by_code.or_else(|| by_version(context, version)).ok_or(CurrentTaskError::NotRecognised)
}

/// The thread-local of the program itself.
fn context(image: &Image<'_>) -> Result<Context, CurrentTaskError> {
    let strings = image.file.elf_symbol_table().strings();
    let mut found = image.file.symbols().take(MAX_SYMBOLS).filter(|symbol| {
        let symbol = symbol.elf_symbol();
        let is_named = || std::str::from_utf8(symbol.name(LittleEndian, strings).unwrap_or_default());
        symbol.st_type() == STT_TLS && is_named().is_ok_and(|name| name.contains(CONTEXT))
    });
    let symbol = found.next().ok_or(CurrentTaskError::NoSymbol)?;
    let at = own_thread_local(&image.file, symbol.elf_symbol().st_value(LittleEndian)).ok_or(CurrentTaskError::NoSegment)?;
    Ok(Context { at, size: i64::try_from(symbol.size()).map_err(|_| CurrentTaskError::NoSegment)? })
}

/// The layouts that rustc 1.95 gave the versions that were looked at, in every build profile: the first and the last minor version, the size of
/// the thread-local, and the field.
const LAYOUTS: [(u16, u16, i64, i64); 3] = [(23, 36, 104, 32), (37, 39, 88, 32), (40, 54, 80, 48)];

fn by_version(context: Context, version: Option<TokioVersion>) -> Option<CurrentTask> {
    let minor = version.filter(|version| version.major == 1)?.minor;
    let fits = |(first, last, size, _): &&(u16, u16, i64, i64)| (*first..=*last).contains(&minor) && *size == context.size;
    let (.., field) = LAYOUTS.iter().find(fits)?;
    Some(current(context.at + field, minor < 40, FoundBy::Version))
}

/// The field at `at`: an `Option<Id>`, which has a word of its own for whether there is one while an id may be any number.
fn current(at: i64, tagged: bool, by: FoundBy) -> CurrentTask {
    if tagged { CurrentTask { id: at + 8, tag: Some(at), by } } else { CurrentTask { id: at, tag: None, by } }
}

/// What the exchanged words say: the one that is exchanged most often, where no other comes near. Ids that may be 0 are two words.
fn told(exchanged: &BTreeMap<i64, usize>, context: Context, version: Option<TokioVersion>) -> Option<CurrentTask> {
    let most = exchanged.values().copied().max()?;
    let mut often = exchanged.iter().filter(|(_, count)| **count * 2 > most).map(|(place, _)| *place);
    let (first, second, third) = (often.next()?, often.next(), often.next());
    let tagged = match (second, third) {
        (None, _) => false,
        (Some(second), None) if second == first + 8 => true,
        _ => return None,
    };
    // What is known of the version must not be contradicted.
    if version.is_some_and(|version| version.major == 1 && (version.minor < 40) != tagged) {
        return None;
    }
    let expected = by_version(context, version);
    let found = current(first, tagged, FoundBy::Code);
    (expected.is_none_or(|known| known.id == found.id)).then_some(found)
}

/// What each register holds, where that is an address at a known distance from the thread pointer.
struct Registers(BTreeMap<Register, i64>);

impl Registers {
    /// The distance of the memory operand's place.
    fn place(&self, instruction: &Instruction) -> Option<i64> {
        if instruction.memory_index() != Register::None {
            return None;
        }
        let displacement = instruction.memory_displacement64().cast_signed();
        match (instruction.segment_prefix(), instruction.memory_base()) {
            (Register::FS, Register::None) => Some(displacement),
            (Register::FS, _) => None,
            (_, base) => self.0.get(&base)?.checked_add(displacement),
        }
    }

    /// What the instruction leaves in its first operand.
    fn result(&self, instruction: &Instruction) -> Option<i64> {
        let first = || self.0.get(&instruction.op0_register()).copied();
        let constant = || instruction.try_immediate(1).ok().map(u64::cast_signed);
        match (instruction.mnemonic(), instruction.op1_kind()) {
            (Mnemonic::Mov, OpKind::Register) => self.0.get(&instruction.op1_register()).copied(),
            // The word at the thread pointer is the thread pointer (x86-64 psABI).
            (Mnemonic::Mov, OpKind::Memory) if is_thread_pointer(instruction) => Some(0),
            (Mnemonic::Lea, OpKind::Memory) => self.place(instruction),
            (Mnemonic::Add, _) => first()?.checked_add(constant()?),
            (Mnemonic::Sub, _) => first()?.checked_sub(constant()?),
            _ => None,
        }
    }
}

fn is_thread_pointer(instruction: &Instruction) -> bool {
    instruction.segment_prefix() == Register::FS
        && instruction.memory_base() == Register::None
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == 0
}

/// Counts, by place, where a word of `context` is read into a register and soon written from one. Branches are not followed: what is looked
/// for is written without any in between.
fn exchanges(instructions: &[Instruction], context: Context, exchanged: &mut BTreeMap<i64, usize>) {
    let mut info = InstructionInfoFactory::new();
    let mut registers = Registers(BTreeMap::new());
    let mut read: BTreeMap<i64, usize> = BTreeMap::new();
    let inside = context.at..context.at.saturating_add(context.size);
    for (nth, instruction) in instructions.iter().enumerate() {
        let is_word = |register: Register| register.is_gpr64();
        if instruction.mnemonic() == Mnemonic::Mov
            && let Some(place) = registers.place(instruction).filter(|place| inside.contains(place))
        {
            match (instruction.op0_kind(), instruction.op1_kind()) {
                (OpKind::Register, OpKind::Memory) if is_word(instruction.op0_register()) => drop(read.insert(place, nth)),
                (OpKind::Memory, OpKind::Register)
                    if is_word(instruction.op1_register()) && read.remove(&place).is_some_and(|at| nth - at <= APART) =>
                {
                    *exchanged.entry(place).or_default() += 1;
                }
                _ => {}
            }
        }
        let result = registers.result(instruction);
        for used in info.info(instruction).used_registers() {
            if matches!(used.access(), OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite) {
                registers.0.remove(&used.register().full_register());
            }
        }
        if instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().is_gpr64()
            && let Some(distance) = result
        {
            registers.0.insert(instruction.op0_register(), distance);
        }
        if matches!(instruction.mnemonic(), Mnemonic::Call) {
            const KEPT: [Register; 6] =
                [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];
            registers.0.retain(|register, _| KEPT.contains(register));
        }
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;
    use crate::inspect::specimen::bytes;

    const VERSION: Option<TokioVersion> = Some(TokioVersion { major: 1, minor: 54, patch: 1 });

    fn seen(hex: &str, context: Context) -> BTreeMap<i64, usize> {
        let code = bytes(hex);
        let instructions: Vec<Instruction> = Decoder::with_ip(64, &code, 0x1000, DecoderOptions::NONE).iter().collect();
        let mut exchanged = BTreeMap::new();
        exchanges(&instructions, context, &mut exchanged);
        exchanged
    }

    /// `set_current_task_id` of Tokio 1.54.1 in a release build: `mov rax, fs:[0]; lea rax, [rax-0xf0]; ..; mov rcx, [rax+0x30]; mov
    /// [rax+0x30], rbx`.
    const SETTER: &str =
        "41564154 5053 4889fb 64488b042500000000 488d8010ffffff 0fb64848 83f901 7420 488b4830 48895830 4889c8 c3";

    #[test]
    fn the_code_that_sets_the_id_tells_its_place() {
        let context = Context { at: -0xf0, size: 80 };
        let exchanged = seen(SETTER, context);
        assert_eq!(exchanged, BTreeMap::from([(-0xc0, 1)]));
        assert_eq!(told(&exchanged, context, VERSION), Some(CurrentTask { id: -0xc0, tag: None, by: FoundBy::Code }));
    }

    /// Inlined: `mov r12, fs:[-0x90]; mov fs:[-0x90], r15`, and a byte beside it.
    #[test]
    fn the_same_where_it_is_inlined() {
        let context = Context { at: -0xc0, size: 80 };
        let exchanged = seen("644c8b242570ffffff 644c893c2570ffffff 6488042584ffffff", context);
        assert_eq!(exchanged, BTreeMap::from([(-0x90, 1)]));
    }

    #[test]
    fn two_words_are_an_id_with_its_tag() {
        let context = Context { at: -0xf8, size: 88 };
        let version = Some(TokioVersion { major: 1, minor: 38, patch: 1 });
        let both = BTreeMap::from([(-0xd8, 2), (-0xd0, 2)]);
        assert_eq!(told(&both, context, version), Some(CurrentTask { id: -0xd0, tag: Some(-0xd8), by: FoundBy::Code }));
        assert_eq!(told(&both, context, VERSION), None, "this version has one word");
        assert_eq!(told(&BTreeMap::from([(-0xd8, 2), (-0xc0, 2)]), context, version), None, "two fields");
        assert_eq!(told(&BTreeMap::new(), context, version), None);
    }

    #[test]
    fn what_the_code_says_must_agree_with_what_is_known() {
        let context = Context { at: -0xf0, size: 80 };
        assert_eq!(told(&BTreeMap::from([(-0xf0, 1)]), context, VERSION), None);
        // A layout that was never seen is the code's to tell.
        let wider = Context { size: 96, ..context };
        assert_eq!(told(&BTreeMap::from([(-0xf0, 1)]), wider, VERSION).map(|found| found.id), Some(-0xf0));
        assert_eq!(by_version(context, VERSION), Some(CurrentTask { id: -0xc0, tag: None, by: FoundBy::Version }));
        assert_eq!(by_version(wider, VERSION), None);
    }

    #[test]
    fn a_word_that_is_only_read_or_only_written_is_none() {
        let context = Context { at: -0xf0, size: 80 };
        assert!(seen("64488b042500000000 488d8010ffffff 488b4830", context).is_empty());
        assert!(seen("64488b042500000000 488d8010ffffff 48895830", context).is_empty());
        assert!(seen("64488b042500000000 488d8010ffffff 31c0 488b4830 48895830", context).is_empty(), "another rax");
    }
}
