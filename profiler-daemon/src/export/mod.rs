//! Formats: each a file, each a function from the model to a writer. None knows where the data came from.
//!
//! Everything that came from the target (request ids, symbol names, types) is text here: it cannot end a line, a frame
//! or a tag, and holds nothing a terminal would obey.

pub mod callgraph;
pub mod firefox;
pub mod flamegraph;
pub mod folded;
mod hover;
pub mod json;
pub mod perfetto;
pub mod pprof;
pub mod speedscope;

mod numbers;
pub mod table;
mod timeline;

use std::io;

use thiserror::Error;

use crate::model::Metric;

/// A graph could not be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// What was selected spent no time that the metric counts.
    #[error("{title} has no {} to draw in this window", metric.noun())]
    NothingToDraw {
        /// What was selected.
        title: String,
        /// What was asked of it.
        metric: Metric,
    },
    /// Of what was selected no poll was long enough for a record, and no sample fell into it.
    #[error(
        "{title}: no poll of {} or longer and no sample to draw in this window; `record --format perfetto` or `firefox` has every poll",
        numbers::ms(*poll_record_ns)
    )]
    NoRecordedPoll {
        /// What was selected.
        title: String,
        /// How long a poll must be to leave a record (ns).
        poll_record_ns: u64,
    },
    /// Writing failed.
    #[error("cannot write the export")]
    Write(#[from] io::Error),
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        Self::Write(error.into())
    }
}
