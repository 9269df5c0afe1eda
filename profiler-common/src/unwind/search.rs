//! Bisection without branches: the kernel's verifier follows one path through it, whatever the data.

/// `u64::MAX` if `start <= at`, else 0. Both below 2^63.
#[inline(always)]
#[must_use]
pub const fn at_or_before(start: u64, at: u64) -> u64 {
    // The sign of the difference, spread over the word.
    !((at.wrapping_sub(start) as i64 >> 63) as u64)
}

/// The last of `2^bits` places whose start lies at or before `at`; 0 if none does. `start(place)` must not fall as `place` grows, and is
/// at least 2^62 behind the last place in use.
///
/// `opaque` gives its argument back. In the kernel it hides from the compiler that the mask has two values only: it would make a branch
/// of it, and the verifier would follow both sides at each of the steps.
#[inline(always)]
pub fn last_at_or_before(bits: u32, at: u64, opaque: impl Fn(u64) -> u64, start: impl Fn(u64) -> u64) -> u64 {
    let mut place = 0;
    let mut bit = 1 << (bits - 1);
    while bit != 0 {
        place |= bit & opaque(at_or_before(start(place | bit), at));
        bit >>= 1;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::last_at_or_before;

    /// Check every place and what lies between against a linear search.
    #[test]
    fn finds_what_a_linear_search_finds() {
        let starts = [0_u64, 3, 4, 9, 9, 20, 1 << 62, 1 << 62];
        for at in 0..30 {
            let expected = starts.iter().rposition(|start| *start <= at).unwrap_or(0) as u64;
            assert_eq!(last_at_or_before(3, at, |mask| mask, |place| starts[place as usize]), expected, "{at}");
        }
    }
}
