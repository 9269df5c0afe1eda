//! Damaged and hostile files: an error or a smaller table, never a panic, never more rows than bytes.

use gimli::write::CallFrameInstruction as Cfi;
use proptest::prelude::*;

use super::specimen::{Found, RBP, RSP, eh_frame, elf, entries, expression, function};
use super::{UnwindError, UnwindTable, unwind_table};

/// What holds for every table, whatever the file.
fn sound(table: &UnwindTable, file: &[u8]) {
    assert!(table.rows.is_sorted_by(|one, next| one.pc < next.pc), "sorted, no pc twice");
    assert!(table.rows.windows(2).all(|pair| pair[0].rule != pair[1].rule), "equal neighbours are merged");
    assert!(table.rows.iter().all(|row| usize::from(row.rule) < table.rules.len()));
    assert_eq!(table.rows.first().map(|row| row.pc), Some(0));
    // A row takes an instruction, a gap an entry.
    assert!(table.rows.len() <= 2 * file.len(), "{} rows of {} bytes", table.rows.len(), file.len());
}

fn specimen(found: &Found<'_>) -> Vec<u8> {
    elf(&specimen_frame(), found)
}

fn specimen_frame() -> Vec<u8> {
    eh_frame(&[
        function(
            0,
            0x40,
            &[(1, Cfi::CfaOffset(16)), (1, Cfi::Offset(RBP, -16)), (4, Cfi::CfaRegister(RBP)), (0x3f, Cfi::Cfa(RSP, 8))],
        ),
        function(0x40, 0x20, &[(4, Cfi::RememberState), (9, Cfi::CfaOffset(32)), (16, Cfi::RestoreState)]),
        function(0x80, 0x20, &[(0, Cfi::CfaExpression(expression(&[0x76, 0x78, 0x06])))]),
    ])
}

#[test]
fn errors_tell_files_apart() {
    assert!(matches!(unwind_table(b""), Err(UnwindError::Elf(_))));
    assert!(matches!(unwind_table(b"#!/bin/sh\n"), Err(UnwindError::Elf(_))));
    let mut file = specimen(&Found::Section);
    file[18] = 183; // EM_AARCH64
    assert!(matches!(unwind_table(&file), Err(UnwindError::Elf(_))));
    let mut file = specimen(&Found::Section);
    file[64 + 4] = 4; // R, not X
    assert_eq!(unwind_table(&file), Err(UnwindError::NoCode));
}

#[test]
fn every_truncation_is_survived() {
    let frame = specimen_frame();
    for found in [Found::Section, Found::Header, Found::List(&entries(&frame))] {
        let file = elf(&frame, &found);
        for length in 0..file.len() {
            if let Ok(table) = unwind_table(&file[..length]) {
                sound(&table, &file);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Any bytes in the place of some.
    #[test]
    fn flipped_bytes_are_survived(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24), how in 0..3_usize) {
        let frame = specimen_frame();
        let list = entries(&frame);
        let found = [Found::Section, Found::Header, Found::List(&list)];
        let mut file = elf(&frame, &found[how]);
        for (index, value) in flips {
            let at = index.index(file.len());
            file[at] = value;
        }
        if let Ok(table) = unwind_table(&file) {
            sound(&table, &file);
        }
    }

    /// Any instructions in an entry.
    #[test]
    fn any_instructions_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut frame = eh_frame(&[function(0, 0x4000, &[])]);
        let entry = entries(&frame)[0].1;
        // Behind the length, the way back, the address and the length of the code.
        frame.truncate(entry + 24);
        frame.extend(&bytes);
        let len = u32::try_from(20 + bytes.len()).unwrap();
        frame[entry..entry + 4].copy_from_slice(&len.to_le_bytes());
        let file = elf(&frame, &Found::Section);
        let table = unwind_table(&file).unwrap();
        sound(&table, &file);
    }

    /// Any bytes as a list of entries.
    #[test]
    fn any_list_is_survived(bytes in prop::collection::vec(any::<u8>(), 4..80)) {
        let frame = specimen_frame();
        let mut file = elf(&frame, &Found::List(&entries(&frame)));
        let at = 64 + 2 * 56 + frame.len() + 8;
        let end = file.len().min(at + bytes.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
        if let Ok(table) = unwind_table(&file) {
            sound(&table, &file);
        }
    }
}
