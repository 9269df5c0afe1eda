//! What an ELF file says of where its names are: its addresses, its identity, its link to a debug file.

use std::fs::File;

use object::{Object as _, ObjectSection as _, ObjectSegment as _, ReadCache};

/// The facts of one file that looking up names rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    segments: Vec<Segment>,
    /// The descriptor of its `NT_GNU_BUILD_ID` note.
    pub(super) build_id: Option<Vec<u8>>,
    /// What its `.gnu_debuglink` says.
    pub(super) link: Option<DebugLink>,
    /// It has DWARF of its own.
    pub(super) debug_info: bool,
    /// It has a full symbol table, not only the dynamic one.
    pub(super) symbol_table: bool,
}

/// The content of a `.gnu_debuglink` section (gdb manual, "Separate Debug Files").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DebugLink {
    /// Name of the debug file, without a folder. Untrusted bytes.
    pub(super) name: Vec<u8>,
    /// CRC-32 of the debug file's bytes, that of zlib.
    pub(super) checksum: u32,
}

/// A `PT_LOAD` segment: where it is in the file and where in memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    offset: u64,
    length: u64,
    address: u64,
}

impl Elf {
    /// Reads the headers and notes, not the whole file.
    pub(super) fn read(file: &File) -> Result<Self, object::read::Error> {
        let cache = ReadCache::new(file);
        let elf = object::File::parse(&cache)?;
        let segments = elf.segments().map(|segment| {
            let (offset, length) = segment.file_range();
            Segment { offset, length, address: segment.address() }
        });
        // `object` finds `.zdebug_info` by this name too. A stripped file's debug file has the section, a file that was
        // made by `--only-keep-debug` has the others without content.
        let holds = |name| {
            elf.section_by_name(name)
                .is_some_and(|section| section.compressed_file_range().is_ok_and(|range| range.compressed_size > 0))
        };
        Ok(Self {
            segments: segments.collect(),
            build_id: elf.build_id()?.map(<[u8]>::to_vec),
            link: elf.gnu_debuglink()?.map(|(name, checksum)| DebugLink { name: name.to_vec(), checksum }),
            debug_info: holds(".debug_info"),
            symbol_table: holds(".symtab"),
        })
    }

    /// The address that the file gives to the byte at an offset. A debug file has the same addresses and other offsets.
    pub(super) fn address_of(&self, file_offset: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let inside = file_offset.checked_sub(segment.offset).filter(|&inside| inside < segment.length)?;
            segment.address.checked_add(inside)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_found_in_its_segment_only() {
        let segments = vec![
            Segment { offset: 0, length: 0x1000, address: 0 },
            Segment { offset: 0x1000, length: 0x500, address: 0x2000 },
            Segment { offset: 0x2000, length: u64::MAX, address: u64::MAX },
        ];
        let elf = Elf { segments, ..Elf::default() };
        assert_eq!(elf.address_of(0xfff), Some(0xfff));
        assert_eq!(elf.address_of(0x1234), Some(0x2234));
        assert_eq!(elf.address_of(0x1500), None);
        assert_eq!(elf.address_of(0x2001), None, "an address past the last");
    }

    #[test]
    fn our_own_test_program_has_debug_information() {
        let elf = Elf::read(&File::open("/proc/self/exe").unwrap()).unwrap();
        assert!(elf.debug_info && elf.symbol_table && elf.build_id.is_some());
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(Elf::read(&file).is_err());
        std::io::Write::write_all(&mut &file, b"\x7fELF and then nothing of the kind").unwrap();
        assert!(Elf::read(&file).is_err());
    }
}
