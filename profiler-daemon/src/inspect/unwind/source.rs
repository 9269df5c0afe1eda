//! Where a file's call frame information lies: by the header that the run time uses, else by the section.
//!
//! `PT_GNU_EH_FRAME` points at `.eh_frame_hdr` (LSB core 5.0, section 10.6.2), which points at `.eh_frame` and lists its entries by address.
//! It is mapped and survives stripping, section headers included; the vDSO as dumped from memory has it. A static executable may lack it.

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, ParsedEhFrameHdr, Pointer};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_GNU_EH_FRAME};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::architecture;
use super::error::UnwindError;
use crate::inspect::image::segments;
use crate::inspect::{InspectError, Segment};

/// How gimli reads the file's bytes.
pub(super) type Bytes<'d> = EndianSlice<'d, gimli::LittleEndian>;

/// The call frame information of one file.
pub(super) struct Source<'d> {
    /// The `PT_LOAD` segments.
    pub(super) segments: Vec<Segment>,
    /// The entries. Where the file does not say where they end, up to the end of their segment.
    pub(super) eh_frame: EhFrame<Bytes<'d>>,
    /// The list of the entries, sorted by address, where there is one.
    pub(super) header: Option<ParsedEhFrameHdr<Bytes<'d>>>,
    /// The addresses from which pointers in both count.
    pub(super) bases: BaseAddresses,
    /// The address of the entries.
    pub(super) address: u64,
}

impl<'d> Source<'d> {
    /// Finds it in the bytes of an ELF file.
    pub(super) fn find(data: &'d [u8]) -> Result<Self, UnwindError> {
        let endian = LittleEndian;
        let not_elf = |error: object::Error| InspectError::NotElf(error.to_string());
        let elf = FileHeader64::<LittleEndian>::parse(data).map_err(not_elf)?;
        if !elf.is_little_endian() || elf.e_machine(endian) != architecture::MACHINE {
            return Err(InspectError::WrongArchitecture(format!("machine {}", elf.e_machine(endian))).into());
        }
        let headers = elf.program_headers(endian, data).map_err(not_elf)?;
        let segments = segments(headers)?;
        let section = section(elf, data);
        let table = headers
            .iter()
            .find(|header| header.p_type(endian) == PT_GNU_EH_FRAME)
            .and_then(|header| list(header.p_vaddr(endian), &segments, data));
        let (address, bytes, header, bases) = match (table, section) {
            // Not what the section says: a header that leads elsewhere is the one that the run time follows.
            (Some((header, bases, address)), found) => match found {
                Some((start, bytes)) if start == address => (address, bytes, Some(header), bases),
                _ => (address, bytes_from(address, &segments, data).unwrap_or_default(), Some(header), bases),
            },
            (None, Some((start, bytes))) => (start, bytes, None, BaseAddresses::default()),
            (None, None) => return Err(UnwindError::NoTable),
        };
        if bytes.is_empty() {
            return Err(UnwindError::NoTable);
        }
        let mut eh_frame = EhFrame::new(bytes, gimli::LittleEndian);
        eh_frame.set_address_size(8);
        Ok(Self { segments, eh_frame, header, bases: bases.set_eh_frame(address), address })
    }
}

/// The section's address and bytes. Broken section headers are as good as none: nothing but tools reads them.
fn section<'d>(elf: &FileHeader64<LittleEndian>, data: &'d [u8]) -> Option<(u64, &'d [u8])> {
    let sections = elf.sections(LittleEndian, data).ok()?;
    let (_, section) = sections.section_by_name(LittleEndian, b".eh_frame")?;
    let bytes = section.data(LittleEndian, data).ok()?;
    (!bytes.is_empty()).then(|| (section.sh_addr(LittleEndian), bytes))
}

/// `.eh_frame_hdr` at `vaddr`: the list, the addresses that its pointers count from, and where it says that `.eh_frame` is.
fn list<'d>(vaddr: u64, segments: &[Segment], data: &'d [u8]) -> Option<(ParsedEhFrameHdr<Bytes<'d>>, BaseAddresses, u64)> {
    let bytes = bytes_from(vaddr, segments, data)?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(vaddr);
    let header = EhFrameHdr::new(bytes, gimli::LittleEndian).parse(&bases, 8).ok()?;
    let Pointer::Direct(address) = header.eh_frame_ptr() else { return None };
    Some((header, bases, address))
}

/// The file's bytes from `vaddr` to the end of its segment.
pub(super) fn bytes_from<'d>(vaddr: u64, segments: &[Segment], data: &'d [u8]) -> Option<&'d [u8]> {
    segments.iter().find_map(|segment| {
        let start = usize::try_from(segment.file_offset_of(vaddr)?).ok()?;
        let end = usize::try_from(segment.file_offset.checked_add(segment.file_size)?).ok()?;
        data.get(start..end)
    })
}
