//! Stacks as they are drawn: frames with names, and exact time on top of them.
//!
//! Samples and stretches off the CPU give the shape, the exact times of the states give the totals, to the nanosecond.
//! So a graph's width never depends on how many samples were lost.

mod aligned;
mod merged;
mod split;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

pub use aligned::{Aligned, Kept, Nested, is_scope};
pub use merged::{Merged, Share, Weighed, call_sites, weigh};
pub use split::split_exactly;

use super::folding::{Executor, fold};
use super::states::State;
use super::symbols::{Frame, Symbolize, by_address};
use super::text::printable;

/// Source files that are noted of one frame: code of a function may be in others by way of macros.
const FILES_MAX: usize = 8;

/// A frame's number in [`Frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(u32);

/// What a frame of a graph stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrameKind {
    /// A request, the root of its tower.
    Request,
    /// A task or a task type.
    Task,
    /// A function on the CPU.
    Code,
    /// The state that the time was spent in, the leaf of a wall graph; above `[scheduled]` stands what held the workers.
    State(State),
    /// Running time without a sample, a part of a stack or what held a worker that was not seen. Never a function.
    Unseen,
}

/// A frame as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameName {
    /// One line of printable text; may hold a `;`.
    pub text: String,
    /// What it stands for.
    pub kind: FrameKind,
}

impl FrameName {
    /// A frame with untrusted text, made printable.
    #[must_use]
    pub fn new(kind: FrameKind, text: &str) -> Self {
        Self { text: printable(text.as_bytes()), kind }
    }

    /// The frame of a state, e.g. `[suspended]`.
    #[must_use]
    pub fn state(state: State) -> Self {
        Self { text: format!("[{}]", state.name()), kind: FrameKind::State(state) }
    }
}

/// Every frame of a graph once.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    names: Vec<FrameName>,
    ids: HashMap<FrameName, FrameId>,
    full: HashMap<FrameId, String>,
    files: HashMap<FrameId, BTreeSet<String>>,
}

impl Frames {
    /// The number of a frame, new or known.
    pub fn id(&mut self, name: FrameName) -> FrameId {
        if let Some(&id) = self.ids.get(&name) {
            return id;
        }
        // 2^32 names do not fit into memory; were there more, they would share the last number.
        let id = FrameId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    /// Notes the full name that a frame's text is short for, and where its source is. Several may be short for one: the first is an example
    /// of them.
    pub fn note(&mut self, id: FrameId, frame: &Frame) {
        if frame.full != frame.function {
            self.full.entry(id).or_insert_with(|| printable(frame.full.as_bytes()));
        }
        if let Some(file) = &frame.file {
            let files = self.files.entry(id).or_default();
            if files.len() < FILES_MAX && !files.contains(file) {
                files.insert(file.clone());
            }
        }
    }

    /// Frames of which source files are known, with these.
    pub fn with_files(&self) -> impl Iterator<Item = (&FrameName, &BTreeSet<String>)> {
        let known = self.names.iter().zip(0_u32..).map(|(name, number)| (name, FrameId(number)));
        known.filter_map(|(name, id)| Some((name, self.files.get(&id)?)))
    }

    /// The full name that a frame's text is short for, printable. `None`: it is not short.
    #[must_use]
    pub fn full(&self, id: FrameId) -> Option<&str> {
        self.full.get(&id).map(String::as_str)
    }

    /// A stack of code cut to what await stacks have of it, see [`Aligned`].
    fn aligned(&mut self, stack: Vec<FrameId>, aligned: &Aligned, nested: Nested) -> Vec<FrameId> {
        let texts: Vec<&str> = stack.iter().filter_map(|&id| self.name(id)).map(|name| name.text.as_str()).collect();
        if texts.len() != stack.len() {
            // A number of another graph: nothing is known of its frames.
            return stack;
        }
        let kept = aligned.align(&texts, nested);
        let kept = kept.into_iter().filter_map(|kept| Some((*stack.get(kept.at)?, kept.text)));
        kept.map(|(id, text)| text.map_or(id, |text| self.renamed(id, &text))).collect()
    }

    /// The frame of another text that the full name of `id` is told of too.
    fn renamed(&mut self, id: FrameId, text: &str) -> FrameId {
        let before = self.name(id).map(|name| name.text.clone()).unwrap_or_default();
        let full = self.full.get(&id).cloned().unwrap_or(before);
        let new = self.id(FrameName::new(FrameKind::Code, text));
        if full != text {
            self.full.entry(new).or_insert(full);
        }
        new
    }

    /// The frame of a number. `None`: the number is of another graph.
    #[must_use]
    pub fn name(&self, id: FrameId) -> Option<&FrameName> {
        self.names.get(usize::try_from(id.0).ok()?)
    }
}

/// Frames of addresses, looked up once for a whole graph.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Root-most first.
    frames: HashMap<u64, Vec<FrameId>>,
}

impl Resolved {
    /// Looks up every address, each once.
    pub fn of(addresses: impl IntoIterator<Item = u64>, symbols: &mut dyn Symbolize, frames: &mut Frames) -> Self {
        let named = by_address(addresses, symbols).into_iter();
        let mut id = |frame: &Frame| {
            let id = frames.id(FrameName::new(FrameKind::Code, &frame.function));
            frames.note(id, frame);
            id
        };
        Self { frames: named.map(|(address, functions)| (address, functions.iter().rev().map(&mut id).collect())).collect() }
    }

    /// The functions at addresses that were walked leaf first: root first, executor frames folded.
    pub fn stack(&self, addresses: &[u64], truncated: bool, frames: &mut Frames) -> Vec<FrameId> {
        let mut stack = Vec::new();
        stack.extend(cut(addresses, truncated).map(|name| frames.id(name)));
        for address in addresses.iter().rev() {
            stack.extend(self.frames.get(address).into_iter().flatten());
        }
        fold(&mut stack, |&id| Executor::of_shown(&frames.name(id)?.text));
        stack
    }
}

/// The frame in the place of what was not walked.
#[must_use]
pub fn cut(addresses: &[u64], truncated: bool) -> Option<FrameName> {
    let text = match (addresses.is_empty(), truncated) {
        (true, _) => "[no stack]",
        (false, true) => "[truncated]",
        (false, false) => return None,
    };
    Some(FrameName::new(FrameKind::Unseen, text))
}
