//! Bisection without branches: the kernel's verifier follows one path through it, whatever the data.

use crate::limits::{CHUNK_BITS, REGION_BITS};

/// 1 if `start <= at`, else 0. Both below 2^63.
///
/// A number to be shifted into place, and no mask: the verifier of newer kernels follows both values of a mask of all bits or none
/// (kernel/bpf/verifier.c, `maybe_fork_scalars`).
///
/// `opaque` gives its argument back. In the kernel it hides from the compiler that this is a comparison and has two results only: it would
/// make a branch of it, and the verifier would follow both sides at each step of a bisection.
#[inline(always)]
fn at_or_before(start: u64, at: u64, opaque: impl Fn(u64) -> u64) -> u64 {
    let sign = opaque(at.wrapping_sub(start)) >> 63;
    opaque(sign ^ 1)
}

/// The last of `2^bits` places whose start lies at or before `at`; 0 if none does. `start(place)` must not fall as `place` grows.
#[inline(always)]
pub fn last_at_or_before(bits: u32, at: u64, opaque: impl Fn(u64) -> u64, start: impl Fn(u64) -> u64) -> u64 {
    let mut place = 0;
    let mut bit = bits;
    while bit != 0 {
        bit -= 1;
        place |= at_or_before(start(place | 1 << bit), at, &opaque) << bit;
    }
    place
}

/// The place of the region that `address` lies in; `start` gives the first address of each ([`super::RegionTable::starts`]).
#[inline(always)]
pub fn region(address: u64, opaque: impl Fn(u64) -> u64, start: impl Fn(u64) -> u64) -> u64 {
    last_at_or_before(REGION_BITS, address, opaque, start)
}

/// Two to this is higher than any pc, and far below 2^63.
const BEYOND: u32 = 62;

/// The place among a region's `rows` of the last row whose pc is at or before `pc`; 0 if none is. `row_pc` gives the pc of a place, and
/// may give anything for one that is no row.
#[inline(always)]
pub fn row(pc: u32, rows: u32, opaque: impl Fn(u64) -> u64, row_pc: impl Fn(u64) -> u32) -> u64 {
    let start = |place: u64| u64::from(row_pc(place)) | at_or_before(u64::from(rows), place, &opaque) << BEYOND;
    last_at_or_before(CHUNK_BITS, u64::from(pc), &opaque, start)
}

#[cfg(test)]
mod tests {
    use super::{last_at_or_before, row};

    /// Anything may stand where there is no row.
    fn at<T: Copy + Default>(of: &[T], place: u64) -> T {
        usize::try_from(place).ok().and_then(|place| of.get(place)).copied().unwrap_or_default()
    }

    /// Check every place and what lies between against a linear search.
    #[test]
    fn finds_what_a_linear_search_finds() {
        let starts = [0_u64, 3, 4, 9, 9, 20, 1 << 62, 1 << 62];
        for address in 0..30 {
            let expected = starts.iter().rposition(|start| *start <= address).unwrap_or(0) as u64;
            assert_eq!(last_at_or_before(3, address, |word| word, |place| at(&starts, place)), expected, "{address}");
        }
    }

    /// Check that rows of another region behind the last one are not found, whatever they say.
    #[test]
    fn rows_end_with_their_region() {
        let pcs = [0_u32, 4, 9, 1, 2];
        for rows in 1..=3_u32 {
            for pc in 0..12 {
                let expected = pcs[..rows as usize].iter().rposition(|start| *start <= pc).unwrap_or(0) as u64;
                let found = row(pc, rows, |word| word, |place| at(&pcs, place));
                assert_eq!(found, expected, "{pc} of {rows}");
            }
        }
    }
}
