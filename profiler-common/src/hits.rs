//! First hits of a probe site: whether what is found there is what it was put there for.
//!
//! A site of a poll's start was found by its type's vtable, so the tasks that reach it have that vtable. Where none has, the site is wrong: each of its
//! hits is refused, and it is taken out.

/// One row of the map of hits; the key is the address of the probed instruction in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SiteHits {
    /// Hits of tasks that were new and had a vtable that belongs there, counted up to [`FIRST_HITS`].
    pub accepted: u64,
    /// Hits whose header could not be read, or had no vtable that belongs there.
    pub refused: u64,
}

/// So many accepted hits are counted: one would do, and the row is only read from then on.
pub const FIRST_HITS: u64 = 16;
