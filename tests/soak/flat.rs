//! Whether a series of numbers grows.

/// Numbers that were looked at one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<u64>);

/// How much more the last quarter may be than the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// Of the first quarter, in a hundred.
    per_cent: u64,
    /// And beside.
    flat: u64,
    /// Not the first, but the third quarter is what the last is held against.
    from_middle: bool,
    /// No number may be greater.
    most: u64,
}

impl Bound {
    /// Of memory (KiB): an allocator keeps some of what it had, in another pattern each time.
    pub(crate) const fn memory() -> Self {
        Self { per_cent: 10, flat: 4096, from_middle: false, most: u64::MAX }
    }

    /// Of memory (KiB) that is filled with what is seen, up to bounds that take a quarter of an hour to reach: never more than 400 MiB, and flat
    /// behind the middle of a run that is `long`.
    pub(crate) const fn filling(long: bool) -> Self {
        let flat = if long { Self::memory().flat } else { u64::MAX };
        Self { from_middle: true, most: 400 << 10, flat, ..Self::memory() }
    }

    /// Of what is counted: one that is open for a moment.
    pub(crate) const fn count() -> Self {
        Self { per_cent: 0, flat: 2, from_middle: false, most: u64::MAX }
    }
}

impl Series {
    pub(crate) fn push(&mut self, number: u64) {
        self.0.push(number);
    }

    /// The median of the first quarter.
    pub(crate) fn first(&self) -> u64 {
        median(self.0.get(..self.quarter()).unwrap_or_default())
    }

    /// The median of the third quarter.
    fn third(&self) -> u64 {
        let behind = self.0.len() - self.quarter();
        median(self.0.get(behind.saturating_sub(self.quarter())..behind).unwrap_or_default())
    }

    /// The median of the last quarter.
    pub(crate) fn last(&self) -> u64 {
        median(self.0.get(self.0.len() - self.quarter()..).unwrap_or_default())
    }

    /// The greatest.
    pub(crate) fn most(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn quarter(&self) -> usize {
        self.0.len().div_ceil(4)
    }

    /// Why it is not flat. Fewer than eight numbers have no quarters to speak of.
    pub(crate) fn against(&self, bound: Bound) -> Option<String> {
        if self.most() > bound.most {
            return Some(format!("was {} at its most, {} were allowed", self.most(), bound.most));
        }
        let (first, last) = (if bound.from_middle { self.third() } else { self.first() }, self.last());
        let most = (first + first * bound.per_cent / 100).saturating_add(bound.flat);
        (self.0.len() >= 8 && last > most).then(|| format!("grew from {first} to {last}, {most} were allowed"))
    }
}

fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(numbers: impl IntoIterator<Item = u64>) -> Series {
        Series(numbers.into_iter().collect())
    }

    #[test]
    fn what_grows_is_told_from_what_does_not() {
        let bound = Bound { per_cent: 10, flat: 5, from_middle: false, most: 1000 };
        assert!(series([100, 101, 99, 100, 100, 102, 110, 113]).against(bound).is_none());
        let grows = series((0..40).map(|number| 100 + number));
        assert_eq!((grows.first(), grows.last(), grows.most()), (105, 135, 139));
        assert!(grows.against(bound).is_some());
        assert!(series([1, 100]).against(bound).is_none(), "too few");
        // One peak in the middle is none at the end.
        assert!(series([100, 100, 100, 900, 900, 100, 100, 100]).against(bound).is_none());
        assert_eq!(Series::default().against(bound), None);
        assert!(series([1001; 4]).against(bound).is_some(), "more than there may ever be");
        // Filled in the first half, and flat behind.
        let filled = series((0..40).map(|number| 100 + number.min(20) * 5));
        assert!(filled.against(bound).is_some() && filled.against(Bound { from_middle: true, ..bound }).is_none());
        assert!(grows.against(Bound { from_middle: true, flat: 0, ..bound }).is_none(), "ten in a hundred");
        assert!(grows.against(Bound { from_middle: true, flat: 0, per_cent: 2, ..bound }).is_some());
    }
}
