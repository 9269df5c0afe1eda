//! Any bytes as a section of notes, in a file that is in order otherwise: no panic, and probes only where there is code.
//!
//! The first byte says whether there is a `.stapsdt.base`, and how far it was moved.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_daemon::inspect::usdt_probes;

/// Of the file below.
const CODE: std::ops::Range<u64> = 0x40_1000..0x40_1100;

/// A file of 256 bytes of code at [`CODE`], these notes, and 16 bytes of `.stapsdt.base`.
fn file(notes: &[u8], base: u64) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.text\0.note.stapsdt\0.stapsdt.base\0.shstrtab\0";
    let mut file = vec![0_u8; 0x1000];
    let head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\0\x10\x40\0\0\0\0\0\x40\0\0\0\0\0\0\0";
    file[..head.len()].copy_from_slice(head);
    file[52..58].copy_from_slice(&[64, 0, 56, 0, 1, 0]);
    file[58..64].copy_from_slice(&[64, 0, 5, 0, 4, 0]);
    // PT_LOAD, readable and executable, from offset 0x1000.
    let load = [0x1000, CODE.start, CODE.start, 0x100, 0x100, 0x1000_u64];
    file[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    for (place, word) in file[72..].chunks_exact_mut(8).zip(load) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    file.extend([0x90; 0x100]);
    let notes_at = file.len() as u64;
    file.extend_from_slice(notes);
    let names_at = file.len() as u64;
    file.extend_from_slice(NAMES);
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len() as u64;
    file[40..48].copy_from_slice(&sections.to_le_bytes());
    let mut section = |name: u32, kind: u32, flags: u64, address: u64, at: u64, size: u64| {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for word in [flags, address, at, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0; 8]);
        file.extend(4_u64.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
    };
    section(0, 0, 0, 0, 0, 0);
    section(1, 1, 6, CODE.start, 0x1000, 0x100);
    section(7, 7, 0, 0, notes_at, notes.len() as u64);
    section(21, 1, 2, base, 0x1000, 16);
    section(35, 3, 0, 0, names_at, NAMES.len() as u64);
    file
}

fuzz_target!(|bytes: &[u8]| {
    let Some((moved, notes)) = bytes.split_first() else { return };
    let (probes, bad) = usdt_probes(&file(notes, 0x40_0000 + 16 * u64::from(*moved))).expect("the file is in order");
    assert!(probes.len() + bad.len() <= notes.len() / 12 + 1, "a note takes its header");
    for probe in probes {
        assert!(CODE.contains(&probe.vaddr) && probe.file_offset - 0x1000 == probe.vaddr - CODE.start);
        assert!(!probe.name.is_empty() && probe.arguments.len() <= 12);
    }
});
