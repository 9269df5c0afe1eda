//! Keeps the kernel side's unwind tables in step with the target's mappings: at the attach, and when walks meet code that was not there.

mod ahead;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use profiler_common::unwind::End;

use super::SessionError;
use crate::attach::{Attached, Code, LoadedRows, UnwindRows};
use crate::collect::walks;
use crate::inspect::unwind::UnwindTable;
use crate::model::UnwindTables;
use crate::target::code::{Behind, Stretch, stretches};
use crate::target::program::Segment;

pub(super) use ahead::{Ahead, Known};

/// How often the mappings are read again while walks meet unknown code: code made at run time is never known.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often they are read again in any case, so that a library that was just loaded is known before it is first sampled.
const REGULARLY: Duration = Duration::from_millis(500);

/// What is loaded for the target.
#[derive(Debug, Default)]
pub(super) struct Unwinding {
    files: HashMap<Behind, Option<Loaded>>,
    stretches: Vec<Stretch>,
    tables: UnwindTables,
    /// Files whose tables could not be read, with the reason.
    unreadable: Vec<String>,
    /// How often walks had met unknown code when the mappings were last read.
    unknown_seen: u64,
    looked: Option<Instant>,
}

/// A file whose rows are in the kernel.
#[derive(Debug)]
struct Loaded {
    rows: LoadedRows,
    /// The address in the file from which its rows' pcs count.
    base: u64,
    segments: Vec<Segment>,
}

impl Unwinding {
    /// Reads the mappings of process `pid` and loads what is new; what was made `ahead` is not made again. Whether anything was new.
    pub(super) fn refresh(&mut self, attached: &mut Attached, pid: u32, mut ahead: Ahead) -> Result<bool, SessionError> {
        let started = Instant::now();
        self.looked = Some(started);
        let stretches = stretches(pid)?;
        if stretches == self.stretches {
            return Ok(false);
        }
        for stretch in &stretches {
            let behind = stretch.behind();
            if behind != Behind::Nothing && !self.files.contains_key(&behind) {
                let loaded = self.load(attached, stretch, &mut ahead)?;
                self.files.insert(behind, loaded);
            }
        }
        let code: Vec<Code<'_>> = stretches.iter().map(|stretch| self.code(stretch)).collect();
        attached.set_code(&code)?;
        self.stretches = stretches;
        let memory = attached.unwind_memory();
        self.tables.bytes = memory.bytes;
        self.tables.build_ns += u64::try_from((started.elapsed() + ahead.took).as_nanos()).unwrap_or(u64::MAX);
        Ok(true)
    }

    /// Reads the mappings again if it is time to, and sooner if walks have met unknown code since. Whether there was anything new.
    pub(super) fn refresh_in_time(&mut self, attached: &mut Attached, pid: u32) -> Result<bool, SessionError> {
        let passed = self.looked.map_or(Duration::MAX, |looked| looked.elapsed());
        if passed < PATIENCE {
            return Ok(false);
        }
        let unknown = walks(attached)?.ended(End::NoMapping);
        if unknown == self.unknown_seen && passed < REGULARLY {
            return Ok(false);
        }
        self.unknown_seen = unknown;
        self.refresh(attached, pid, Ahead::default())
    }

    /// Loads the rows of the file behind `stretch`. `None` where it has none: its frame pointers are tried.
    fn load(&mut self, attached: &mut Attached, stretch: &Stretch, ahead: &mut Ahead) -> Result<Option<Loaded>, SessionError> {
        let table = match ahead.take(stretch) {
            Ok(table) => table,
            Err(error) => {
                attached.no_unwind_rows();
                self.unreadable.push(format!("no unwind table of the code at {:#x}: {error}", stretch.start()));
                return Ok(None);
            }
        };
        let pcs: Vec<u32> = table.rows.iter().map(|row| row.pc).collect();
        let places: Vec<u16> = table.rows.iter().map(|row| row.rule).collect();
        let rows = attached.add_unwind_rows(&UnwindRows { pcs: &pcs, places: &places, rules: &table.rules })?;
        self.tables.files += 1;
        self.tables.rows += pcs.len() as u64;
        Ok(Some(Loaded { rows, base: table.base, segments: segments(&table) }))
    }

    fn code(&self, stretch: &Stretch) -> Code<'_> {
        let (start, end) = (stretch.start(), stretch.end());
        let loaded = self.files.get(&stretch.behind()).and_then(Option::as_ref);
        let placed = loaded.and_then(|loaded| Some((loaded, stretch.load_bias(&loaded.segments)?)));
        match placed {
            Some((loaded, bias)) => Code { start, end, base: bias.wrapping_add(loaded.base), rows: Some(&loaded.rows) },
            None => Code { start, end, base: 0, rows: None },
        }
    }

    /// What there is.
    pub(super) const fn tables(&self) -> UnwindTables {
        self.tables
    }

    /// Files whose tables could not be read, a sentence each.
    pub(super) fn warnings(&self) -> &[String] {
        &self.unreadable
    }
}

/// The segments as whoever reads mappings knows them.
fn segments(table: &UnwindTable) -> Vec<Segment> {
    let of = |segment: &crate::inspect::Segment| Segment {
        offset: segment.file_offset,
        length: segment.file_size,
        address: segment.vaddr,
        executable: segment.executable,
    };
    table.segments.iter().map(of).collect()
}
