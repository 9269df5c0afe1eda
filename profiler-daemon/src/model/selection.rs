//! Which part of a capture is asked for.

use thiserror::Error;

use super::capture::{Capture, ForeignRow, ForeignSource, RequestRow};
use super::request_id::RequestId;
use super::text::printable;

/// What a graph, or a report, is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every instance of one request id.
    Request {
        /// The id, compared by bytes.
        id: RequestId,
    },
    /// Every request that was seen.
    Requests,
    /// One task, alive or known as a request's child.
    Task {
        /// Tokio's task id.
        id: u64,
    },
    /// Every task, by type.
    All,
}

/// Nothing in the capture is what was asked for. The text says what there is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NothingSelected {
    /// No request of that id was seen.
    #[error("no request \"{id}\" was seen in this window; {there_is}")]
    Request {
        /// The id asked for.
        id: RequestId,
        /// What there is, as text.
        there_is: String,
    },
    /// No request at all was seen.
    #[error("no request was seen in this window")]
    Requests,
    /// No task of that id is known.
    #[error("no task {id} is alive, and no request spawned it; {there_is}")]
    Task {
        /// The task id asked for.
        id: u64,
        /// What there is, as text.
        there_is: String,
    },
    /// No task was polled.
    #[error("no task was polled in this window; {there_is}")]
    All {
        /// What there is, as text.
        there_is: String,
    },
}

/// How many names an error lists before it goes over to a count.
const NAMES_LISTED: usize = 8;

impl Selection {
    /// What it is about, for people: `request order-42`.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Request { id } => format!("request {id}"),
            Self::Task { id } => format!("task {id}"),
            Self::Requests => "all requests".to_owned(),
            Self::All => "all tasks".to_owned(),
        }
    }

    /// Requests that this selects, in start order. Empty for tasks.
    #[must_use]
    pub fn requests<'c>(&self, capture: &'c Capture) -> Vec<&'c RequestRow> {
        let mut rows: Vec<&RequestRow> = match self {
            Self::Request { id: wanted } => capture.requests.iter().filter(|row| row.answers_to(wanted)).collect(),
            Self::Requests => capture.requests.iter().collect(),
            Self::Task { .. } | Self::All => Vec::new(),
        };
        rows.sort_by_key(|row| (row.instance, row.start_ns, row.scope));
        rows
    }

    /// Ids of other libraries that this selects, and values of the naming key that no request has. Empty for the other kinds.
    #[must_use]
    pub fn foreign<'c>(&self, capture: &'c Capture) -> Vec<&'c ForeignRow> {
        let is_told = |row: &&ForeignRow| {
            row.source == ForeignSource::TaskLocal && capture.requests.iter().any(|request| request.id == row.id)
        };
        match self {
            Self::Request { id } => capture.foreign.iter().filter(|row| row.answers_to(id) && !is_told(row)).collect(),
            Self::Requests => capture.foreign.iter().filter(|row| !is_told(row)).collect(),
            Self::Task { .. } | Self::All => Vec::new(),
        }
    }

    /// Refuses a selection that matches nothing.
    pub fn check(&self, capture: &Capture) -> Result<(), NothingSelected> {
        match self {
            Self::Request { id } if self.requests(capture).is_empty() && self.foreign(capture).is_empty() => {
                Err(NothingSelected::Request { id: id.clone(), there_is: requests_there_are(capture) })
            }
            Self::Requests if capture.requests.is_empty() && capture.foreign.is_empty() => Err(NothingSelected::Requests),
            Self::Task { id } if !knows_task(capture, *id) => {
                Err(NothingSelected::Task { id: *id, there_is: tasks_there_are(capture) })
            }
            Self::All if capture.tasks.is_empty() && capture.finished.is_empty() && !is_sampled(capture) => {
                Err(NothingSelected::All { there_is: requests_there_are(capture) })
            }
            _ => Ok(()),
        }
    }
}

/// Whether anything was seen of a target without probes.
fn is_sampled(capture: &Capture) -> bool {
    capture.sampled.as_ref().is_some_and(|sampled| !sampled.rows.is_empty())
}

fn knows_task(capture: &Capture, id: u64) -> bool {
    capture.sampled.as_ref().is_some_and(|sampled| sampled.task(id).is_some())
        || capture.tasks.iter().any(|row| row.id == Some(id))
        || capture.requests.iter().flat_map(|row| &row.children).any(|child| child.task_id == Some(id))
}

fn requests_there_are(capture: &Capture) -> String {
    let seen = capture.foreign.iter().map(|row| &row.id);
    let mut ids: Vec<&RequestId> = capture.requests.iter().map(|row| &row.id).chain(seen).collect();
    ids.sort();
    ids.dedup();
    listed("request", &ids.iter().map(|id| printable(id.as_bytes())).collect::<Vec<_>>())
}

fn tasks_there_are(capture: &Capture) -> String {
    let mut ids: Vec<u64> = capture.tasks.iter().filter_map(|row| row.id).collect();
    ids.extend(capture.requests.iter().flat_map(|row| &row.children).filter_map(|child| child.task_id));
    ids.extend(capture.sampled.iter().flat_map(crate::model::capture::Sampled::ids));
    ids.sort_unstable();
    ids.dedup();
    listed("task", &ids.iter().map(u64::to_string).collect::<Vec<_>>())
}

/// `there are 10 requests: a, b, ... and 2 more`.
fn listed(noun: &str, names: &[String]) -> String {
    let shown = names.iter().take(NAMES_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => format!("there is no {noun} at all"),
        1 => format!("there is 1 {noun}: {shown}"),
        all if all <= NAMES_LISTED => format!("there are {all} {noun}s: {shown}"),
        all => format!("there are {all} {noun}s: {shown} and {} more", all - NAMES_LISTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::capture::{FinishedTypeRow, TaskRow};

    fn with_tasks(ids: impl IntoIterator<Item = u64>) -> Capture {
        Capture {
            tasks: ids.into_iter().map(|id| TaskRow { id: Some(id), ..TaskRow::default() }).collect(),
            ..Capture::default()
        }
    }

    #[test]
    fn an_unknown_task_is_told_which_there_are() {
        let error = Selection::Task { id: 99 }.check(&with_tasks([7, 5])).unwrap_err();
        assert_eq!(error.to_string(), "no task 99 is alive, and no request spawned it; there are 2 tasks: 5, 7");
        let error = Selection::Task { id: 99 }.check(&with_tasks(1..=10)).unwrap_err();
        assert!(error.to_string().ends_with("there are 10 tasks: 1, 2, 3, 4, 5, 6, 7, 8 and 2 more"), "{error}");
        assert_eq!(Selection::Task { id: 5 }.check(&with_tasks([7, 5])), Ok(()));
    }

    #[test]
    fn an_unknown_request_is_shown_escaped() {
        let error = Selection::Request { id: "\u{1b}[2J".into() }.check(&Capture::default()).unwrap_err();
        assert_eq!(error.to_string(), "no request \"\\x1b[2J\" was seen in this window; there is no request at all");
    }

    #[test]
    fn finished_tasks_are_enough_for_all() {
        assert!(Selection::All.check(&Capture::default()).is_err());
        let finished = Capture { finished: vec![FinishedTypeRow::default()], ..Capture::default() };
        assert_eq!(Selection::All.check(&finished), Ok(()));
    }
}
