//! Types of which it is known how they wait: where the general rule (whatever future lies in a type by value is awaited) would be wrong
//! or would say less.
//!
//! Each line rests on the named type's `poll`: tokio 1.8 to 1.54, futures-util 0.3, tower 0.5, tower-http 0.6, tracing 0.1, tokio-stream 0.1.
//! A type that has changed since, so that the named field is gone, is not understood rather than guessed.

use std::collections::HashMap;

use super::Compiler;
use crate::inspect::awaits::dwarf::scan::joined;
use crate::inspect::awaits::dwarf::shape::Shape;
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::layouts::FrameKind;

/// How a type waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// As the pointer in it.
    Pin,
    /// Never for anything that lies inside: it has no future inside that it polls, or is never pending.
    Closed,
    /// For another task.
    JoinHandle,
    /// For the tasks in it, where a closure that is polled has captured it; anywhere else it is no future.
    JoinSet,
    /// As its elements.
    Vec,
    /// For what lies inside, as any other, but is not shown: a part of the future around it.
    Transparent,
    /// For everything that lies inside, as any other, but is shown as more than a future.
    Of(FrameKind),
    /// For this field only.
    Only(&'static str),
    /// For `future`; carries the value of a task-local key.
    TaskLocal,
    /// For this field only; where that is `None` it is done.
    While(&'static str),
    /// For the first field, an `Option`; where that is `None` for the second.
    Else(&'static str, &'static str),
    /// For what its closure polls.
    PollFn,
    /// For the futures in its linked list.
    Unordered,
    /// For the futures in this field, a queue; where that is empty, for the second, which gives more of them.
    QueueElse(&'static str, &'static str),
}

use FrameKind::{Join, Select};

const RULES: &[(&str, Rule)] = &[
    ("core::pin::Pin", Rule::Pin),
    ("alloc::vec::Vec", Rule::Vec),
    ("alloc::sync::Arc", Rule::Closed),
    ("alloc::sync::Weak", Rule::Closed),
    ("alloc::rc::Rc", Rule::Closed),
    ("alloc::rc::Weak", Rule::Closed),
    ("core::future::ready::Ready", Rule::Closed),
    ("core::future::poll_fn::PollFn", Rule::PollFn),
    ("tokio::future::poll_fn::PollFn", Rule::PollFn),
    ("tokio::future::maybe_done::MaybeDone", Rule::Transparent),
    ("tokio::runtime::task::join::JoinHandle", Rule::JoinHandle),
    ("tokio::task::join_set::JoinSet", Rule::JoinSet),
    // Its closure runs at the first poll, to its end.
    ("tokio::runtime::blocking::task::BlockingTask", Rule::Closed),
    // The deadline is asked only after the value was pending; nobody waits for it to pass.
    ("tokio::time::timeout::Timeout", Rule::Only("value")),
    ("tokio::task::task_local::TaskLocalFuture", Rule::TaskLocal),
    ("tower::timeout::future::ResponseFuture", Rule::Only("response")),
    ("tower_http::timeout::service::ResponseFuture", Rule::Only("inner")),
    ("tracing::instrument::Instrumented", Rule::Only("inner")),
    ("tracing::instrument::WithDispatch", Rule::Only("inner")),
    ("profiler_annotate::scope::Scope", Rule::Only("future")),
    // tokio-stream.
    ("tokio_stream::iter::Iter", Rule::Closed),
    ("tokio_stream::once::Once", Rule::Closed),
    ("tokio_stream::stream_ext::then::Then", Rule::Else("future", "stream")),
    ("tokio_stream::stream_ext::chain::Chain", Rule::Else("a.stream", "b")),
    ("tokio_stream::stream_ext::fuse::Fuse", Rule::While("stream")),
    ("tokio_stream::stream_ext::timeout::Timeout", Rule::Only("stream")),
    // futures-util, futures.
    ("futures_util::future::poll_fn::PollFn", Rule::PollFn),
    ("futures_util::stream::poll_fn::PollFn", Rule::PollFn),
    ("futures_util::future::ready::Ready", Rule::Closed),
    ("futures_util::stream::iter::Iter", Rule::Closed),
    ("futures_util::future::maybe_done::MaybeDone", Rule::Transparent),
    ("futures_util::future::try_maybe_done::TryMaybeDone", Rule::Transparent),
    ("futures_util::stream::futures_ordered::OrderWrapper", Rule::Transparent),
    // What the public types of these names delegate to (`delegate_all!`).
    ("futures_util::future::future::map::Map", Rule::Transparent),
    ("futures_util::future::future::flatten::Flatten", Rule::Transparent),
    ("futures_util::future::try_future::try_flatten::TryFlatten", Rule::Transparent),
    ("futures_util::future::try_future::into_future::IntoFuture", Rule::Transparent),
    ("futures_util::future::future::fuse::Fuse", Rule::While("inner")),
    ("futures_util::future::join::Join", Rule::Of(Join)),
    ("futures_util::future::join::Join3", Rule::Of(Join)),
    ("futures_util::future::join::Join4", Rule::Of(Join)),
    ("futures_util::future::join::Join5", Rule::Of(Join)),
    ("futures_util::future::try_join::TryJoin", Rule::Of(Join)),
    ("futures_util::future::try_join::TryJoin3", Rule::Of(Join)),
    ("futures_util::future::try_join::TryJoin4", Rule::Of(Join)),
    ("futures_util::future::try_join::TryJoin5", Rule::Of(Join)),
    ("futures_util::future::join_all::JoinAll", Rule::Of(Join)),
    ("futures_util::future::try_join_all::TryJoinAll", Rule::Of(Join)),
    ("futures_util::future::select::Select", Rule::Of(Select)),
    ("futures_util::future::try_select::TrySelect", Rule::Of(Select)),
    ("futures_util::future::select_all::SelectAll", Rule::Of(Select)),
    ("futures_util::future::select_ok::SelectOk", Rule::Of(Select)),
    ("futures_util::stream::select::Select", Rule::Of(Select)),
    ("futures_util::stream::select_with_strategy::SelectWithStrategy", Rule::Of(Select)),
    ("futures_util::stream::select_all::SelectAll", Rule::Of(Select)),
    ("futures_util::stream::futures_unordered::FuturesUnordered", Rule::Unordered),
    ("futures_util::stream::futures_ordered::FuturesOrdered", Rule::Only("in_progress_queue")),
    ("futures_util::stream::stream::buffer_unordered::BufferUnordered", Rule::QueueElse("in_progress_queue", "stream")),
    ("futures_util::stream::stream::buffered::Buffered", Rule::QueueElse("in_progress_queue", "stream")),
    (
        "futures_util::stream::stream::flatten_unordered::FlattenUnorderedWithFlowController",
        Rule::QueueElse("inner_streams", "stream"),
    ),
    (
        "futures_util::stream::try_stream::try_buffer_unordered::TryBufferUnordered",
        Rule::QueueElse("in_progress_queue", "stream"),
    ),
    ("futures_util::stream::try_stream::try_buffered::TryBuffered", Rule::QueueElse("in_progress_queue", "stream")),
    ("futures_util::stream::stream::for_each_concurrent::ForEachConcurrent", Rule::QueueElse("futures", "stream")),
    ("futures_util::stream::try_stream::try_for_each_concurrent::TryForEachConcurrent", Rule::QueueElse("futures", "stream")),
    ("futures_util::stream::stream::chain::Chain", Rule::Else("first", "second")),
    // While the future of the last item runs the stream is not asked for the next.
    ("futures_util::stream::stream::then::Then", Rule::Else("future", "stream")),
    ("futures_util::stream::stream::filter::Filter", Rule::Else("pending_fut", "stream")),
    ("futures_util::stream::stream::filter_map::FilterMap", Rule::Else("pending", "stream")),
    ("futures_util::stream::stream::take_while::TakeWhile", Rule::Else("pending_fut", "stream")),
    ("futures_util::stream::stream::skip_while::SkipWhile", Rule::Else("pending_fut", "stream")),
    ("futures_util::stream::stream::fold::Fold", Rule::Else("future", "stream")),
    ("futures_util::stream::stream::for_each::ForEach", Rule::Else("future", "stream")),
    ("futures_util::stream::stream::any::Any", Rule::Else("future", "stream")),
    ("futures_util::stream::stream::all::All", Rule::Else("future", "stream")),
    ("futures_util::stream::stream::scan::Scan", Rule::Else("future", "stream")),
    ("futures_util::stream::stream::flatten::Flatten", Rule::Else("next", "stream")),
    ("futures_util::stream::stream::take_until::TakeUntil", Rule::Of(Select)),
    ("futures_util::stream::try_stream::and_then::AndThen", Rule::Else("future", "stream")),
    ("futures_util::stream::try_stream::or_else::OrElse", Rule::Else("future", "stream")),
    ("futures_util::stream::try_stream::try_filter::TryFilter", Rule::Else("pending_fut", "stream")),
    ("futures_util::stream::try_stream::try_filter_map::TryFilterMap", Rule::Else("pending", "stream")),
    ("futures_util::stream::try_stream::try_take_while::TryTakeWhile", Rule::Else("pending_fut", "stream")),
    ("futures_util::stream::try_stream::try_skip_while::TrySkipWhile", Rule::Else("pending_fut", "stream")),
    ("futures_util::stream::try_stream::try_for_each::TryForEach", Rule::Else("future", "stream")),
    ("futures_util::stream::try_stream::try_fold::TryFold", Rule::Else("future", "stream")),
    ("futures_util::stream::try_stream::try_flatten::TryFlatten", Rule::Else("next", "stream")),
];

/// The rules by the hash of their type's path.
pub(super) struct Known(HashMap<u64, Rule>);

impl Known {
    pub(super) fn new() -> Self {
        Self(RULES.iter().map(|(path, rule)| (joined(0, path), *rule)).collect())
    }
}

impl Compiler<'_, '_> {
    /// The rule of a type, whatever it is generic over.
    pub(super) fn rule(&self, die: Die, shape: &Shape<'_>) -> Option<Rule> {
        let base = shape.name.split('<').next().unwrap_or_default();
        if base.is_empty() || base.starts_with(['{', '(', '&', '*']) {
            return None;
        }
        self.known.0.get(&self.types.path_hash(die, base)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that no type stands in the table twice, or hashes as another.
    #[test]
    fn every_type_has_one_rule() {
        assert_eq!(Known::new().0.len(), RULES.len());
    }
}
