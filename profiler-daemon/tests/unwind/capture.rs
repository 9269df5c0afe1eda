//! Keeps some sampled stacks as text, for the replay in `profiler-common/tests/unwind`: registers, the rows and the words of the stack that
//! a walk needs, and the frames that framehop found as well.
//!
//! Written only where `PROFILER_CAPTURE_STACKS` names a folder.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use profiler_common::unwind::{Cursor, End, Memory, Rule};

use crate::chains::Work;
use crate::process::Process;
use crate::sampler::{Sample, Stack};

/// The deepest stack of each kind of work.
pub(crate) struct Captures {
    folder: Option<String>,
    kept: BTreeMap<Work, (usize, String)>,
}

/// Notes which words are read.
struct Noting<'a> {
    stack: &'a Stack<'a>,
    read: RefCell<BTreeMap<u64, u64>>,
}

impl Memory for Noting<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        let word = self.stack.word(address)?;
        self.read.borrow_mut().insert(address, word);
        Some(word)
    }
}

impl Captures {
    pub(crate) fn new() -> Self {
        Self { folder: std::env::var("PROFILER_CAPTURE_STACKS").ok(), kept: BTreeMap::new() }
    }

    /// A stack on which everybody agrees.
    pub(crate) fn offer(&mut self, process: &Process, sample: &Sample, stack: &Stack<'_>, frames: &[u64], end: End) {
        let work = sample.chain.work;
        // Recursion is deepest of all and says the same again and again.
        let deepest = self.kept.get(&work).map_or(0, |(depth, _)| *depth);
        if self.folder.is_some() && work != Work::Nothing && frames.len() > deepest {
            self.kept.insert(work, (frames.len(), text(process, sample, stack, frames, end)));
        }
    }

    pub(crate) fn write(&self) {
        let Some(folder) = &self.folder else { return };
        for (work, (_, text)) in &self.kept {
            std::fs::write(format!("{folder}/{}.txt", format!("{work:?}").to_lowercase()), text).unwrap();
        }
    }
}

fn text(process: &Process, sample: &Sample, stack: &Stack<'_>, frames: &[u64], end: End) -> String {
    let noting = Noting { stack, read: RefCell::default() };
    process.walk(sample.cursor, &noting);
    let Cursor { pc, sp, bp, .. } = sample.cursor;
    let mut text = format!("# {:?}\nregisters {pc:x} {sp:x} {bp:x}\n", sample.chain.work);
    let mut rows = BTreeSet::new();
    for (depth, frame) in frames.iter().enumerate() {
        for address in [*frame, frame - u64::from(depth > 0)] {
            let Some(row) = process.object(address).and_then(|object| object.row(address)) else { continue };
            let Rule { cfa, rbp, offset, addend, rbp_offset, .. } = *row.rule;
            rows.insert((row.from, format!("row {:x} {:x} {cfa} {offset} {addend} {rbp} {rbp_offset}\n", row.from, row.to)));
        }
    }
    for (_, row) in &rows {
        text.push_str(row);
    }
    for (address, word) in noting.read.borrow().iter() {
        let _ = writeln!(text, "word {address:x} {word:x}");
    }
    for frame in frames {
        let _ = writeln!(text, "frame {frame:x}");
    }
    let _ = writeln!(text, "end {}", end.name());
    text
}
