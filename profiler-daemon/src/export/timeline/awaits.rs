//! What a task or request waited for between two polls, as a timeline says it.

use crate::model::text::printable;
use crate::model::waits::{Keep, Reading, Stacks};
use crate::model::{AwaitSource, AwaitSpan, Capture, State, Symbolize};

/// A text for each await stack of a capture.
pub(in crate::export) struct AwaitTexts(Vec<String>);

impl AwaitTexts {
    pub(in crate::export) fn of(capture: &Capture, symbols: &mut dyn Symbolize) -> Self {
        let stacks = Stacks::of(capture, Some(symbols));
        let text = |stack: &crate::model::waits::NamedStack| {
            let text = Reading::of(&stack.frames, stack.cut, Keep::Own).text();
            let text = if stack.source == AwaitSource::Wakers { format!("{text}, by the last waker stored") } else { text };
            printable(text.as_bytes())
        };
        Self(stacks.all().iter().map(text).collect())
    }

    /// `[await] tokio::time::sleep::Sleep (orders.rs:41)`; `suspended` where it is not known. Printable.
    pub(in crate::export) fn text(&self, span: &AwaitSpan) -> &str {
        let at = span.stack.and_then(|index| usize::try_from(index.0).ok());
        at.and_then(|at| self.0.get(at)).map_or_else(|| State::Suspended.name(), String::as_str)
    }
}
