//! From a capture to bytes in the form that was asked for.

use super::SessionError;
use crate::export::{flamegraph, folded, json};
use crate::model::folding::Folded;
use crate::model::{Blocking, Capture, Filter, GraphOptions, Metric, Question, Selection, Symbolize, blocking, graph, report};

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An interactive SVG.
    Flamegraph,
    /// Stacks with nanoseconds, one a line.
    Folded,
    /// The report.
    Json,
}

/// Which frames of the executor are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecutorFrames {
    /// Each run of them as one frame ([`crate::model::folding`]).
    #[default]
    Folded,
    /// All.
    Raw,
}

/// Writes the selected part of `capture`.
pub fn render(
    capture: &Capture,
    selection: &Selection,
    metric: Metric,
    form: Form,
    executor: ExecutorFrames,
    symbols: &mut dyn Symbolize,
) -> Result<Vec<u8>, SessionError> {
    let mut folded = Folded(symbols);
    let symbols: &mut dyn Symbolize = if executor == ExecutorFrames::Raw { &mut *folded.0 } else { &mut folded };
    let mut bytes = Vec::new();
    match form {
        Form::Json => {
            let mut told = report(capture, &Filter::from(selection));
            // It sums over the whole process, so it is no part of a report about a part of it.
            if *selection == Selection::All {
                told.blocking = Some(blocking(capture, Question::default(), symbols));
            }
            json::write(&told, &mut bytes)?;
        }
        Form::Flamegraph | Form::Folded => {
            let drawn = graph(capture, selection, metric, GraphOptions::default(), symbols)?;
            if form == Form::Flamegraph {
                flamegraph::write(&drawn, &mut bytes)?;
            } else {
                folded::write(&drawn, &mut bytes)?;
            }
        }
    }
    Ok(bytes)
}

/// What holds the workers, its stacks folded as in a result.
pub fn holders(capture: &Capture, question: Question, executor: ExecutorFrames, symbols: &mut dyn Symbolize) -> Blocking {
    match executor {
        ExecutorFrames::Raw => blocking(capture, question, symbols),
        ExecutorFrames::Folded => blocking(capture, question, &mut Folded(symbols)),
    }
}
