//! A whole divided in proportion, in whole numbers that add up to it.

/// Splits `total` in proportion to `counts`, in whole numbers that add up to it (largest remainder; of equal
/// remainders the first). All zero where every count is zero.
#[must_use]
pub fn split_exactly(total: u64, counts: &[u64]) -> Vec<u64> {
    let sum: u128 = counts.iter().map(|&count| u128::from(count)).sum();
    if sum == 0 {
        return vec![0; counts.len()];
    }
    // Both factors are below 2^64: the product fits, and the quotient is at most `total`.
    let parts = counts.iter().map(|&count| u128::from(total) * u128::from(count));
    let mut shares: Vec<u64> = parts.clone().map(|part| u64::try_from(part / sum).unwrap_or(total)).collect();
    let given: u64 = shares.iter().sum();
    let left = usize::try_from(total.saturating_sub(given)).unwrap_or(usize::MAX);
    let mut by_remainder: Vec<(u128, usize)> = parts.map(|part| part % sum).zip(0..).collect();
    by_remainder.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in by_remainder.into_iter().take(left) {
        if let Some(share) = shares.get_mut(index) {
            *share = share.saturating_add(1);
        }
    }
    shares
}
