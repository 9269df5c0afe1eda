//! Rows in the making: ascending, equal neighbours merged, gaps made explicit, each rule kept once.

use std::collections::HashMap;

use profiler_common::unwind::{CfaKind, Rule};

use super::error::UnwindError;
use super::{Coverage, Row, Segment, UnwindTable};

/// Always the first two rules of a table, so that there is place for them.
const GAP: u16 = 0;
const UNSUPPORTED: u16 = 1;

/// See the module.
pub(super) struct Builder {
    base: u64,
    /// The end of the last executable segment, and no more than 4 GiB from `base`.
    limit: u64,
    rows: Vec<Row>,
    rules: Vec<Rule>,
    places: HashMap<Rule, u16>,
    /// Up to where addresses are described.
    end: u64,
    /// What could not be said.
    pub(super) coverage: Coverage,
}

impl Builder {
    /// For a file with these segments.
    pub(super) fn new(segments: &[Segment]) -> Result<Self, UnwindError> {
        let code = || segments.iter().filter(|segment| segment.executable && segment.mem_size > 0);
        let base = code().map(|segment| segment.vaddr).min().ok_or(UnwindError::NoCode)?;
        let last = code().map(|segment| segment.vaddr.saturating_add(segment.mem_size)).max().unwrap_or(base);
        let limit = last.min(base.saturating_add(u64::from(u32::MAX)));
        let rules = vec![Rule::of(CfaKind::Gap), Rule::of(CfaKind::Unsupported)];
        let places = HashMap::from([(Rule::of(CfaKind::Gap), GAP), (Rule::of(CfaKind::Unsupported), UNSUPPORTED)]);
        let first = vec![Row { pc: 0, rule: GAP }];
        Ok(Self { base, limit, rows: first, rules, places, end: base, coverage: Coverage::default() })
    }

    /// The end of an entry's code from `start` on, cut at `before`. `None`: nothing of it counts, which is counted.
    pub(super) fn inside(&mut self, start: u64, len: u64, before: u64) -> Option<u64> {
        self.coverage.entries += 1;
        let end = start.saturating_add(len);
        if start < self.base || start >= self.limit {
            self.coverage.outside += 1;
            return None;
        }
        if end > self.limit {
            self.coverage.outside += 1;
        }
        if end > before {
            self.coverage.overlapping += 1;
        }
        Some(end.min(self.limit).min(before)).filter(|end| *end > start)
    }

    /// `rule` holds from `from` up to `to`. Neither lies before what was pushed last.
    pub(super) fn push(&mut self, from: u64, to: u64, rule: Rule) {
        if from > self.end {
            self.row(self.end, GAP);
        }
        let place = self.place(rule);
        if place == UNSUPPORTED {
            self.coverage.unsupported_rows += 1;
            self.coverage.unsupported_bytes += to - from;
        }
        self.coverage.described_bytes += to - from;
        self.row(from, place);
        self.end = to;
    }

    /// The table.
    pub(super) fn finish(mut self, segments: Vec<Segment>) -> UnwindTable {
        self.row(self.end, GAP);
        self.coverage.gaps = self.rows.iter().filter(|row| row.rule == GAP).count() as u64;
        self.rows.shrink_to_fit();
        self.rules.shrink_to_fit();
        UnwindTable { base: self.base, rows: self.rows, rules: self.rules, segments, coverage: self.coverage }
    }

    fn row(&mut self, from: u64, rule: u16) {
        // `limit` keeps every address within 32 bits of the base.
        let pc = u32::try_from(from - self.base).unwrap_or(u32::MAX);
        if self.rows.last().is_some_and(|last| last.pc == pc) {
            self.rows.pop();
        }
        if self.rows.last().is_none_or(|last| last.rule != rule) {
            self.rows.push(Row { pc, rule });
        }
    }

    fn place(&mut self, rule: Rule) -> u16 {
        if let Some(place) = self.places.get(&rule) {
            return *place;
        }
        let Ok(place) = u16::try_from(self.rules.len()) else {
            self.coverage.too_many_rules += 1;
            return UNSUPPORTED;
        };
        self.rules.push(rule);
        self.places.insert(rule, place);
        place
    }
}
