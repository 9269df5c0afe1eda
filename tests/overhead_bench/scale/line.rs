//! What one line of memory takes that is not in a near cache: the least that any state costs which is kept for each member of a crowd.
//!
//! As many lines as the crowd has members, as far apart as rows lie, are gone through in an order that no prefetcher guesses, each naming the next. The
//! memory is in large pages where there are some, as the kernel's own is.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes from one line to the next.
const APART: usize = 256;
/// 32-bit words of that.
const STRIDE: usize = APART / 4;
/// A small page's bytes.
const PAGE: usize = 4096;
/// How long the lines are gone through, whole rounds at a time.
const LENGTH: Duration = Duration::from_millis(60);
/// How often, of which the least counts: whatever else the machine does only adds to it.
const TIMES: usize = 5;

/// Nanoseconds for each of `count` lines.
pub(super) fn ns(count: u32) -> f64 {
    let Some(lines) = Lines::of(count) else { return f64::NAN };
    // Once round, so that all pages are there.
    lines.round();
    (0..TIMES).map(|_| lines.timed()).fold(f64::INFINITY, f64::min)
}

/// Each line's first word is the number of the next.
struct Lines {
    words: Vec<u32>,
    count: u32,
}

impl Lines {
    fn of(count: u32) -> Option<Self> {
        let bytes = usize::try_from(count).ok()?.checked_mul(APART)?;
        let mut words: Vec<u32> = Vec::with_capacity(bytes / 4);
        // SAFETY: advice on memory of ours, whose whole pages are meant; what fails leaves small pages.
        unsafe { libc::madvise(page_of(words.as_mut_ptr()), bytes.saturating_sub(PAGE), libc::MADV_HUGEPAGE) };
        words.resize(bytes / 4, 0);
        let order = circle(count);
        for (place, next) in order.iter().enumerate() {
            *words.get_mut(place * STRIDE)? = *next;
        }
        Some(Self { words, count })
    }

    /// Through all of them.
    fn round(&self) -> u32 {
        let mut at = 0;
        for _ in 0..self.count {
            at = self.words.get(at as usize * STRIDE).copied().unwrap_or(0);
        }
        black_box(at)
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second, and a million lines")]
    fn timed(&self) -> f64 {
        let (begun, mut rounds) = (Instant::now(), 0_u64);
        while begun.elapsed() < LENGTH {
            let _: u32 = self.round();
            rounds += 1;
        }
        begun.elapsed().as_nanos() as f64 / (rounds * u64::from(self.count)) as f64
    }
}

/// The page behind `at`.
fn page_of(at: *mut u32) -> *mut libc::c_void {
    at.map_addr(|at| at.next_multiple_of(PAGE)).cast()
}

/// One circle through all numbers below `count`: of each, which comes next (Sattolo's way, by a fixed seed).
fn circle(count: u32) -> Vec<u32> {
    let mut next: Vec<u32> = (0..count).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..next.len()).rev() {
        // xorshift64, Marsaglia 2003.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let other = usize::try_from(random % last as u64).unwrap_or(0);
        next.swap(last, other);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circle_goes_through_all() {
        let lines = Lines::of(100).unwrap();
        let mut seen = [false; 100];
        let mut at = 0_usize;
        for _ in 0..100 {
            assert!(!seen[at]);
            seen[at] = true;
            at = lines.words[at * STRIDE] as usize;
        }
        assert_eq!(at, 0);
        assert!(seen.iter().all(|seen| *seen));
        assert!(ns(1000) > 0.0);
    }
}
