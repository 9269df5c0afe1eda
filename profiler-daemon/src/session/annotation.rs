//! What the annotation in the target says of itself: its table, read from the target's memory. The layout is that of
//! `profiler-annotate/src/table.rs`.

use crate::target::Target;
use crate::target::memory::{Spans as _, TargetMemory};

const MAGIC: &[u8; 8] = b"PRFANNOT";
const VERSION: u32 = 1;
/// Offset of the counter of numbered scopes (bytes).
const SCOPES: usize = 320;
const SIZE: usize = 384;

/// How many scopes the target has numbered so far, by the table at `address`. `None` where no table of this version can be read.
pub(super) fn scopes_numbered(target: &Target, address: u64) -> Option<u64> {
    let mut table = [0; SIZE];
    let memory = TargetMemory::of(target).ok()?;
    let read = memory.read(address, &mut table) && !memory.is_gone();
    if read { parse(&table) } else { None }
}

fn parse(table: &[u8; SIZE]) -> Option<u64> {
    let version = u32::from_ne_bytes(table.get(8..12)?.try_into().ok()?);
    if table.get(..8)? != MAGIC || version != VERSION {
        return None;
    }
    Some(u64::from_ne_bytes(table.get(SCOPES..SCOPES + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only a table of this version is read.
    #[test]
    fn reads_its_own_version_only() {
        let mut table = [0; SIZE];
        assert_eq!(parse(&table), None);
        table[..8].copy_from_slice(MAGIC);
        assert_eq!(parse(&table), None);
        table[8] = 1;
        table[SCOPES] = 7;
        assert_eq!(parse(&table), Some(7));
    }
}
