//! Where rows lie: the target's address space as sorted regions, each pointing into one chunk of rows.

use crate::limits::{CHUNK_ROWS, REGIONS};

/// What a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RegionKind {
    /// Nothing executable.
    None = 0,
    /// Code with rows.
    Rows = 1,
    /// Code of a file without tables, or of no file: frame pointers are tried.
    FramePointers = 2,
}

/// One region: from its start (in [`RegionTable::starts`]) up to the next one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Region {
    /// The address from which the pcs of its rows count.
    pub base: u64,
    /// [`RegionKind`] as a number.
    pub kind: u32,
    /// Its chunk.
    pub chunk: u32,
    /// Its first row in the chunk.
    pub first: u32,
    /// How many rows, 1 at least where `kind` is `Rows`.
    pub rows: u32,
}

/// The whole address space. The kernel side has two, of which one is current, so that a walk never meets a half-written one.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RegionTable {
    /// First address of each region, sorted; the first is 0, those that are not used are `i64::MAX`.
    pub starts: [u64; REGIONS],
    /// The regions.
    pub regions: [Region; REGIONS],
}

/// Rows, shared by several regions. Two arrays, because bisection reads only the first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Chunk {
    /// From which pc on a row holds, counted from its region's `base` (bytes), sorted within a region.
    pub pcs: [u32; CHUNK_ROWS],
    /// The place of its rule.
    pub rules: [u16; CHUNK_ROWS],
}
