//! A 64-bit word of which some bits are known: what the interpreter computes with.

/// `bits` are meaningful where `known` is set, and zero elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    bits: u64,
    known: u64,
}

impl Value {
    pub(crate) const UNKNOWN: Self = Self { bits: 0, known: 0 };

    pub(crate) fn known(bits: u64) -> Self {
        Self { bits, known: u64::MAX }
    }

    /// A flag as 0 or 1.
    pub(crate) fn flag(flag: Option<bool>) -> Self {
        match flag {
            Some(set) => Self::known(u64::from(set)),
            None => Self { bits: 0, known: !1 },
        }
    }

    /// The low `size` bytes, zero-extended.
    pub(crate) fn low(self, size: usize) -> Self {
        let mask = mask(size);
        Self { bits: self.bits & mask, known: self.known | !mask }
    }

    /// `self` with its low `size` bytes replaced, as a write to `al` or `ax` does.
    pub(crate) fn with_low(self, size: usize, low: Self) -> Self {
        let mask = mask(size);
        Self { bits: (self.bits & !mask) | (low.bits & mask), known: (self.known & !mask) | (low.known & mask) }
    }

    /// The low `size` bytes, sign-extended.
    pub(crate) fn sign_extend(self, size: usize) -> Self {
        let shift = 64 - 8 * u32::try_from(size.clamp(1, 8)).unwrap_or(8);
        let extend = |word: u64| (word.wrapping_shl(shift).cast_signed() >> shift).cast_unsigned();
        Self { bits: extend(self.bits), known: extend(self.known) }
    }

    /// The word, where the low `size` bytes are all known.
    pub(crate) fn exact(self, size: usize) -> Option<u64> {
        let mask = mask(size);
        (self.known & mask == mask).then_some(self.bits & mask)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let zeros = (self.known & !self.bits) | (other.known & !other.bits);
        Self { bits: self.bits & other.bits, known: (self.known & other.known) | zeros }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        let ones = self.bits | other.bits;
        Self { bits: ones, known: (self.known & other.known) | ones }
    }

    pub(crate) fn xor(self, other: Self) -> Self {
        let known = self.known & other.known;
        Self { bits: (self.bits ^ other.bits) & known, known }
    }

    pub(crate) fn not(self) -> Self {
        Self { bits: !self.bits & self.known, known: self.known }
    }

    /// A binary operation that needs every bit.
    pub(crate) fn exactly(self, other: Self, size: usize, operation: impl Fn(u64, u64) -> u64) -> Self {
        match (self.exact(size), other.exact(size)) {
            (Some(a), Some(b)) => Self::known(operation(a, b)).low(size),
            _ => Self::UNKNOWN,
        }
    }

    /// Whether the low `size` bytes are zero, where that is certain.
    pub(crate) fn is_zero(self, size: usize) -> Option<bool> {
        let mask = mask(size);
        if self.bits & mask != 0 { Some(false) } else { self.exact(size).map(|_| true) }
    }

    /// Bit `index`, where it is known.
    pub(crate) fn bit(self, index: u32) -> Option<bool> {
        let bit = 1_u64.checked_shl(index)?;
        (self.known & bit != 0).then_some(self.bits & bit != 0)
    }

    /// The sign bit of a word of `size` bytes.
    pub(crate) fn sign(self, size: usize) -> Option<bool> {
        self.bit(u32::try_from(size * 8).ok()?.checked_sub(1)?)
    }

    /// One byte of the word.
    pub(crate) fn byte(self, index: usize) -> Self {
        let shift = u32::try_from(index * 8).unwrap_or(64);
        Self { bits: self.bits.checked_shr(shift).unwrap_or(0), known: self.known.checked_shr(shift).unwrap_or(0) }.low(1)
    }

    /// The word of these bytes, lowest first.
    pub(crate) fn from_bytes(bytes: impl Iterator<Item = Self>) -> Self {
        let mut word = Self::known(0);
        for (index, byte) in bytes.take(8).enumerate() {
            let shift = 8 * index;
            word.bits |= (byte.bits & 0xff) << shift;
            word.known &= !(0xff << shift) | ((byte.known & 0xff) << shift);
        }
        word
    }
}

/// The mask of the low `size` bytes.
pub(crate) fn mask(size: usize) -> u64 {
    match size {
        0 => 0,
        1..=7 => (1 << (8 * size)) - 1,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_with_a_known_zero_is_known() {
        let low_bits = Value::UNKNOWN.and(Value::known(0xff));
        assert_eq!(low_bits.exact(8), None);
        assert_eq!(low_bits.low(1).exact(1), None);
        assert_eq!(low_bits.bit(8), Some(false));
    }

    #[test]
    fn a_word_survives_its_bytes() {
        let word = Value::known(0x1122_3344_5566_7788);
        assert_eq!(Value::from_bytes((0..8).map(|index| word.byte(index))), word);
        assert_eq!(word.sign_extend(1).exact(8), Some(0xffff_ffff_ffff_ff88));
        assert_eq!(Value::UNKNOWN.with_low(1, Value::known(3)).low(1).exact(8), Some(3));
    }
}
