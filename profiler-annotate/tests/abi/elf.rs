//! Reads from an ELF file what a profiler reads from it.

use object::elf::{FileHeader64, SHF_WRITE};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, SectionFlags};

/// One probe, as its note says. Addresses are those of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) name: String,
    pub(crate) site: u64,
    pub(crate) semaphore: u64,
    pub(crate) arguments: String,
}

/// The file's probes of our provider, by name.
pub(crate) fn probes(elf: &[u8]) -> Vec<Probe> {
    let file = ElfFile64::<Endianness>::parse(elf).unwrap();
    let section = file.section_by_name(".note.stapsdt").expect("a section .note.stapsdt");
    let mut rest = section.data().unwrap();
    let mut probes = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        let (name_len, desc_len, kind) = (word(0), word(4), word(8));
        let desc_at = 12 + name_len.next_multiple_of(4);
        let desc = &rest[desc_at..desc_at + desc_len];
        assert_eq!((&rest[12..12 + name_len], kind), (&b"stapsdt\0"[..], 3));
        let address = |at: usize| u64::from_le_bytes(desc[at..at + 8].try_into().unwrap());
        let texts: Vec<_> = desc[24..].split(|byte| *byte == 0).map(|text| str::from_utf8(text).unwrap()).collect();
        if texts[0] == "profiler_annotate" {
            let [_, name, arguments, ..] = texts[..] else { panic!("three strings: {texts:?}") };
            let (name, arguments) = (name.to_owned(), arguments.to_owned());
            probes.push(Probe { name, site: address(0), semaphore: address(16), arguments });
        }
        rest = &rest[(desc_at + desc_len).next_multiple_of(4).min(rest.len())..];
    }
    probes.sort_by(|a, b| a.name.cmp(&b.name));
    probes
}

/// Address of a section, which must be writable data.
pub(crate) fn writable_section(elf: &[u8], name: &str) -> u64 {
    let file = ElfFile64::<Endianness>::parse(elf).unwrap();
    let section = file.section_by_name(name).unwrap_or_else(|| panic!("a section {name}"));
    let SectionFlags::Elf { sh_flags } = section.flags() else { panic!("ELF flags") };
    assert_ne!(sh_flags & u64::from(SHF_WRITE), 0, "{name} is writable");
    section.address()
}

/// Size of a section.
pub(crate) fn section_size(elf: &[u8], name: &str) -> u64 {
    let file = ElfFile64::<Endianness>::parse(elf).unwrap();
    file.section_by_name(name).unwrap_or_else(|| panic!("a section {name}")).size()
}

/// The bytes that stand at an address of the file.
pub(crate) fn bytes_at(elf: &[u8], address: u64, len: usize) -> &[u8] {
    let endian = Endianness::Little;
    let header = FileHeader64::<Endianness>::parse(elf).unwrap();
    header
        .program_headers(endian, elf)
        .unwrap()
        .iter()
        .find_map(|segment| segment.data_range(endian, elf, address, len as u64).ok()?)
        .unwrap_or_else(|| panic!("{address:#x} is not in the file"))
}

/// Names in the dynamic symbol table.
pub(crate) fn dynamic_symbols(elf: &[u8]) -> Vec<String> {
    use object::ObjectSymbol;
    let file = ElfFile64::<Endianness>::parse(elf).unwrap();
    file.dynamic_symbols().map(|symbol| symbol.name().unwrap().to_owned()).collect()
}

/// Whether the file still has a symbol table.
pub(crate) fn has_symbols(elf: &[u8]) -> bool {
    let file = ElfFile64::<Endianness>::parse(elf).unwrap();
    file.section_by_name(".symtab").is_some()
}

/// The file of this very process.
pub(crate) fn this_program() -> Vec<u8> {
    std::fs::read("/proc/self/exe").unwrap()
}

/// Where this program's file is mapped: the addresses of the file plus this.
pub(crate) fn load_bias() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap()
}
