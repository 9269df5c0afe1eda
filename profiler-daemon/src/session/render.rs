//! From a capture to bytes in the form that was asked for.

use super::SessionError;
use crate::control::protocol::Format;
use crate::export::{callgraph, firefox, flamegraph, folded, json, perfetto, pprof, speedscope};
use crate::model::folding::Folded;
use crate::model::{
    Blocking, Capture, Filter, GraphOptions, Keep, Metric, Question, Report, Selection, Symbolize, blocking, graph, name_waits,
    report, weighted,
};

impl Format {
    /// Whether it shows what happened when, and so wants every poll and every wake recorded.
    #[must_use]
    pub const fn wants_timeline(self) -> bool {
        match self {
            Self::Firefox | Self::Perfetto => true,
            Self::Flamegraph
            | Self::Folded
            | Self::Json
            | Self::Pprof
            | Self::Speedscope
            | Self::CallgraphDot
            | Self::CallgraphSvg => false,
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

impl ExecutorFrames {
    /// Which frames of await stacks are drawn: as those of code.
    #[must_use]
    pub const fn kept(self) -> Keep {
        match self {
            Self::Folded => Keep::Own,
            Self::Raw => Keep::Raw,
        }
    }

    /// Does something with the names of frames as they are drawn.
    fn in_names<T>(self, symbols: &mut dyn Symbolize, draw: impl FnOnce(&mut dyn Symbolize) -> T) -> T {
        match self {
            Self::Folded => draw(&mut Folded(symbols)),
            Self::Raw => draw(symbols),
        }
    }
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
    let mut bytes = Vec::new();
    let options = GraphOptions { keep: executor.kept(), ..GraphOptions::default() };
    let draw = |metric, symbols: &mut dyn Symbolize| {
        executor.in_names(symbols, |symbols| graph(capture, selection, metric, options, symbols))
    };
    match format {
        Format::Json => json::write(&told(capture, selection, executor, symbols), &mut bytes)?,
        Format::Flamegraph => flamegraph::write(&draw(metric, symbols)?, &mut bytes)?,
        Format::Folded => folded::write(&draw(metric, symbols)?, &mut bytes)?,
        Format::Speedscope => {
            // What was asked for is shown first; the others are one choice away in the same file.
            let others = [Metric::Wall, Metric::Cpu].into_iter().filter(|&other| other != metric);
            let graphs: Result<Vec<_>, _> = [metric].into_iter().chain(others).map(|metric| draw(metric, symbols)).collect();
            speedscope::write(&graphs?, &mut bytes)?;
        }
        Format::Pprof => {
            executor.in_names(symbols, |symbols| {
                let weighted = weighted(capture, selection, executor.kept(), symbols)?;
                Ok::<_, SessionError>(pprof::write(capture, &weighted, metric, symbols, &mut bytes)?)
            })?;
        }
        Format::Firefox | Format::Perfetto => {
            selection.check(capture)?;
            let write = if format == Format::Firefox { firefox::write } else { perfetto::write };
            executor.in_names(symbols, |symbols| write(capture, selection, symbols, &mut bytes))?;
        }
        Format::CallgraphDot | Format::CallgraphSvg => {
            let options = GraphOptions { children: true, ..options };
            let wall = executor.in_names(symbols, |symbols| graph(capture, selection, Metric::Wall, options, symbols))?;
            if format == Format::CallgraphDot {
                callgraph::write_dot(&wall, &mut bytes)?;
            } else {
                callgraph::write_svg(&wall, &mut bytes)?;
            }
        }
    }
    Ok(bytes)
}

fn told(capture: &Capture, selection: &Selection, executor: ExecutorFrames, symbols: &mut dyn Symbolize) -> Report {
    let mut told = report(capture, &Filter::from(selection));
    name_waits(&mut told, capture, symbols);
    // It sums over the whole process, so it is no part of a report about a part of it.
    if *selection == Selection::All {
        told.blocking = Some(holders(capture, Question::default(), executor, symbols));
    }
    told
}

/// What holds the workers, its stacks folded as in a result.
pub fn holders(capture: &Capture, question: Question, executor: ExecutorFrames, symbols: &mut dyn Symbolize) -> Blocking {
    executor.in_names(symbols, |symbols| blocking(capture, question, symbols))
}
