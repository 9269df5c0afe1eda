//! A trace id as it is written: 32 hexadecimal digits. Computed by whole words, because the kernel side has to do it at every look.

use crate::awaits::key::KeyWords;

/// Bytes of a written trace id.
pub const TRACE_TEXT: u32 = 32;

/// The 16 bytes of a trace id, as two words of memory, as text, with zeros behind it.
#[inline(always)]
#[must_use]
pub fn trace_text(trace: &[u64; 2]) -> KeyWords {
    let [first, second] = [hex_words(trace[0]), hex_words(trace[1])];
    // Not a plain 0: LLVM would call `memset`, which is a loop of bytes on BPF.
    let zero = core::hint::black_box(0_u64);
    [first[0], first[1], second[0], second[1], zero, zero, zero, zero]
}

/// The 8 bytes of a word of memory as 16 hexadecimal digits, in the same order.
#[inline(always)]
#[must_use]
pub const fn hex_words(word: u64) -> [u64; 2] {
    [digits(word & 0xffff_ffff), digits(word >> 32)]
}

/// The 4 bytes of `half`, the lowest first, as 8 digits.
#[inline(always)]
const fn digits(half: u64) -> u64 {
    // Each byte into a lane of 16 bits, then its high digit into the lane's low byte, which is written first.
    let wide = (half | half << 16) & 0x0000_ffff_0000_ffff;
    let wide = (wide | wide << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = wide >> 4 & 0x000f_000f_000f_000f | (wide & 0x000f_000f_000f_000f) << 8;
    // 10 to 15 carry into the next digit when 6 is added; letters begin 39 behind where digits would go on.
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + letters * 39
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Check that the text is that of the bytes in their order.
        #[test]
        fn texts_are_those_of_the_bytes(bytes in any::<[u8; 16]>()) {
            let words = [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
            let text: Vec<u8> = trace_text(&words).iter().flat_map(|word| word.to_le_bytes()).collect();
            let expected = format!("{:032x}", u128::from_be_bytes(bytes));
            prop_assert_eq!(&text[..32], expected.as_bytes());
            prop_assert_eq!(&text[32..], &[0; 32]);
        }
    }
}
