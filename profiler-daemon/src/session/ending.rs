//! When there is nothing more to see: the target is lost, or a recording has what was asked for.

use std::fmt;

use super::Subject;

/// Why a target cannot be seen any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It has ended.
    Ended,
    /// It runs another program, by execve(2).
    Exec,
}

impl fmt::Display for Lost {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Ended => "ended",
            Self::Exec => "began another program (execve)",
        })
    }
}

/// How many requests have ended, and how many are enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) ended: usize,
    pub(super) enough: Enough,
}

/// When a recording has what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enough {
    /// Each id has ended once.
    EachId,
    /// So many requests have ended.
    After(usize),
    /// There is no end to it.
    Never,
}

impl Enough {
    pub(super) fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Requests(choice) if choice.is_next_alone() => {
                Self::After(usize::try_from(choice.next).unwrap_or(usize::MAX))
            }
            Subject::Requests(choice) if choice.is_ids_alone() => Self::EachId,
            Subject::Requests(_) | Subject::AllTasks | Subject::AllRequests => Self::Never,
        }
    }
}
