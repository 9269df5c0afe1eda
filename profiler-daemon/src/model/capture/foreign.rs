//! Ids that other libraries gave to what threads were doing: OpenTelemetry's contexts, custom-labels.
//!
//! No probe stands where such an id is set, so there is no poll, no wake and no end to count: only what threads were found doing in its name.
//! What is not known has no field here.

use serde::{Deserialize, Serialize};

use super::{ScopeSeq, Stack};
use crate::collect::Sightings;
use crate::model::request_id::RequestId;

/// What an id is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignSource {
    /// The trace id of an OpenTelemetry context, in hex.
    TraceId,
    /// An attribute of an OpenTelemetry context.
    Attribute,
    /// A label of custom-labels.
    Label,
    /// A scope of our annotation, in a target without probes.
    Scope,
    /// A value of the task-local key that names requests, from the thread-local inside a poll.
    TaskLocal,
    /// What it is called was lost: it is shown by a number of ours.
    #[default]
    Unknown,
}

impl ForeignSource {
    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceId => "trace id",
            Self::Attribute => "attribute",
            Self::Label => "label",
            Self::Scope => "scope",
            Self::TaskLocal => "task-local",
            Self::Unknown => "unknown",
        }
    }
}

/// What was seen of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRow {
    /// The number that stands for it in [`Stack::requests`].
    pub number: ScopeSeq,
    /// The id.
    pub id: RequestId,
    /// What it is.
    pub source: ForeignSource,
    /// The trace id that stood beside it, in hex.
    pub trace_id: Option<String>,
    /// What was seen of it.
    pub sum: Sightings,
    /// Tasks in whose polls it was seen, at most 64.
    pub tasks: Vec<u64>,
}

impl ForeignRow {
    /// Whether it is what somebody calls `id`: a trace id may be written in capitals.
    #[must_use]
    pub fn answers_to(&self, id: &RequestId) -> bool {
        let is_trace = self.source == ForeignSource::TraceId;
        self.id == *id || is_trace && self.id.as_bytes().eq_ignore_ascii_case(id.as_bytes())
    }

    /// Whether a stack was taken in its name.
    #[must_use]
    pub fn has(&self, stack: &Stack) -> bool {
        stack.requests.contains(&self.number)
    }
}
