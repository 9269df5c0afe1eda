//! What an inspection skipped or could not tell.

use std::fmt;

use serde::Serialize;

/// Something the user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// Polls of these types have no idle site although their code exchanges the state in a way not recognised.
    IdleNotRecognised {
        /// Indexes into [`super::Inspection::task_types`].
        types: Vec<u32>,
    },
    /// No exchange to idle is reachable from the polls of these types: their future is ready at its first
    /// poll (as that of a blocking task, which is not listed), as far as the code shows.
    NeverIdle {
        /// Indexes into [`super::Inspection::task_types`].
        types: Vec<u32>,
    },
    /// These types have no complete site.
    CompleteNotFound {
        /// Indexes into [`super::Inspection::task_types`].
        types: Vec<u32>,
    },
    /// A vtable holds a function that symbols call `raw::poll`, but not first as in Tokio's source: rustc ordered its fields otherwise. It
    /// was skipped.
    VtableOrderUnknown {
        /// Address of the vtable.
        vtable: u64,
    },
    /// These have the shape of task vtables, but their polls are not seen to run a task: an unoptimised build without symbols.
    VtablesUnverified {
        /// Their addresses.
        vtables: Vec<u64>,
    },
    /// `raw::poll` functions that no vtable found here points to.
    PollWithoutVtable {
        /// Their addresses.
        polls: Vec<u64>,
    },
    /// The file has a USDT note that could not be read.
    BadUsdtNote {
        /// What is wrong with it.
        why: String,
    },
    /// The debug information could not be read; names come from symbols.
    BadDebugInfo {
        /// What gimli says.
        why: String,
    },
    /// Work on the file was cut at a limit.
    LimitReached {
        /// Which.
        what: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdleNotRecognised { types } => {
                write!(f, "the end of polls was not recognised in the code of {} task types", types.len())
            }
            Self::NeverIdle { types } => write!(f, "{} task types never wait, as far as their code shows", types.len()),
            Self::CompleteNotFound { types } => {
                write!(f, "the completion was not recognised in the code of {} task types", types.len())
            }
            Self::VtableOrderUnknown { vtable } => {
                write!(f, "the task vtable at {vtable:#x} has its fields in an order not known here; it was skipped")
            }
            Self::VtablesUnverified { vtables } => {
                write!(f, "{} task vtables are taken by their shape alone: unoptimised code without symbols", vtables.len())
            }
            Self::PollWithoutVtable { polls } => {
                write!(f, "{} poll functions belong to no task vtable found; their tasks are not seen", polls.len())
            }
            Self::BadUsdtNote { why } => {
                write!(f, "a probe of the annotation cannot be read: {why}")
            }
            Self::BadDebugInfo { why } => write!(f, "the debug information cannot be read: {why}"),
            Self::LimitReached { what } => {
                write!(f, "work on this file was cut at a limit: {what}")
            }
        }
    }
}
