//! Unwind rows into the kernel side's maps: rows into chunks, rules into one table, and the target's code into regions that point at them.
//!
//! Chunks are made as they are needed and never given back: the same library mapped again has its rows already. Regions are written
//! whole into the table that is not current, and the gate then says which one is.

use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, RawFd};

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, MapError};
use aya_obj::generated::bpf_map_type;
use profiler_common::limits::{CHUNK_ROWS, CHUNKS, REGIONS, RULES};
use profiler_common::unwind::{CfaKind, Chunk, Region, RegionKind, RegionTable, Rule};

use super::programs::map_fd;
use super::{AttachError, sys, typed};

/// The rows of one file, as plain data.
#[derive(Clone, Copy, Debug)]
pub struct UnwindRows<'a> {
    /// From which pc on a rule holds (bytes from the file's base), sorted.
    pub pcs: &'a [u32],
    /// The place in `rules` of each.
    pub places: &'a [u16],
    /// The rules.
    pub rules: &'a [Rule],
}

/// Where a file's rows were put: pieces in order of their first pc.
#[derive(Clone, Debug, Default)]
pub struct LoadedRows {
    pieces: Vec<Piece>,
    /// From which pc on there was no place for rows.
    cut_at: Option<u32>,
}

/// Rows of one file in one chunk.
#[derive(Clone, Copy, Debug)]
struct Piece {
    pc: u32,
    chunk: u32,
    first: u32,
    rows: u32,
}

/// A stretch of the target's code.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    /// The address from which the pcs of its file's rows count.
    pub base: u64,
    /// The rows; `None`: frame pointers are tried.
    pub rows: Option<&'a LoadedRows>,
}

/// What the tables take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnwindMemory {
    /// Kernel memory (bytes).
    pub bytes: u64,
    /// Rows that found no place.
    pub rows_left_out: u64,
    /// Stretches of code that found no place.
    pub regions_left_out: u64,
    /// Files whose tables could not be read.
    pub files_without_rows: u64,
}

/// The map of chunks.
const CHUNKS_MAP: &str = "UNWIND_CHUNKS";

/// What is in the maps.
#[derive(Debug, Default)]
pub(super) struct Unwind {
    rules: HashMap<Rule, u16>,
    filling: Option<Filling>,
    /// Chunks that are full, and that the kernel side cannot find yet.
    untold: Vec<(u32, Map)>,
    chunks: u32,
    rows_left_out: u64,
    regions_left_out: u64,
    pub(super) files_without_rows: u64,
}

/// The chunk that is being filled.
struct Filling {
    map: Map,
    number: u32,
    /// The kernel side finds it.
    is_told: bool,
    chunk: Box<Chunk>,
    used: usize,
}

impl Filling {
    fn new(number: u32) -> Result<Self, MapError> {
        let (key, value) = (size_of::<u32>(), size_of::<Chunk>());
        let [key, value] = [key, value].map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
        let map = aya_obj::Map::new_from_params(bpf_map_type::BPF_MAP_TYPE_ARRAY as u32, key, value, 1, 0);
        let map = Map::Array(MapData::create(map, "unwind_chunk", None)?);
        Ok(Self { map, number, is_told: false, chunk: empty_chunk(), used: 0 })
    }

    /// Writes what it has into its map.
    fn write(&mut self) -> Result<(), MapError> {
        // By reference: too much for a stack.
        let filled: &Chunk = &self.chunk;
        Array::<&mut MapData, Chunk>::try_from(&mut self.map)?.set(0, filled, 0)
    }
}

impl std::fmt::Debug for Filling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filling").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Unwind {
    /// Puts a file's rows into the maps.
    pub(super) fn add(&mut self, ebpf: &mut Ebpf, rows: &UnwindRows<'_>) -> Result<LoadedRows, AttachError> {
        let places = self.add_rules(ebpf, rows.rules)?;
        let mut loaded = LoadedRows::default();
        let all: Vec<(u32, u16)> = rows
            .pcs
            .iter()
            .zip(rows.places)
            .map(|(pc, place)| (*pc, places.get(usize::from(*place)).copied().unwrap_or(UNSUPPORTED)))
            .collect();
        let mut left = all.as_slice();
        while !left.is_empty() {
            let Some(filling) = self.room()? else {
                self.rows_left_out += left.len() as u64;
                loaded.cut_at = left.first().map(|(pc, _)| *pc);
                break;
            };
            let Filling { number, chunk, used, .. } = filling;
            let count = left.len().min(CHUNK_ROWS - *used);
            let (taken, rest) = left.split_at(count);
            for (place, (pc, rule)) in (*used..).zip(taken) {
                if let (Some(to), Some(of)) = (chunk.pcs.get_mut(place), chunk.rules.get_mut(place)) {
                    (*to, *of) = (*pc, *rule);
                }
            }
            let first = u32::try_from(*used).unwrap_or(0);
            *used += count;
            let pc = taken.first().map_or(0, |(pc, _)| *pc);
            loaded.pieces.push(Piece { pc, chunk: *number, first, rows: u32::try_from(count).unwrap_or(0) });
            filling.write().map_err(|source| AttachError::Map { map: CHUNKS_MAP, source })?;
            left = rest;
        }
        Ok(loaded)
    }

    /// The chunk with room for a row. `None`: there can be no more.
    fn room(&mut self) -> Result<Option<&mut Filling>, AttachError> {
        if self.filling.as_ref().is_none_or(|filling| filling.used >= CHUNK_ROWS) {
            if self.chunks >= CHUNKS {
                return Ok(None);
            }
            let next = Filling::new(self.chunks).map_err(|source| AttachError::Map { map: CHUNKS_MAP, source })?;
            let full = self.filling.replace(next).filter(|full| !full.is_told);
            self.untold.extend(full.map(|full| (full.number, full.map)));
            self.chunks += 1;
        }
        Ok(self.filling.as_mut())
    }

    /// Lets the kernel side find all chunks that there are. All at once: the kernel waits a grace period whenever a map of maps has changed
    /// (kernel/bpf/syscall.c, `maybe_wait_bpf_programs`), some 10 ms, and a large program has a hundred chunks. Before 6.8 it waits for each.
    fn tell(&mut self, ebpf: &Ebpf) -> Result<(), AttachError> {
        let filling = self.filling.as_ref().filter(|filling| !filling.is_told).map(|filling| (filling.number, &filling.map));
        let untold = self.untold.iter().map(|(number, map)| (*number, map)).chain(filling);
        let (numbers, maps): (Vec<u32>, Vec<RawFd>) =
            untold.filter_map(|(number, map)| Some((number, map_fd(map)?.as_raw_fd()))).unzip();
        if numbers.is_empty() {
            return Ok(());
        }
        let all = ebpf.map(CHUNKS_MAP).and_then(map_fd).ok_or(AttachError::NoMap { map: CHUNKS_MAP })?;
        sys::put_maps(all, &numbers, &maps).map_err(AttachError::UnwindChunks)?;
        self.untold.clear();
        if let Some(filling) = &mut self.filling {
            filling.is_told = true;
        }
        Ok(())
    }

    /// The place of each of a file's rules in the kernel side's table.
    fn add_rules(&mut self, ebpf: &mut Ebpf, rules: &[Rule]) -> Result<Vec<u16>, AttachError> {
        let mut map: Array<_, Rule> = typed(ebpf, "UNWIND_RULES")?;
        if self.rules.is_empty() {
            self.rules.insert(Rule::of(CfaKind::Unsupported), UNSUPPORTED);
            map.set(0, Rule::of(CfaKind::Unsupported), 0).map_err(|source| AttachError::Map { map: "UNWIND_RULES", source })?;
        }
        let mut places = Vec::with_capacity(rules.len());
        for rule in rules {
            let next = self.rules.len();
            let place = match self.rules.get(rule) {
                Some(place) => *place,
                None if next >= RULES as usize => UNSUPPORTED,
                None => {
                    let place = u16::try_from(next).unwrap_or(UNSUPPORTED);
                    map.set(u32::from(place), *rule, 0).map_err(|source| AttachError::Map { map: "UNWIND_RULES", source })?;
                    self.rules.insert(*rule, place);
                    place
                }
            };
            places.push(place);
        }
        Ok(places)
    }

    /// Writes table `table` of regions, which may point at every chunk that there is.
    pub(super) fn write_regions(&mut self, ebpf: &mut Ebpf, table: u32, code: &[Code<'_>]) -> Result<(), AttachError> {
        self.tell(ebpf)?;
        let (regions, left_out) = regions(code);
        self.regions_left_out = left_out;
        let mut map: Array<_, RegionTable> = typed(ebpf, "REGION_TABLES")?;
        let filled: &RegionTable = &table_of(&regions);
        map.set(table, filled, 0).map_err(|source| AttachError::Map { map: "REGION_TABLES", source })
    }

    pub(super) const fn memory(&self) -> UnwindMemory {
        let chunks = self.chunks as u64 * size_of::<Chunk>() as u64;
        let fixed = RULES as u64 * size_of::<Rule>() as u64 + 2 * size_of::<RegionTable>() as u64 + CHUNKS as u64 * 8;
        UnwindMemory {
            bytes: chunks + fixed,
            rows_left_out: self.rows_left_out,
            regions_left_out: self.regions_left_out,
            files_without_rows: self.files_without_rows,
        }
    }
}

/// The place of the rule for what has no place.
const UNSUPPORTED: u16 = 0;

/// Zeros on the heap: too much for a stack. The rule 0 is [`UNSUPPORTED`].
fn empty_chunk() -> Box<Chunk> {
    // SAFETY: integers and arrays of them, for which zeros are values.
    unsafe { Box::new_zeroed().assume_init() }
}

const NONE: Region = Region { base: 0, kind: RegionKind::None as u32, chunk: 0, first: 0, rows: 0 };

/// Regions by their start, and how many stretches of `code` found no place.
fn regions(code: &[Code<'_>]) -> (Vec<(u64, Region)>, u64) {
    let mut code = code.to_vec();
    code.sort_by_key(|stretch| stretch.start);
    let mut regions = vec![(0, NONE)];
    let mut left_out = 0;
    for stretch in &code {
        let of_stretch = of_stretch(stretch);
        // One more for the gap behind it.
        if regions.len() + of_stretch.len() + 1 > REGIONS {
            left_out += 1;
            continue;
        }
        // The gap in front of it is none if the stretch before ends where it starts.
        while regions.last().is_some_and(|(start, region)| *start >= stretch.start && region.kind == RegionKind::None as u32) {
            regions.pop();
        }
        regions.extend(of_stretch);
        regions.push((stretch.end, NONE));
    }
    (regions, left_out)
}

/// The pieces of the file's rows that `stretch` meets.
fn of_stretch(stretch: &Code<'_>) -> Vec<(u64, Region)> {
    let pieces = stretch.rows.map(|rows| rows.pieces.as_slice()).unwrap_or_default();
    let region = |piece: &Piece| Region {
        base: stretch.base,
        kind: RegionKind::Rows as u32,
        chunk: piece.chunk,
        first: piece.first,
        rows: piece.rows,
    };
    let start_of = |piece: &Piece| stretch.base.wrapping_add(u64::from(piece.pc));
    let Some(first) = pieces.iter().rev().find(|piece| start_of(piece) <= stretch.start).or(pieces.first()) else {
        return vec![(stretch.start, Region { base: stretch.base, kind: RegionKind::FramePointers as u32, ..NONE })];
    };
    let later = pieces.iter().filter(|piece| stretch.start < start_of(piece) && start_of(piece) < stretch.end);
    let later = later.filter(|piece| piece.pc > first.pc);
    let placed = std::iter::once((stretch.start, region(first))).chain(later.map(|piece| (start_of(piece), region(piece))));
    // The last row must not be taken for those behind it that found no place.
    let cut_at = stretch.rows.and_then(|rows| rows.cut_at).map(|pc| stretch.base.wrapping_add(u64::from(pc)));
    let cut = cut_at.filter(|at| stretch.start < *at && *at < stretch.end).map(|at| (at, NONE));
    placed.chain(cut).collect()
}

fn table_of(regions: &[(u64, Region)]) -> Box<RegionTable> {
    // SAFETY: as in `empty_chunk`; a region of zeros is `NONE`.
    let mut table: Box<RegionTable> = unsafe { Box::new_zeroed().assume_init() };
    table.starts.fill(i64::MAX.cast_unsigned());
    for ((to, of), (start, region)) in table.starts.iter_mut().zip(&mut table.regions).zip(regions) {
        (*to, *of) = (*start, *region);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(pieces: &[(u32, u32)]) -> LoadedRows {
        let piece = |&(pc, chunk): &(u32, u32)| Piece { pc, chunk, first: 3, rows: 7 };
        LoadedRows { pieces: pieces.iter().map(piece).collect(), cut_at: None }
    }

    fn shown(code: &[Code<'_>]) -> Vec<(u64, u32, u32)> {
        regions(code).0.iter().map(|(start, region)| (*start, region.kind, region.chunk)).collect()
    }

    /// Check that a stretch begins with the piece that holds its first address, and that the pieces behind it follow.
    #[test]
    fn a_stretch_meets_its_pieces() {
        let rows = loaded(&[(0, 1), (0x100, 2), (0x200, 3), (0x900, 4)]);
        let code = Code { start: 0x1150, end: 0x1300, base: 0x1000, rows: Some(&rows) };
        assert_eq!(shown(&[code]), [(0, 0, 0), (0x1150, 1, 2), (0x1200, 1, 3), (0x1300, 0, 0)]);
    }

    /// Check that neighbours have no gap between them, that others have one, and that code without rows says so.
    #[test]
    fn gaps_lie_between() {
        let rows = loaded(&[(0, 1)]);
        let first = Code { start: 0x1000, end: 0x2000, base: 0x1000, rows: Some(&rows) };
        let plain = Code { start: 0x2000, end: 0x3000, base: 0, rows: None };
        let last = Code { start: 0x5000, end: 0x6000, base: 0x5000, rows: Some(&rows) };
        assert_eq!(
            shown(&[last, first, plain]),
            [(0, 0, 0), (0x1000, 1, 1), (0x2000, 2, 0), (0x3000, 0, 0), (0x5000, 1, 1), (0x6000, 0, 0)]
        );
    }

    /// Check that code before a file's first row points at that row, for the kernel side to see that it has none.
    #[test]
    fn code_before_the_first_row() {
        let rows = loaded(&[(0, 1)]);
        let code = Code { start: 0x1000, end: 0x2000, base: 0x1800, rows: Some(&rows) };
        assert_eq!(shown(&[code]), [(0, 0, 0), (0x1000, 1, 1), (0x2000, 0, 0)]);
    }

    /// Check that code whose rows found no place is in no region, and not under the last row.
    #[test]
    fn rows_that_found_no_place_leave_a_gap() {
        let rows = LoadedRows { cut_at: Some(0x200), ..loaded(&[(0, 1), (0x100, 2)]) };
        let code = Code { start: 0x1000, end: 0x1400, base: 0x1000, rows: Some(&rows) };
        assert_eq!(shown(&[code]), [(0, 0, 0), (0x1000, 1, 1), (0x1100, 1, 2), (0x1200, 0, 0), (0x1400, 0, 0)]);
    }

    /// Check that too many stretches are counted, and the table is never longer than it is.
    #[test]
    fn too_many_stretches_are_counted() {
        let code: Vec<Code<'_>> =
            (1..=REGIONS as u64).map(|place| Code { start: place * 16, end: place * 16 + 8, base: 0, rows: None }).collect();
        let (regions, left_out) = regions(&code);
        assert!(regions.len() <= REGIONS && left_out > 0);
        assert_eq!(table_of(&regions).starts[0], 0);
    }
}
