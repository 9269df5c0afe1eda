//! The file's side: symbols by name, relocations by symbol.

use object::elf::{
    EM_AARCH64, EM_X86_64, PT_INTERP, PT_LOAD, PT_TLS, R_AARCH64_TLS_DTPMOD, R_AARCH64_TLS_TPREL, R_AARCH64_TLSDESC,
    R_X86_64_DTPMOD64, R_X86_64_TLSDESC, R_X86_64_TPOFF64, SHF_ALLOC, STT_TLS,
};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, Rela, SectionHeader, Sym, SymbolTable};
use object::{LittleEndian, Object};

use super::{Access, Context, ForeignModule, Machine, Model, Reach, TlsSegment, TlsSymbol, at_fixed_offset};
use crate::inspect::error::InspectError;

/// Symbols and relocations that are looked at; no program has more.
const MAX_ENTRIES: usize = 32 << 20;
/// Places from which one thread-local is reached: a file has one for each model, or one for each object file that went into it.
const MAX_REACHES: usize = 64;
/// The longest path of a loader.
const MAX_PATH: u64 = 4096;

const LABELS_VERSION_SYMBOL: &[u8] = b"custom_labels_abi_version";

type File<'d> = ElfFile64<'d, LittleEndian>;
const ENDIAN: LittleEndian = LittleEndian;

/// What a file has of other libraries' contexts.
///
/// # Errors
/// [`InspectError`] says whether `bytes` are no ELF file, or one for another machine.
pub fn foreign_module(bytes: &[u8]) -> Result<ForeignModule, InspectError> {
    let file = File::parse(bytes).map_err(|error| InspectError::NotElf(error.to_string()))?;
    let machine = match file.elf_header().e_machine(ENDIAN) {
        EM_X86_64 => Machine::X86_64,
        EM_AARCH64 => Machine::Aarch64,
        _ => return Err(InspectError::WrongArchitecture(format!("{:?}", file.architecture()))),
    };
    let mut symbols: Vec<TlsSymbol> = Context::ALL.iter().filter_map(|&context| defined(&file, context)).collect();
    reaches(&file, machine, &mut symbols);
    symbols.sort_by_key(|symbol| symbol.context);
    let labels_version = version_symbol(&file);
    Ok(ForeignModule {
        machine,
        tls: tls_segment(&file),
        interpreter: interpreter(&file),
        symbols,
        labels_version,
        labels_version_in_file: labels_version.and_then(|vaddr| word_at(&file, vaddr)),
    })
}

type Table<'d> = SymbolTable<'d, object::elf::FileHeader64<LittleEndian>>;

fn is_named(table: &Table<'_>, symbol: &object::elf::Sym64<LittleEndian>, name: &[u8]) -> bool {
    symbol.name(ENDIAN, table.strings()).is_ok_and(|found| found == name)
}

/// The thread-local of `context`, if the file defines it: in its dynamic symbols, else in the others.
fn defined(file: &File<'_>, context: Context) -> Option<TlsSymbol> {
    let find = |table: &Table<'_>| {
        let mut all = table.iter().take(MAX_ENTRIES);
        let name = context.symbol().as_bytes();
        all.find(|symbol| symbol.st_type() == STT_TLS && symbol.st_shndx(ENDIAN) != 0 && is_named(table, symbol, name))
            .map(|symbol| symbol.st_value(ENDIAN))
    };
    let exported = find(file.elf_dynamic_symbol_table());
    let value = exported.or_else(|| find(file.elf_symbol_table()))?;
    Some(TlsSymbol { context, value: Some(value), exported: exported.is_some(), reaches: Vec::new() })
}

/// The relocations that resolve to the thread-locals: by their symbol, or, where the linker has bound it to this very file, by its value.
fn reaches(file: &File<'_>, machine: Machine, symbols: &mut Vec<TlsSymbol>) {
    let dynamic = file.elf_dynamic_symbol_table();
    for section in file.elf_section_table().iter() {
        if section.sh_flags(ENDIAN) & u64::from(SHF_ALLOC) == 0 {
            continue;
        }
        let Ok(Some((relocations, _))) = section.rela(ENDIAN, file.data()) else { continue };
        for relocation in relocations.iter().take(MAX_ENTRIES) {
            let Some(model) = model(machine, relocation.r_type(ENDIAN, false)) else { continue };
            let reach = Reach { model, got: relocation.r_offset(ENDIAN) };
            let index = relocation.r_sym(ENDIAN, false);
            let context = if index == 0 {
                let value = Some(relocation.r_addend(ENDIAN).cast_unsigned());
                // The second word of such a pair is an offset that the linker has written; the reader compares it.
                let is_pair = model == Model::GeneralDynamic;
                symbols.iter().find(|symbol| symbol.value.is_some() && (is_pair || symbol.value == value)).map(|it| it.context)
            } else {
                let symbol = dynamic.symbol(object::SymbolIndex(index as usize)).ok();
                let is = |context: &Context| symbol.is_some_and(|symbol| is_named(dynamic, symbol, context.symbol().as_bytes()));
                Context::ALL.into_iter().find(is)
            };
            if let Some(context) = context {
                add(symbols, context, reach);
            }
        }
    }
}

fn add(symbols: &mut Vec<TlsSymbol>, context: Context, reach: Reach) {
    let place = symbols.iter().position(|symbol| symbol.context == context).unwrap_or_else(|| {
        symbols.push(TlsSymbol { context, value: None, exported: false, reaches: Vec::new() });
        symbols.len() - 1
    });
    if let Some(symbol) = symbols.get_mut(place)
        && !symbol.reaches.contains(&reach)
        && symbol.reaches.len() < MAX_REACHES
    {
        symbol.reaches.push(reach);
    }
}

const fn model(machine: Machine, kind: u32) -> Option<Model> {
    match (machine, kind) {
        (Machine::X86_64, R_X86_64_TLSDESC) | (Machine::Aarch64, R_AARCH64_TLSDESC) => Some(Model::Descriptor),
        (Machine::X86_64, R_X86_64_DTPMOD64) | (Machine::Aarch64, R_AARCH64_TLS_DTPMOD) => Some(Model::GeneralDynamic),
        (Machine::X86_64, R_X86_64_TPOFF64) | (Machine::Aarch64, R_AARCH64_TLS_TPREL) => Some(Model::InitialExec),
        _ => None,
    }
}

/// A file's `PT_TLS` header.
pub(crate) fn tls_segment(file: &File<'_>) -> Option<TlsSegment> {
    let header = file.elf_program_headers().iter().find(|header| header.p_type(ENDIAN) == PT_TLS)?;
    Some(TlsSegment { vaddr: header.p_vaddr(ENDIAN), size: header.p_memsz(ENDIAN), align: header.p_align(ENDIAN) })
}

/// Where an executable's own thread-local lies that stands at `value` in its segment, from the thread pointer on (bytes), on x86-64. `None`: it has no
/// such segment, or the thread-local lies beyond it.
pub(crate) fn own_thread_local(file: &File<'_>, value: u64) -> Option<i64> {
    match at_fixed_offset(Machine::X86_64, &tls_segment(file)?, value)? {
        Access::Static { offset } => Some(offset),
        Access::Dtv { .. } => None,
    }
}

fn interpreter(file: &File<'_>) -> Option<String> {
    let header = file.elf_program_headers().iter().find(|header| header.p_type(ENDIAN) == PT_INTERP)?;
    if header.p_filesz(ENDIAN) > MAX_PATH {
        return None;
    }
    let path = header.data(ENDIAN, file.data()).ok()?;
    let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
    Some(String::from_utf8_lossy(path.get(..end)?).into_owned())
}

fn version_symbol(file: &File<'_>) -> Option<u64> {
    let find = |table: &Table<'_>| {
        let mut all = table.iter().take(MAX_ENTRIES);
        all.find(|symbol| symbol.st_shndx(ENDIAN) != 0 && is_named(table, symbol, LABELS_VERSION_SYMBOL))
            .map(|symbol| symbol.st_value(ENDIAN))
    };
    find(file.elf_dynamic_symbol_table()).or_else(|| find(file.elf_symbol_table()))
}

/// The four bytes at `vaddr` as the file has them.
fn word_at(file: &File<'_>, vaddr: u64) -> Option<u32> {
    file.elf_program_headers().iter().filter(|header| header.p_type(ENDIAN) == PT_LOAD).find_map(|header| {
        let into = usize::try_from(vaddr.checked_sub(header.p_vaddr(ENDIAN))?).ok()?;
        let bytes = header.data(ENDIAN, file.data()).ok()?.get(into..into.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    })
}
