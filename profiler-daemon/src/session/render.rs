//! From a capture to bytes in the form that was asked for.

use super::SessionError;
use crate::control::protocol::Format;
use crate::export::{firefox, flamegraph, folded, json, perfetto, pprof, speedscope};
use crate::model::folding::Folded;
use crate::model::{
    Blocking, Capture, Filter, GraphOptions, Metric, Question, Selection, Symbolize, blocking, graph, report, weighted,
};

impl Format {
    /// Whether it shows what happened when, and so wants every poll and every wake recorded.
    #[must_use]
    pub const fn wants_timeline(self) -> bool {
        match self {
            Self::Firefox | Self::Perfetto => true,
            Self::Flamegraph | Self::Folded | Self::Json | Self::Pprof | Self::Speedscope => false,
        }
    }
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
    format: Format,
    executor: ExecutorFrames,
    symbols: &mut dyn Symbolize,
) -> Result<Vec<u8>, SessionError> {
    let mut folded = Folded(symbols);
    let symbols: &mut dyn Symbolize = if executor == ExecutorFrames::Raw { &mut *folded.0 } else { &mut folded };
    let mut bytes = Vec::new();
    let draw = |metric, symbols: &mut dyn Symbolize| graph(capture, selection, metric, GraphOptions::default(), symbols);
    match format {
        Format::Json => {
            let mut told = report(capture, &Filter::from(selection));
            // It sums over the whole process, so it is no part of a report about a part of it.
            if *selection == Selection::All {
                told.blocking = Some(blocking(capture, Question::default(), symbols));
            }
            json::write(&told, &mut bytes)?;
        }
        Format::Flamegraph => flamegraph::write(&draw(metric, symbols)?, &mut bytes)?,
        Format::Folded => folded::write(&draw(metric, symbols)?, &mut bytes)?,
        Format::Speedscope => {
            // What was asked for is shown first; the others are one choice away in the same file.
            let others = [Metric::Wall, Metric::Cpu].into_iter().filter(|&other| other != metric);
            let graphs: Result<Vec<_>, _> = [metric].into_iter().chain(others).map(|metric| draw(metric, symbols)).collect();
            speedscope::write(&graphs?, &mut bytes)?;
        }
        Format::Pprof => pprof::write(capture, &weighted(capture, selection)?, metric, symbols, &mut bytes)?,
        Format::Firefox | Format::Perfetto => {
            selection.check(capture)?;
            if format == Format::Firefox {
                firefox::write(capture, selection, symbols, &mut bytes)?;
            } else {
                perfetto::write(capture, selection, symbols, &mut bytes)?;
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
