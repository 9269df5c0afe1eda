//! The commands that attach to a target themselves: `run` and `record`.

use std::{path::PathBuf, time::Duration};

use super::{Names, Shape, UsageError, not_empty};
use crate::cli::{
    args::{RecordArgs, RunArgs},
    choice::{Choice, How},
    launch::Whom,
    measuring::Measuring,
    value::{DURATION_MAX, RequestId},
};

/// How long a recording of a process takes where the user does not say.
const DURATION: Duration = Duration::from_secs(10);

/// What `run` measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every task, and every request where the program names its requests.
    Everything,
    /// Every request.
    AllRequests,
    /// These.
    Only(Choice),
}

/// `run`.
#[derive(Debug, PartialEq)]
pub struct Run {
    /// The target.
    pub target: Whom,
    /// What to measure.
    pub wanted: Wanted,
    /// How.
    pub how: How,
    /// Beginnings of ids that are a route each.
    pub routes: Vec<RequestId>,
    /// The socket, where it is not the default one.
    pub socket: Option<PathBuf>,
    /// How else.
    pub measuring: Measuring,
    /// How functions are named.
    pub names: Names,
}

/// What `record` records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Every task.
    AllTasks,
    /// These requests; the recording ends with them.
    Requests(Choice),
}

/// `record`.
#[derive(Debug, PartialEq)]
pub struct Record {
    /// The target.
    pub target: Whom,
    /// What to record.
    pub subject: Subject,
    /// How.
    pub how: How,
    /// How long at most.
    pub duration: Duration,
    /// What to write, and where.
    pub shape: Shape,
    /// How else.
    pub measuring: Measuring,
    /// How functions are named.
    pub names: Names,
}

impl Run {
    pub(super) fn check(args: RunArgs) -> Result<Self, UsageError> {
        // clap has refused `--all-requests` beside wanted ones.
        let (choice, how) = args.choice.check(args.all_requests)?;
        let wanted = match (args.all_requests, choice) {
            (true, _) => Wanted::AllRequests,
            (false, None) => Wanted::Everything,
            (false, Some(choice)) => Wanted::Only(choice),
        };
        let socket = args.socket.map(|path| not_empty(path, "--socket")).transpose()?;
        Ok(Self {
            target: args.target.into(),
            wanted,
            how,
            routes: args.route,
            socket,
            measuring: args.measuring,
            names: Names::check(args.names)?,
        })
    }
}

impl Record {
    pub(super) fn check(args: RecordArgs) -> Result<Self, UsageError> {
        let (choice, how) = args.choice.check(false)?;
        let subject = choice.map_or(Subject::AllTasks, Subject::Requests);
        let target = args.target.into();
        let duration = args.duration.unwrap_or(match target {
            Whom::Pid(_) | Whom::Object(..) => DURATION,
            // Until it ends.
            Whom::Program(_) => DURATION_MAX,
        });
        let shape = Shape::check(args.shape)?;
        let names = Names::check(args.names)?;
        Ok(Self { target, subject, how, duration, shape, measuring: args.measuring, names })
    }
}
