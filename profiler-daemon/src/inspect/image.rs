//! An ELF file as the loader sees it: bytes, segments and relocated words by virtual address.

use object::elf::{
    DF_1_PIE, DT_FLAGS_1, EM_X86_64, ET_DYN, PF_X, PT_INTERP, PT_LOAD, ProgramHeader64, R_X86_64_64, R_X86_64_RELATIVE,
    SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_NULL, SHT_RELA, SHT_RELR,
};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, Rela, SectionHeader, Sym};
use object::{LittleEndian, Object, ObjectSection};

use super::error::InspectError;
use super::inspection::Segment;

/// More relocations than any program has: 4 Gi of pointers would not load either.
const MAX_RELOCATIONS: u64 = 32 << 20;
/// More `PT_LOAD` segments than a linker makes.
const MAX_SEGMENTS: u64 = 1024;

/// One section that is mapped and has bytes in the file.
pub(crate) struct Section<'d> {
    /// Its name, lossy.
    pub(crate) name: String,
    /// Its first address.
    pub(crate) vaddr: u64,
    /// Its bytes.
    pub(crate) bytes: &'d [u8],
    /// It holds code.
    pub(crate) executable: bool,
}

/// The parsed file.
pub(crate) struct Image<'d> {
    /// The file through `object`, for sections that are not mapped (symbols, debug information).
    pub(crate) file: ElfFile64<'d, LittleEndian>,
    pub(crate) pie: bool,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section<'d>>,
    data: &'d [u8],
    /// Words the loader relocates: address and value before the load bias, sorted by address.
    words: Vec<(u64, u64)>,
}

impl<'d> Image<'d> {
    /// Reads headers, sections and relocations of `data`.
    pub(crate) fn parse(data: &'d [u8]) -> Result<Self, InspectError> {
        let not_elf = |error: object::Error| InspectError::NotElf(error.to_string());
        match object::FileKind::parse(data).map_err(not_elf)? {
            object::FileKind::Elf64 => {}
            object::FileKind::Elf32 => {
                return Err(InspectError::WrongArchitecture("a 32-bit machine".to_owned()));
            }
            other => return Err(InspectError::NotElf(format!("it is {other:?}"))),
        }
        let file = match ElfFile64::<LittleEndian>::parse(data) {
            Ok(file) => file,
            // A big-endian header is a well-formed file for another machine.
            Err(_) if data.get(5) == Some(&2) => {
                return Err(InspectError::WrongArchitecture("a big-endian machine".to_owned()));
            }
            Err(error) => return Err(not_elf(error)),
        };
        let header = file.elf_header();
        let machine = header.e_machine(LittleEndian);
        if machine != EM_X86_64 {
            return Err(InspectError::WrongArchitecture(format!("{:?}", file.architecture())));
        }
        let segments = segments(file.elf_program_headers())?;
        let sections = sections(&file);
        let words = relocated_words(&file)?;
        Ok(Self { pie: header.e_type(LittleEndian) == ET_DYN, file, segments, sections, data, words })
    }

    /// Whether it is a library and no program: it names no loader and is not marked as a position-independent program (a static one names
    /// no loader either). What it has of thread-locals has no fixed place then.
    pub(crate) fn is_shared_object(&self) -> bool {
        let headers = self.file.elf_program_headers();
        let names_loader = headers.iter().any(|header| header.p_type(LittleEndian) == PT_INTERP);
        let flags = headers.iter().filter_map(|header| header.dynamic(LittleEndian, self.data).ok().flatten()).flatten();
        let is_program = |entry: &object::elf::Dyn64<LittleEndian>| {
            entry.d_tag.get(LittleEndian) == DT_FLAGS_1 && entry.d_val.get(LittleEndian) & u64::from(DF_1_PIE) != 0
        };
        self.pie && !names_loader && !flags.into_iter().any(is_program)
    }

    /// `len` bytes at `vaddr`, as the file has them.
    pub(crate) fn bytes(&self, vaddr: u64, len: usize) -> Option<&'d [u8]> {
        let available = self.bytes_from(vaddr)?;
        available.get(..len)
    }

    /// The bytes from `vaddr` to the end of its segment.
    pub(crate) fn bytes_from(&self, vaddr: u64) -> Option<&'d [u8]> {
        self.segments.iter().find_map(|segment| {
            let start = usize::try_from(segment.file_offset_of(vaddr)?).ok()?;
            let end = usize::try_from(segment.file_offset.checked_add(segment.file_size)?).ok()?;
            self.data.get(start..end)
        })
    }

    /// The eight-byte word at `vaddr`, relocated.
    pub(crate) fn word(&self, vaddr: u64) -> Option<u64> {
        if let Ok(index) = self.words.binary_search_by_key(&vaddr, |(address, _)| *address) {
            return self.words.get(index).map(|(_, value)| *value);
        }
        let bytes: [u8; 8] = self.bytes(vaddr, 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// `size` bytes (8 at most) that never change at run time: constants, and words the loader relocates
    /// into a part that it then protects (`.data.rel.ro`, `.got`).
    pub(crate) fn constant(&self, vaddr: u64, size: usize) -> Option<u64> {
        const CONSTANT: [&str; 3] = [".rodata", ".data.rel.ro", ".got"];
        let end = vaddr.checked_add(size as u64)?;
        self.sections.iter().find(|section| {
            CONSTANT.iter().any(|prefix| section.name.starts_with(prefix))
                && section.vaddr <= vaddr
                && end - section.vaddr <= section.bytes.len() as u64
        })?;
        if size == 8 {
            return self.word(vaddr);
        }
        let bytes = self.bytes(vaddr, size)?;
        Some(bytes.iter().rev().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }

    /// Whether `vaddr` is in an executable segment.
    pub(crate) fn is_code(&self, vaddr: u64) -> bool {
        self.segments.iter().any(|segment| segment.executable && segment.file_offset_of(vaddr).is_some())
    }

    /// The file offset of `vaddr`.
    pub(crate) fn file_offset(&self, vaddr: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| segment.file_offset_of(vaddr))
    }

    /// The contents of a section by name, decompressed; empty where it is absent or broken.
    pub(crate) fn section_data(&self, name: &str) -> std::borrow::Cow<'d, [u8]> {
        self.file.section_by_name(name).and_then(|section| section.uncompressed_data().ok()).unwrap_or_default()
    }

    /// Whether a section of that name has bytes.
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.file.section_by_name(name).is_some_and(|section| section.size() > 0)
    }
}

/// The `PT_LOAD` segments among the program headers.
pub(crate) fn segments(headers: &[ProgramHeader64<LittleEndian>]) -> Result<Vec<Segment>, InspectError> {
    let endian = LittleEndian;
    if headers.len() as u64 > MAX_SEGMENTS {
        let count = headers.len() as u64;
        return Err(InspectError::TooLarge { what: "program headers", address: 0, count, limit: MAX_SEGMENTS });
    }
    let loads = headers.iter().filter(|header| header.p_type(endian) == PT_LOAD);
    Ok(loads
        .map(|header| Segment {
            vaddr: header.p_vaddr(endian),
            file_offset: header.p_offset(endian),
            file_size: header.p_filesz(endian),
            mem_size: header.p_memsz(endian),
            executable: header.p_flags(endian) & PF_X != 0,
        })
        .collect())
}

fn sections<'d>(file: &ElfFile64<'d, LittleEndian>) -> Vec<Section<'d>> {
    let endian = LittleEndian;
    let table = file.elf_section_table();
    let mapped = table.iter().filter(|section| {
        let kind = section.sh_type(endian);
        u64::from(SHF_ALLOC) & section.sh_flags(endian) != 0 && kind != SHT_NOBITS && kind != SHT_NULL
    });
    mapped
        .filter_map(|section| {
            let bytes = section.data(endian, file.data()).ok()?;
            let name = table.section_name(endian, section).unwrap_or_default();
            Some(Section {
                name: String::from_utf8_lossy(name).into_owned(),
                vaddr: section.sh_addr(endian),
                bytes,
                executable: section.sh_flags(endian) & u64::from(SHF_EXECINSTR) != 0,
            })
        })
        .collect()
}

/// `R_X86_64_RELATIVE` of `.rela.dyn`, `R_X86_64_64` against symbols of this very file, and the
/// packed relative relocations of `.relr.dyn` (whose addends lie in place).
fn relocated_words(file: &ElfFile64<'_, LittleEndian>) -> Result<Vec<(u64, u64)>, InspectError> {
    let endian = LittleEndian;
    let dynamic_symbols = file.elf_dynamic_symbol_table();
    let mut words = Vec::new();
    for section in file.elf_section_table().iter() {
        // Relocations of an executable that the loader applies are themselves mapped.
        if section.sh_flags(endian) & u64::from(SHF_ALLOC) == 0 {
            continue;
        }
        let kind = section.sh_type(endian);
        if kind != SHT_RELA && kind != SHT_RELR {
            continue;
        }
        let too_large = |count: u64| InspectError::TooLarge {
            what: "relocations",
            address: section.sh_addr(endian),
            count,
            limit: MAX_RELOCATIONS,
        };
        if let Ok(Some((relocations, _))) = section.rela(endian, file.data()) {
            if relocations.len() as u64 > MAX_RELOCATIONS {
                return Err(too_large(relocations.len() as u64));
            }
            words.extend(relocations.iter().filter_map(|relocation| {
                let addend = relocation.r_addend(endian).cast_unsigned();
                let value = match relocation.r_type(endian, false) {
                    R_X86_64_RELATIVE => addend,
                    R_X86_64_64 | object::elf::R_X86_64_GLOB_DAT => {
                        let index = object::SymbolIndex(relocation.r_sym(endian, false) as usize);
                        let symbol = dynamic_symbols.symbol(index).ok()?;
                        (symbol.st_shndx(endian) != 0).then(|| symbol.st_value(endian).wrapping_add(addend))?
                    }
                    _ => return None,
                };
                Some((relocation.r_offset(endian), value))
            }));
        }
        if let Ok(Some(addresses)) = section.relr(endian, file.data()) {
            for (count, address) in (1_u64..).zip(addresses) {
                if count > MAX_RELOCATIONS {
                    return Err(too_large(count));
                }
                if let Some(value) = raw_word(file, address) {
                    words.push((address, value));
                }
            }
        }
    }
    words.sort_unstable();
    words.dedup_by_key(|(address, _)| *address);
    Ok(words)
}

fn raw_word(file: &ElfFile64<'_, LittleEndian>, vaddr: u64) -> Option<u64> {
    let endian = LittleEndian;
    file.elf_program_headers().iter().filter(|header| header.p_type(endian) == PT_LOAD).find_map(|header| {
        let into = vaddr.checked_sub(header.p_vaddr(endian))?;
        if into.checked_add(8)? > header.p_filesz(endian) {
            return None;
        }
        let start = usize::try_from(header.p_offset(endian).checked_add(into)?).ok()?;
        let bytes: [u8; 8] = file.data().get(start..start.checked_add(8)?)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    })
}
