//! From the words of a walk to frames with names.

use profiler_common::awaits::AwaitEnd;
use profiler_common::awaits::word::{NO_TYPE, WordKind, parts};

use crate::inspect::awaits::{AwaitLayouts, FrameKind};
use crate::model::{AwaitFrame, AwaitFrameKind, AwaitSource, AwaitStack, TypeIndex};

/// The stack of these words. `type_name` knows the types of tasks by their places.
pub(super) fn stack_of(
    words: &[u64],
    end: AwaitEnd,
    layouts: &AwaitLayouts,
    type_name: &dyn Fn(u32) -> Option<String>,
) -> AwaitStack {
    AwaitStack {
        frames: words.iter().map(|word| frame(*word, layouts, type_name)).collect(),
        cut: (end != AwaitEnd::Whole).then(|| end.name()),
        source: AwaitSource::Layouts,
    }
}

fn frame(word: u64, layouts: &AwaitLayouts, type_name: &dyn Fn(u32) -> Option<String>) -> AwaitFrame {
    let word = parts(word);
    let layout = usize::try_from(word.node).ok().and_then(|node| layouts.frames.get(node)).and_then(Option::as_ref);
    let unknown = || format!("node {}", word.node);
    let depth = word.depth;
    match word.kind {
        Some(WordKind::Frame) => {
            let point = layout.and_then(|layout| layout.points.iter().find(|point| point.state == word.detail));
            let place = point.and_then(|point| {
                let file = usize::try_from(point.file).ok().and_then(|file| layouts.files.get(file))?;
                Some((file.clone(), point.line))
            });
            let name = layout.map_or_else(unknown, |layout| layout.name.clone());
            AwaitFrame { depth, name, kind: layout.map_or(AwaitFrameKind::Future, |layout| kind(layout.kind)), place }
        }
        Some(WordKind::Task) => {
            let task_type = (word.detail != NO_TYPE).then_some(word.detail);
            let known = task_type.and_then(type_name);
            let name = known.or_else(|| layout.map(|layout| layout.name.clone())).unwrap_or_else(unknown);
            AwaitFrame { depth, name, kind: AwaitFrameKind::Task(task_type.map(TypeIndex)), place: None }
        }
        Some(WordKind::UnknownDyn) => {
            AwaitFrame { depth, name: format!("dyn future {:#x}", word.address), kind: AwaitFrameKind::UnknownDyn, place: None }
        }
        Some(WordKind::Cut) | None => {
            let end = AwaitEnd::from_number(word.detail).unwrap_or(AwaitEnd::Unsupported);
            AwaitFrame { depth, name: end.name().to_owned(), kind: AwaitFrameKind::Cut, place: None }
        }
        Some(WordKind::Address) => {
            AwaitFrame { depth, name: String::new(), kind: AwaitFrameKind::Code(word.address), place: None }
        }
    }
}

const fn kind(of: FrameKind) -> AwaitFrameKind {
    match of {
        FrameKind::AsyncFn => AwaitFrameKind::AsyncFn,
        FrameKind::AsyncBlock => AwaitFrameKind::AsyncBlock,
        FrameKind::AsyncClosure => AwaitFrameKind::AsyncClosure,
        FrameKind::Future => AwaitFrameKind::Future,
        FrameKind::Join => AwaitFrameKind::Join,
        FrameKind::Select => AwaitFrameKind::Select,
        FrameKind::Task => AwaitFrameKind::Task(None),
    }
}
