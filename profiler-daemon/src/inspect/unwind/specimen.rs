//! Small ELF files with call frame information of any kind, for tests.

use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, EhFrame, EndianVec, Expression, FrameDescriptionEntry, FrameTable,
};
use gimli::{Encoding, Format, LittleEndian, Register};

/// Where the only segment begins. It holds the whole file and is executable.
pub(super) const BASE: u64 = 0x40_0000;
/// Where functions of a specimen may begin.
pub(super) const CODE: u64 = BASE + 0x1000;
/// How long the segment is in memory.
pub(super) const MEMORY: u64 = 0x10_0000;

pub(super) const RAX: Register = Register(0);
pub(super) const RBX: Register = Register(3);
pub(super) const RBP: Register = Register(6);
pub(super) const RSP: Register = Register(7);
pub(super) const RA: Register = Register(16);

/// A function: where it begins (bytes behind [`CODE`]), how long it is, and its instructions, each at its offset.
pub(super) struct Function {
    pub(super) at: u32,
    pub(super) len: u32,
    pub(super) signal: bool,
    pub(super) instructions: Vec<(u32, CallFrameInstruction)>,
}

/// A function of usual shape.
pub(super) fn function(at: u32, len: u32, instructions: &[(u32, CallFrameInstruction)]) -> Function {
    Function { at, len, signal: false, instructions: instructions.to_vec() }
}

/// An expression of these bytes.
pub(super) fn expression(bytes: &[u8]) -> Expression {
    Expression::raw(bytes.to_vec())
}

/// `.eh_frame` of these functions, with what every compiler writes for the entry: CFA at rsp + 8, return address at CFA - 8.
pub(super) fn eh_frame(functions: &[Function]) -> Vec<u8> {
    let mut table = FrameTable::default();
    for function in functions {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 1 };
        let mut head = CommonInformationEntry::new(encoding, 1, -8, RA);
        head.signal_trampoline = function.signal;
        head.add_instruction(CallFrameInstruction::Cfa(RSP, 8));
        head.add_instruction(CallFrameInstruction::Offset(RA, -8));
        let head = table.add_cie(head);
        let mut entry = FrameDescriptionEntry::new(Address::Constant(CODE + u64::from(function.at)), function.len);
        for (offset, instruction) in &function.instructions {
            entry.add_instruction(*offset, instruction.clone());
        }
        table.add_fde(head, entry);
    }
    let mut section = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section).unwrap();
    section.0.into_vec()
}

/// The entries of what [`eh_frame`] wrote: where their code begins, and their offset.
pub(super) fn entries(eh_frame: &[u8]) -> Vec<(u64, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < eh_frame.len() {
        let word = |from: usize| u32::from_le_bytes(eh_frame[from..from + 4].try_into().unwrap());
        if word(at + 4) != 0 {
            found.push((u64::from_le_bytes(eh_frame[at + 8..at + 16].try_into().unwrap()), at));
        }
        at += 4 + word(at) as usize;
    }
    found
}

/// How a file says where its call frame information is.
pub(super) enum Found<'a> {
    /// By a section header only.
    Section,
    /// By `PT_GNU_EH_FRAME` only, with this list of entries.
    List(&'a [(u64, usize)]),
    /// By `PT_GNU_EH_FRAME` only, without a list.
    Header,
    /// Not at all.
    Nothing,
}

/// An ELF file with this `.eh_frame`.
pub(super) fn elf(eh_frame: &[u8], found: &Found<'_>) -> Vec<u8> {
    let headers = 64 + 2 * 56;
    let mut file = vec![0_u8; headers];
    let frame_at = file.len();
    file.extend_from_slice(eh_frame);
    // The end of the section, where nothing else says it.
    file.extend([0; 8]);
    let list_at = file.len();
    let distance = |to: usize, from: usize| i32::try_from(to.cast_signed() - from.cast_signed()).unwrap().to_le_bytes();
    if let Found::List(entries) = found {
        file.extend([1, 0x1b, 0x03, 0x3b]);
        file.extend(distance(frame_at, list_at + 4));
        file.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
        for (start, offset) in *entries {
            file.extend(distance(usize::try_from(start - BASE).unwrap(), list_at));
            file.extend(distance(frame_at + offset, list_at));
        }
    } else if matches!(found, Found::Header) {
        file.extend([1, 0x1b, 0xff, 0xff]);
        file.extend(distance(frame_at, list_at + 4));
    }
    let list_end = file.len();
    let names_at = file.len();
    file.extend(b"\0.eh_frame\0.shstrtab\0");
    let sections_at = file.len();
    let mut section = |name: u32, kind: u32, address: u64, at: usize, size: usize| {
        file.extend(name.to_le_bytes().into_iter().chain(kind.to_le_bytes()));
        for word in [2, address, at as u64, size as u64, 0, 1, 0] {
            file.extend(word.to_le_bytes());
        }
    };
    section(0, 0, 0, 0, 0);
    section(11, 3, 0, names_at, 21);
    if matches!(found, Found::Section) {
        section(1, 1, BASE + frame_at as u64, frame_at, eh_frame.len());
    }
    let sections: u8 = if matches!(found, Found::Section) { 3 } else { 2 };

    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    header.extend([3, 0, 62, 0, 1, 0, 0, 0]); // DYN, x86-64, version 1
    for word in [0, 64, sections_at as u64] {
        header.extend(word.to_le_bytes());
    }
    header.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, sections, 0, 1, 0]); // two program headers; names in section 1
    header.extend([1, 0, 0, 0, 5, 0, 0, 0]); // LOAD, R | X
    for word in [0, BASE, BASE, list_end as u64, MEMORY, 0x1000] {
        header.extend(word.to_le_bytes());
    }
    let kind: u32 = if matches!(found, Found::List(_) | Found::Header) { 0x6474_e550 } else { 0 }; // GNU_EH_FRAME or NULL
    header.extend(kind.to_le_bytes().into_iter().chain(4_u32.to_le_bytes()));
    let size = (list_end - list_at) as u64;
    for word in [list_at as u64, BASE + list_at as u64, BASE + list_at as u64, size, size, 4] {
        header.extend(word.to_le_bytes());
    }
    file[..header.len()].copy_from_slice(&header);
    file
}
