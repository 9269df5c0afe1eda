//! The commands that ask a running daemon, and `inspect`, which asks nobody.

use std::{path::PathBuf, time::Duration};

use super::{Names, Shape, Streams, UsageError, not_empty};
use crate::cli::{
    args::{BlockingArgs, DaemonArgs, ExportArgs, FamilyArgs, InspectArgs, TasksArgs, WaitsArgs},
    form::{Listing, SortColumn},
    value::RequestId,
};

/// Time between two prints of a live table where the user names none.
const INTERVAL: Duration = Duration::from_secs(1);
/// Shortest interval of a live table: below it the terminal is the load.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Which daemon a command talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// The only one that runs.
    Only,
    /// The one of this target.
    OfPid(u32),
    /// The one on this socket.
    At(PathBuf),
}

/// `tasks`.
#[derive(Debug, PartialEq)]
pub struct Tasks {
    /// Which daemon.
    pub daemon: Daemon,
    /// Column to sort by.
    pub sort: SortColumn,
    /// Print again after this time; once if `None`.
    pub refresh: Option<Duration>,
    /// Redraw the table in place.
    pub live: bool,
    /// Form of the answer.
    pub format: Listing,
    /// Await stacks instead of the table.
    pub awaits: bool,
    /// How many groups of them; all if `None`.
    pub top: Option<u64>,
}

/// What `export` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything measured.
    All,
    /// One request.
    Request(RequestId),
    /// One task.
    Task(u64),
}

/// `blocking`.
#[derive(Debug, PartialEq)]
pub struct Blocking {
    /// Which daemon.
    pub daemon: Daemon,
    /// Polls that ran at least this long are listed.
    pub threshold: Duration,
    /// Rows of each list.
    pub top: u64,
    /// Whether stacks are printed.
    pub stacks: bool,
    /// Form of the answer.
    pub format: Listing,
}

/// `export`.
#[derive(Debug, PartialEq)]
pub struct Export {
    /// Which daemon.
    pub daemon: Daemon,
    /// What.
    pub selection: Selection,
    /// What to write, and where.
    pub shape: Shape,
    /// How functions are named.
    pub names: Names,
}

/// `waits`.
#[derive(Debug, PartialEq)]
pub struct Waits {
    /// Which daemon.
    pub daemon: Daemon,
    /// Whose waits.
    pub selection: Selection,
    /// Rows.
    pub top: u64,
    /// Form of the answer.
    pub format: Listing,
    /// How functions are named.
    pub names: Names,
}

/// `family`.
#[derive(Debug, PartialEq)]
pub struct Family {
    /// Which daemon.
    pub daemon: Daemon,
    /// Whose.
    pub request: RequestId,
    /// Rows of the critical path.
    pub top: u64,
    /// Whether the path is listed step by step.
    pub steps: bool,
    /// Form of the answer.
    pub format: Listing,
    /// How functions are named.
    pub names: Names,
}

/// What `inspect` looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// A file.
    File(PathBuf),
    /// The program of a process, or that shared object of it.
    Process(u32, Option<PathBuf>),
}

impl Daemon {
    pub(super) fn check(args: DaemonArgs) -> Result<Self, UsageError> {
        Ok(match (args.pid, args.socket) {
            (_, Some(path)) => Self::At(not_empty(path, "--socket")?),
            (Some(pid), None) => Self::OfPid(pid),
            (None, None) => Self::Only,
        })
    }
}

impl Tasks {
    pub(super) fn check(args: TasksArgs, streams: Streams) -> Result<Self, UsageError> {
        if args.interval.is_some_and(|interval| interval < INTERVAL_MIN) {
            return Err(UsageError::ShortInterval);
        }
        // Await stacks are read at leisure: they are printed once.
        let table_on_terminal = args.format == Listing::Table && streams.stdout_is_terminal && !args.awaits;
        let by_default = table_on_terminal.then_some(INTERVAL);
        let refresh = if args.once { None } else { args.interval.or(by_default) };
        Ok(Self {
            daemon: Daemon::check(args.daemon)?,
            sort: args.sort,
            refresh,
            live: table_on_terminal && refresh.is_some(),
            format: args.format,
            awaits: args.awaits,
            top: args.top,
        })
    }
}

impl Blocking {
    pub(super) fn check(args: BlockingArgs) -> Result<Self, UsageError> {
        let BlockingArgs { daemon, threshold, top, stacks, format } = args;
        Ok(Self { daemon: Daemon::check(daemon)?, threshold, top, stacks, format })
    }
}

impl Export {
    pub(super) fn check(args: ExportArgs) -> Result<Self, UsageError> {
        // clap has made sure that one of the three is given; the last is what is left.
        let selection = match (args.request, args.task) {
            (Some(id), _) => Selection::Request(id),
            (None, Some(id)) => Selection::Task(id),
            (None, None) => Selection::All,
        };
        Ok(Self {
            daemon: Daemon::check(args.daemon)?,
            selection,
            shape: Shape::check(args.shape)?,
            names: Names::check(args.names)?,
        })
    }
}

impl Waits {
    pub(super) fn check(args: WaitsArgs) -> Result<Self, UsageError> {
        // clap has made sure that one of the two is given.
        let selection = args.request.map_or(Selection::All, Selection::Request);
        let (daemon, names) = (Daemon::check(args.daemon)?, Names::check(args.names)?);
        Ok(Self { daemon, selection, top: args.top, format: args.format, names })
    }
}

impl Family {
    pub(super) fn check(args: FamilyArgs) -> Result<Self, UsageError> {
        let (daemon, names) = (Daemon::check(args.daemon)?, Names::check(args.names)?);
        Ok(Self { daemon, request: args.request, top: args.top, steps: args.steps, format: args.format, names })
    }
}

impl Program {
    pub(super) fn check(args: InspectArgs) -> Result<Self, UsageError> {
        match (args.file, args.pid) {
            (None, Some(pid)) => Ok(Self::Process(pid, args.object)),
            // clap requires one of the two, so no path is as bad as an empty one.
            (file, _) => Ok(Self::File(not_empty(file.unwrap_or_default(), "FILE")?)),
        }
    }
}
