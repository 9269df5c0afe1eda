//! The signal trampoline of a libc that does not describe it, known by its bytes.
//!
//! musl's (`src/signal/x86_64/restore.s`) has no entry in `.eh_frame`. libgcc's unwinder knows it by the same bytes
//! (`libgcc/config/i386/linux-unwind.h`, `x86_64_fallback_frame_state`).

use memchr::memmem;
use profiler_common::unwind::{CfaKind, Rule};

use super::source::bytes_from;
use super::{Row, UnwindTable, architecture};

/// Gives the trampoline a row where it lies in a gap. A program has one; glibc's has a row already.
pub(super) fn mark(table: &mut UnwindTable, data: &[u8]) {
    let rule = Rule::of(CfaKind::Signal);
    let Ok(place) = u16::try_from(table.rules.len()) else { return };
    if table.rules.contains(&rule) {
        return;
    }
    let finder = memmem::Finder::new(architecture::TRAMPOLINE);
    let code = table.segments.iter().filter(|segment| segment.executable);
    let found = code.filter_map(|segment| Some((segment.vaddr, bytes_from(segment.vaddr, &table.segments, data)?))).find_map(
        |(vaddr, bytes)| {
            finder.find_iter(bytes).find_map(|at| gap_at(table, vaddr.checked_add(at as u64)?.checked_sub(table.base)?))
        },
    );
    let Some((at, [from, to])) = found else { return };
    let Some(gap) = table.rows.get(at).copied() else { return };
    table.rules.push(rule);
    // What the gap keeps before the trampoline and behind it.
    let before = (gap.pc < from).then_some(gap);
    let behind = table.rows.get(at + 1).is_none_or(|next| to < next.pc).then_some(Row { pc: to, rule: gap.rule });
    let rows: Vec<Row> = before.into_iter().chain([Row { pc: from, rule: place }]).chain(behind).collect();
    table.rows.splice(at..=at, rows);
}

/// The gap's row and the pcs of the trampoline, if it lies in a gap with a byte before it: the handler returns to its first byte, and
/// return addresses are looked up one byte before.
fn gap_at(table: &UnwindTable, pc: u64) -> Option<(usize, [u32; 2])> {
    let from = u32::try_from(pc.checked_sub(1)?).ok()?;
    let to = from.checked_add(1)?.checked_add(u32::try_from(architecture::TRAMPOLINE.len()).ok()?)?;
    let at = table.rows.partition_point(|row| row.pc <= from).checked_sub(1)?;
    let gap = table.rules.get(usize::from(table.rows.get(at)?.rule))?.cfa == CfaKind::Gap as u8;
    let room = table.rows.get(at + 1).is_none_or(|next| to <= next.pc);
    (gap && room).then_some((at, [from, to]))
}
