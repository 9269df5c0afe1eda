//! The stubs of the procedure linkage table where the linker does not describe them: GNU's do, lld's (rustc's default on x86-64 since 1.90)
//! do not. A stub is 16 bytes, a jump and then a `push`, for all of them, which is what [`CfaKind::Plt`] says.

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};
use profiler_common::unwind::{CfaKind, Rule};

use super::{Row, UnwindTable};

/// The sections with stubs: lazy ones, those of functions whose address is taken, of indirect branch tracking, and of IFUNCs.
const SECTIONS: [&[u8]; 4] = [b".plt", b".plt.got", b".plt.sec", b".iplt"];

/// A jump of 6 bytes, a `push` of 5, a jump (lld's `X86_64::writePlt`; the same in GNU's).
const STUB: Rule = Rule { offset: 8, addend: 11, ..Rule::of(CfaKind::Plt) };

/// Gives the stubs a row where they lie in a gap. Without section headers there is nothing to know them by.
pub(super) fn mark(table: &mut UnwindTable, data: &[u8]) {
    for (start, end) in stubs(data) {
        let pc = |address: u64| u32::try_from(address.checked_sub(table.base)?).ok();
        if let (Some(from), Some(to)) = (pc(start), pc(end)) {
            fill(table, from, to, STUB);
        }
    }
}

/// The addresses of the stubs: first and behind the last of each section.
fn stubs(data: &[u8]) -> Vec<(u64, u64)> {
    let endian = LittleEndian;
    let sections = FileHeader64::<LittleEndian>::parse(data).and_then(|elf| elf.sections(endian, data));
    let Ok(sections) = sections else { return Vec::new() };
    let of = |name: &&[u8]| sections.section_by_name(endian, name).map(|(_, section)| section);
    SECTIONS
        .iter()
        .filter_map(of)
        .map(|section| (section.sh_addr(endian), section.sh_addr(endian).saturating_add(section.sh_size(endian))))
        .collect()
}

/// Lets `rule` hold from `from` up to `to` wherever a gap was.
fn fill(table: &mut UnwindTable, from: u32, to: u32, rule: Rule) {
    let place = match table.rules.iter().position(|known| *known == rule) {
        Some(place) => place,
        None => table.rules.len(),
    };
    let Ok(place) = u16::try_from(place) else { return };
    let ends = table.rows.iter().skip(1).map(|row| row.pc).chain([u32::MAX]);
    let mut rows: Vec<Row> = Vec::with_capacity(table.rows.len() + 2);
    for (row, end) in table.rows.iter().zip(ends) {
        let is_gap = table.rules.get(usize::from(row.rule)).is_some_and(|rule| rule.cfa == CfaKind::Gap as u8);
        let (first, last) = (row.pc.max(from), end.min(to));
        if !is_gap || first >= last {
            rows.push(*row);
            continue;
        }
        if row.pc < first {
            rows.push(*row);
        }
        rows.push(Row { pc: first, rule: place });
        if last < end {
            rows.push(Row { pc: last, rule: row.rule });
        }
    }
    if usize::from(place) == table.rules.len() {
        table.rules.push(rule);
    }
    table.rows = rows;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::unwind::Coverage;

    /// Rows by the letter of their rule: `g` a gap, `c` code, `p` stubs.
    fn filled(rows: &[(u32, u16)], from: u32, to: u32) -> Vec<(u32, char)> {
        let rules = vec![Rule::of(CfaKind::Gap), Rule { offset: 8, ..Rule::of(CfaKind::Rsp) }];
        let rows = rows.iter().map(|&(pc, rule)| Row { pc, rule }).collect();
        let mut table = UnwindTable { base: 0, rows, rules, segments: Vec::new(), coverage: Coverage::default() };
        fill(&mut table, from, to, STUB);
        table.rows.iter().map(|row| (row.pc, ['g', 'c', 'p'][usize::from(row.rule)])).collect()
    }

    /// Check that stubs take the part of a gap that they lie in, and nothing of code that is described.
    #[test]
    fn stubs_fill_gaps_only() {
        let gap_around = [(0, 1), (16, 0)];
        assert_eq!(filled(&gap_around, 32, 64), [(0, 'c'), (16, 'g'), (32, 'p'), (64, 'g')]);
        assert_eq!(filled(&gap_around, 16, 64), [(0, 'c'), (16, 'p'), (64, 'g')]);
        assert_eq!(filled(&gap_around, 0, 24), [(0, 'c'), (16, 'p'), (24, 'g')]);
        assert_eq!(filled(&gap_around, 0, 16), [(0, 'c'), (16, 'g')]);
        assert_eq!(filled(&[(0, 0), (8, 1), (24, 0)], 4, 40), [(0, 'g'), (4, 'p'), (8, 'c'), (24, 'p'), (40, 'g')]);
    }

    /// Check that bytes that are no file have no stubs.
    #[test]
    fn no_file_no_stubs() {
        assert_eq!(stubs(b"\x7fELF"), []);
    }
}
