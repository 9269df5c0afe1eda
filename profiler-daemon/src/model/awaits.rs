//! From the words of a walk to an await stack with names.

use std::sync::Arc;

use profiler_common::awaits::word::{NO_TYPE, WordKind, parts};
use profiler_common::awaits::{AwaitEnd, AwaitStack as Words};

use super::capture::{AwaitFrame, AwaitFrameKind, AwaitSource, AwaitStack, TypeIndex};

/// What the nodes of a target's layout table are called.
#[derive(Clone, Debug, Default)]
pub struct AwaitNames {
    /// Where await stacks come from.
    pub source: AwaitSource,
    /// By node; `None` for those that are never shown.
    pub nodes: Arc<[Option<NamedNode>]>,
    /// Source files.
    pub files: Arc<[String]>,
}

/// A node that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedNode {
    /// As the compiler writes it.
    pub name: String,
    /// What it is.
    pub kind: AwaitFrameKind,
    /// Where a coroutine waits: state, place of the file, line.
    pub points: Vec<(u32, u32, u32)>,
}

impl AwaitNames {
    /// The stack that a walk kept.
    #[must_use]
    pub fn stack(&self, kept: &Words) -> AwaitStack {
        let end = AwaitEnd::from_number(kept.end).unwrap_or(AwaitEnd::Unsupported);
        let addresses = kept.words().iter().any(|word| parts(*word).kind == Some(WordKind::Address));
        let mut frames: Vec<AwaitFrame> = kept.words().iter().map(|word| self.frame(*word)).collect();
        if addresses {
            // A stack is walked from its leaf on.
            frames.reverse();
            for (frame, depth) in frames.iter_mut().zip(0..) {
                frame.depth = depth;
            }
        }
        AwaitStack {
            frames,
            cut: (end != AwaitEnd::Whole).then(|| end.name()),
            source: if addresses { AwaitSource::Wakers } else { AwaitSource::Layouts },
        }
    }

    fn frame(&self, word: u64) -> AwaitFrame {
        let parts = parts(word);
        let plain = |kind, name: String| AwaitFrame { depth: parts.depth, name, kind, place: None, begins: None };
        match parts.kind {
            Some(WordKind::Frame) => self.named(&parts),
            Some(WordKind::Task) => {
                let task_type = (parts.detail != NO_TYPE).then_some(TypeIndex(parts.detail));
                AwaitFrame { kind: AwaitFrameKind::Task(task_type), ..self.named(&parts) }
            }
            Some(WordKind::UnknownDyn) => {
                plain(AwaitFrameKind::UnknownDyn, format!("dyn Future with the vtable {:#x}", parts.address))
            }
            Some(WordKind::Address) => AwaitFrame { depth: 0, ..plain(AwaitFrameKind::Code(parts.address), String::new()) },
            Some(WordKind::Cut) => {
                let end = AwaitEnd::from_number(parts.detail).unwrap_or(AwaitEnd::Unsupported);
                plain(AwaitFrameKind::Cut, end.name().to_owned())
            }
            // The kernel side writes none of these.
            None => plain(AwaitFrameKind::Cut, AwaitEnd::Unsupported.name().to_owned()),
        }
    }

    fn named(&self, parts: &profiler_common::awaits::word::Parts) -> AwaitFrame {
        let known = usize::try_from(parts.node).ok().and_then(|place| self.nodes.get(place)).and_then(Option::as_ref);
        let Some(node) = known else {
            return AwaitFrame {
                depth: parts.depth,
                name: format!("future of node {}", parts.node),
                kind: AwaitFrameKind::Future,
                place: None,
                begins: None,
            };
        };
        let point = |of: u32| node.points.iter().find(|(state, ..)| *state == of);
        let place = |&(_, file, line): &(u32, u32, u32)| Some((self.files.get(usize::try_from(file).ok()?)?.clone(), line));
        let waits = point(parts.detail);
        // Of state 0 it is where the coroutine begins.
        let begins = point(0).filter(|begins| waits.is_some_and(|waits| waits.1 != begins.1));
        AwaitFrame {
            depth: parts.depth,
            name: node.name.clone(),
            kind: node.kind,
            place: waits.and_then(place),
            begins: begins.and_then(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::awaits::word::{address_word, word};

    use super::*;

    fn kept(words: &[u64], end: AwaitEnd) -> Words {
        let mut kept = Words { len: u32::try_from(words.len()).unwrap(), end: end as u32, ..Words::EMPTY };
        kept.words[..words.len()].copy_from_slice(words);
        kept
    }

    /// Check that a coroutine's state gives its place, and that nodes, states and ends that are not known are said to be.
    #[test]
    fn words_become_frames() {
        let node =
            NamedNode { name: "orders::load::{async_fn#0}".to_owned(), kind: AwaitFrameKind::AsyncFn, points: vec![(3, 0, 41)] };
        let names = AwaitNames {
            source: AwaitSource::Layouts,
            nodes: Arc::new([Some(node), None]),
            files: Arc::new(["orders.rs".to_owned()]),
        };
        let words = [
            word(WordKind::Frame, 0, 0, 3),
            word(WordKind::Frame, 1, 0, 9),
            word(WordKind::Frame, 2, 77, 0),
            word(WordKind::Cut, 3, 0, AwaitEnd::Unreadable as u32),
        ];
        let stack = names.stack(&kept(&words, AwaitEnd::Unreadable));
        let frames: Vec<(u32, &str, Option<u32>)> = stack
            .frames
            .iter()
            .map(|frame| (frame.depth, frame.name.as_str(), frame.place.as_ref().map(|place| place.1)))
            .collect();
        assert_eq!(
            frames,
            [
                (0, "orders::load::{async_fn#0}", Some(41)),
                (1, "orders::load::{async_fn#0}", None),
                (2, "future of node 77", None),
                (3, "unreadable", None)
            ]
        );
        assert_eq!((stack.cut, stack.source), (Some("unreadable"), AwaitSource::Layouts));
    }

    /// Check that the stack of a waker's store is outermost first, as every await stack.
    #[test]
    fn a_wakers_stack_is_turned_round() {
        let words = [0x7f01, 0x7f02, 0x7f03].map(|address| address_word(WordKind::Address, 0, address));
        let stack = AwaitNames::default().stack(&kept(&words, AwaitEnd::Whole));
        let frames: Vec<(u32, AwaitFrameKind)> = stack.frames.iter().map(|frame| (frame.depth, frame.kind)).collect();
        let code = AwaitFrameKind::Code;
        assert_eq!(frames, [(0, code(0x7f03)), (1, code(0x7f02)), (2, code(0x7f01))]);
        assert_eq!(stack.source, AwaitSource::Wakers);
    }
}
