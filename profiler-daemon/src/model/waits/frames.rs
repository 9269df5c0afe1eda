//! Await stacks with names: of layouts as they are, of wakers' stacks looked up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::capture::{AwaitFrame, AwaitFrameKind, AwaitIndex, AwaitSource, AwaitStack, Capture};
use crate::model::names::as_written;
use crate::model::stacks::{call_sites, is_scope};
use crate::model::symbols::{Frame, Symbolize, by_address};

/// One frame of an await stack. Texts come from the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WaitFrame {
    /// How many frames it lies in.
    pub depth: u32,
    /// As the user wrote it: a function, a future's type, a macro, a task's type; of a branch that was not followed the reason.
    pub name: String,
    /// What it is.
    pub kind: AwaitFrameKind,
    /// Where a coroutine waits, or a function was.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// Where a coroutine begins, if its `.await` stands in another file: inside a macro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<Place>,
}

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// An await stack with names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedStack {
    /// Outermost first, in pre-order.
    pub frames: Arc<Vec<WaitFrame>>,
    /// See [`AwaitStack::cut`].
    pub cut: Option<&'static str>,
    /// Where it comes from.
    pub source: AwaitSource,
}

/// The await stacks of a capture, with names, each once.
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    named: Vec<NamedStack>,
    /// The first of those that are equal to it.
    same_as: Vec<AwaitIndex>,
}

impl Stacks {
    /// Names every stack. Without symbols the frames of wakers' stacks are called by their address.
    #[must_use]
    pub fn of(capture: &Capture, symbols: Option<&mut dyn Symbolize>) -> Self {
        let codes = capture.await_stacks.iter().flat_map(addresses);
        let found = symbols.map(|symbols| by_address(codes, symbols)).unwrap_or_default();
        let mut firsts: HashMap<&AwaitStack, AwaitIndex> = HashMap::new();
        let numbered = capture.await_stacks.iter().zip(0_u32..);
        let same_as = numbered.map(|(stack, number)| *firsts.entry(stack).or_insert(AwaitIndex(number))).collect();
        Self { named: capture.await_stacks.iter().map(|stack| named(capture, stack, &found)).collect(), same_as }
    }

    /// Each of them, by its number.
    #[must_use]
    pub fn all(&self) -> &[NamedStack] {
        &self.named
    }

    /// Every frame of every stack.
    pub fn frames(&self) -> impl Iterator<Item = &WaitFrame> {
        self.named.iter().flat_map(|stack| stack.frames.iter())
    }

    /// The stack of a number. `None`: there is none, which is a fault of whoever made the capture.
    #[must_use]
    pub fn get(&self, index: AwaitIndex) -> Option<&NamedStack> {
        self.named.get(usize::try_from(index.0).ok()?)
    }

    /// The number of the first stack that is equal to this one.
    pub(in crate::model) fn first_of(&self, index: AwaitIndex) -> Option<AwaitIndex> {
        self.same_as.get(usize::try_from(index.0).ok()?).copied()
    }
}

/// Code addresses of a stack, leaf first, each in its call.
pub(crate) fn addresses(stack: &AwaitStack) -> Vec<u64> {
    let code = |frame: &AwaitFrame| match frame.kind {
        AwaitFrameKind::Code(address) => Some(address),
        _ => None,
    };
    call_sites(&stack.frames.iter().rev().filter_map(code).collect::<Vec<_>>())
}

fn named(capture: &Capture, stack: &AwaitStack, found: &BTreeMap<u64, Vec<Frame>>) -> NamedStack {
    let addresses = addresses(stack);
    let frames = if addresses.is_empty() {
        stack.frames.iter().map(|frame| of_layout(capture, frame)).collect()
    } else {
        of_code(&addresses, found)
    };
    NamedStack { frames: Arc::new(frames), cut: stack.cut, source: stack.source }
}

fn of_layout(capture: &Capture, frame: &AwaitFrame) -> WaitFrame {
    let name = match frame.kind {
        AwaitFrameKind::Task(Some(index)) => capture.type_name(index),
        _ => as_written(&frame.name),
    };
    // The name says which.
    let kind = match frame.kind {
        AwaitFrameKind::Task(_) => AwaitFrameKind::Task(None),
        kind => kind,
    };
    let (file, line) = frame.place.clone().unzip();
    let begins = frame.begins.clone().map(|(file, line)| Place { file, line });
    WaitFrame { depth: frame.depth, name, kind, file, line, begins }
}

/// A chain, from the innermost scope's future on: what polls the scope is not what waits in it.
fn of_code(addresses: &[u64], found: &BTreeMap<u64, Vec<Frame>>) -> Vec<WaitFrame> {
    let unknown = |address: u64| vec![Frame::unresolved(format!("[{address:#x}]"))];
    let functions = addresses.iter().rev().flat_map(|&address| {
        // For one address the innermost comes first.
        let inlined = found.get(&address).cloned().unwrap_or_else(|| unknown(address));
        inlined.into_iter().rev()
    });
    let functions: Vec<Frame> = functions.collect();
    let outside = functions.iter().rposition(|frame| is_scope(&frame.function)).map_or(0, |at| at.saturating_add(1));
    let inside = functions.into_iter().skip(outside).zip(0_u32..);
    inside
        .map(|(frame, depth)| WaitFrame {
            depth,
            name: frame.full,
            kind: AwaitFrameKind::Code(0),
            file: frame.file,
            line: frame.line,
            begins: None,
        })
        .collect()
}
