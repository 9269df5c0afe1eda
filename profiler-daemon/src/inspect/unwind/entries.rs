//! From one entry (FDE) to rows: gimli runs its instructions, the architecture turns each of gimli's rows into a rule.

use std::collections::HashMap;

use gimli::{BaseAddresses, CommonInformationEntry, EhFrame, EhFrameOffset, UnwindContext, UnwindSection};
use profiler_common::unwind::{CfaKind, Rule};

use super::architecture;
use super::builder::Builder;
use super::error::UnwindError;
use super::order::Place;
use super::source::{Bytes, Source};

/// A program has some dozen; a hostile file could have one for each entry.
const CIES: usize = 256;

/// The heads that entries share (CIEs), each parsed once.
#[derive(Default)]
pub(super) struct Cies<'d> {
    parsed: HashMap<usize, CommonInformationEntry<Bytes<'d>>>,
}

impl<'d> Cies<'d> {
    /// The head at `offset`.
    pub(super) fn get(
        &mut self,
        section: &EhFrame<Bytes<'d>>,
        bases: &BaseAddresses,
        offset: EhFrameOffset,
    ) -> gimli::Result<CommonInformationEntry<Bytes<'d>>> {
        if let Some(cie) = self.parsed.get(&offset.0) {
            return Ok(cie.clone());
        }
        let cie = section.cie_from_offset(bases, offset)?;
        if self.parsed.len() >= CIES {
            self.parsed.clear();
        }
        self.parsed.insert(offset.0, cie.clone());
        Ok(cie)
    }
}

/// Evaluates the entries one after the other.
pub(super) struct Evaluator<'s, 'd> {
    source: &'s Source<'d>,
    cies: Cies<'d>,
    context: Box<UnwindContext<usize>>,
    /// Bytes of instructions that may still be read, and of how many.
    left: u64,
    limit: u64,
}

impl<'s, 'd> Evaluator<'s, 'd> {
    /// `limit`: bytes of instructions that may be read in all. Entries of a hostile file can share theirs.
    pub(super) fn new(source: &'s Source<'d>, limit: u64) -> Self {
        Self { source, cies: Cies::default(), context: Box::new(UnwindContext::new()), left: limit, limit }
    }

    /// Writes the rows of the entry at `place`, up to `before`, where the next one's code begins.
    pub(super) fn write(&mut self, place: Place, before: u64, builder: &mut Builder) -> Result<(), UnwindError> {
        let Source { eh_frame, bases, .. } = self.source;
        let cies = &mut self.cies;
        let entry =
            eh_frame.fde_from_offset(bases, EhFrameOffset(place.offset), |section, bases, cie| cies.get(section, bases, cie));
        let Ok(entry) = entry else {
            builder.coverage.broken += 1;
            return Ok(());
        };
        if entry.initial_address() != place.start {
            builder.coverage.broken += 1;
            return Ok(());
        }
        let work = entry.entry_len() as u64 + entry.cie().entry_len() as u64;
        self.left = self.left.checked_sub(work).ok_or(UnwindError::TooMuchWork { limit: self.limit })?;
        let Some(end) = builder.inside(place.start, entry.len(), before) else { return Ok(()) };

        let mut at = place.start;
        let Ok(mut rows) = entry.rows(eh_frame, bases, &mut self.context) else {
            builder.coverage.broken += 1;
            builder.push(at, end, Rule::of(CfaKind::Unsupported));
            return Ok(());
        };
        while at < end {
            match rows.next_row() {
                Ok(Some(row)) => {
                    let to = row.end_address().min(end);
                    if to > at {
                        builder.push(at, to, architecture::rule(eh_frame, entry.cie(), row));
                        at = to;
                    }
                }
                Ok(None) => break,
                // What stands before the broken instruction holds; what follows is not known.
                Err(_) => {
                    builder.coverage.broken += 1;
                    builder.push(at, end, Rule::of(CfaKind::Unsupported));
                    break;
                }
            }
        }
        Ok(())
    }
}
