//! The command line, checked: the high form. Every combination that makes no sense is gone here.

use std::{path::PathBuf, time::Duration};

use super::{
    args::{
        Args, BlockingArgs, CommandArgs, DaemonArgs, ExportArgs, FamilyArgs, Format, InspectArgs, Listing, Metric, NamesArgs,
        RecordArgs, RunArgs, ShapeArgs, SortColumn, TasksArgs, WaitsArgs,
    },
    choice::{Choice, How},
    color::Color,
    curl::Curl,
    launch::Whom,
    manual::{self, Page},
    output::Output,
    room::RoomArgs,
    token::Token,
    value::{DURATION_MAX, Rate, RequestId, ValueError},
};
use thiserror::Error;

/// Time between two prints of a live table where the user names none.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a recording of a process takes where the user does not say.
const DURATION: Duration = Duration::from_secs(10);
/// Shortest interval of a live table: below it the terminal is the load.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What the streams are, as far as the arguments' meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
}

/// Flags that are right alone and wrong together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// `--request X --request X`.
    #[error("--request '{0}' is given twice")]
    SameRequestTwice(RequestId),
    /// `--mode` where no request is named.
    #[error("--mode and --follow-spawns say how wanted requests are measured, and none is named")]
    ModeOfNoRequest,
    /// `--mode sample --next 5`.
    #[error(
        "--mode sample has no probe in the program, so only --request can choose requests: no beginning and no end of one is seen"
    )]
    ChoiceOfSamples,
    /// `--interval` below what a table can be read at.
    #[error("--interval must be at least 100ms")]
    ShortInterval,
    /// An empty path for `-o`, `--socket` or FILE.
    #[error("{0} must not be an empty path")]
    EmptyPath(&'static str),
    /// `man` with a command that does not exist.
    #[error("there is no command '{0}' to print the page of")]
    NoSuchPage(String),
    /// `curl` without a URL.
    #[error("name the URL of the request")]
    NoUrl,
    /// `curl` with two.
    #[error("one request is profiled, and there are two URLs: '{0}' and '{1}'")]
    SeveralUrls(String, String),
    /// A URL that is none, or of another scheme.
    #[error("'{0}' is no http or https URL")]
    BadUrl(String),
    /// An option of curl's that makes several requests of one, or names files by itself.
    #[error("{0} cannot be had here: one request is profiled, and its answer goes to --body")]
    NotWithCurl(String),
    /// An option of curl's by which the URL does not say who answers.
    #[error("with {0}, say by --pid which process answers")]
    PidForDetour(String),
    /// `-o - --body -`.
    #[error("-o and --body cannot both go to standard output")]
    BothToStdout,
    /// `-H x-request-id:` with what is no request id.
    #[error("the x-request-id header: {0}")]
    RequestIdHeader(ValueError),
}

/// A checked command line.
#[derive(Debug, PartialEq)]
pub struct Invocation {
    /// Whether to colour standard output and standard error.
    pub color: Color,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// What to do.
    pub command: Command,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Stay attached and serve.
    Run(Run),
    /// One shot.
    Record(Record),
    /// Send one request and profile it.
    Curl(Curl),
    /// Print a token, or make a key.
    Token(Token),
    /// List requests of a running daemon.
    Requests {
        /// Which daemon.
        daemon: Daemon,
        /// Form of the answer.
        format: Listing,
        /// Routes, and no request.
        routes: bool,
    },
    /// Show tasks of a running daemon's target.
    Tasks(Tasks),
    /// List what holds workers.
    Blocking(Blocking),
    /// Write a result from a running daemon.
    Export(Export),
    /// List what was waited for.
    Waits(Waits),
    /// See [`Family`].
    Family(Family),
    /// Tell what can be profiled.
    Inspect {
        /// In what.
        program: Program,
        /// Form of the answer.
        format: Listing,
    },
    /// Tell what this machine allows.
    SystemInfo {
        /// Form of the answer.
        format: Listing,
    },
    /// Print a completion script.
    Completions(clap_complete::Shell),
    /// Print a manual page.
    Man(Page),
}

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
    /// The task-local key that names requests.
    pub request_key: Option<String>,
    /// The attribute or label of other libraries that names requests.
    pub label_key: Option<String>,
    /// The socket, where it is not the default one.
    pub socket: Option<PathBuf>,
    /// Samples a second.
    pub rate: Option<Rate>,
    /// Where tasks wait is left out.
    pub no_awaits: bool,
    /// Stacks of stored wakers are left out.
    pub no_await_wakers: bool,
    /// Runs of the kernel side's programs are counted.
    pub stats: bool,
    /// How many rows there may be.
    pub room: RoomArgs,
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
    /// The task-local key that names requests.
    pub request_key: Option<String>,
    /// The attribute or label of other libraries that names requests.
    pub label_key: Option<String>,
    /// How long at most.
    pub duration: Duration,
    /// What to write, and where.
    pub shape: Shape,
    /// Samples a second.
    pub rate: Option<Rate>,
    /// Where tasks wait is left out.
    pub no_awaits: bool,
    /// Stacks of stored wakers are left out.
    pub no_await_wakers: bool,
    /// Runs of the kernel side's programs are counted.
    pub stats: bool,
    /// How many rows there may be.
    pub room: RoomArgs,
    /// How functions are named.
    pub names: Names,
}

/// What a result holds and where it goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// The time that is drawn.
    pub metric: Metric,
    /// The form.
    pub format: Format,
    /// The place.
    pub output: Output,
}

/// How functions are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Every frame of the executor is drawn.
    pub raw_frames: bool,
    /// Where debug files are looked for first. Absolute: the daemon has another working directory.
    pub debug_dirs: Vec<PathBuf>,
}

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
    /// The program of a process.
    Process(u32),
}

impl Invocation {
    /// Checks the low form.
    pub fn check(args: Args, streams: Streams) -> Result<Self, UsageError> {
        let command = match args.command {
            CommandArgs::Run(run) => Command::Run(Run::check(run)?),
            CommandArgs::Record(record) => Command::Record(Record::check(record)?),
            CommandArgs::Curl(curl) => Command::Curl(Curl::check(curl)?),
            CommandArgs::Token(token) => Command::Token(Token::check(token)?),
            CommandArgs::Requests(requests) => {
                Command::Requests { daemon: Daemon::check(requests.daemon)?, format: requests.format, routes: requests.routes }
            }
            CommandArgs::Tasks(tasks) => Command::Tasks(Tasks::check(tasks, streams)?),
            CommandArgs::Blocking(blocking) => Command::Blocking(Blocking::check(blocking)?),
            CommandArgs::Export(export) => Command::Export(Export::check(export)?),
            CommandArgs::Waits(waits) => Command::Waits(Waits::check(waits)?),
            CommandArgs::Family(family) => Command::Family(Family::check(family)?),
            CommandArgs::Inspect(inspect) => Command::Inspect { format: inspect.format, program: Program::check(inspect)? },
            CommandArgs::SystemInfo(info) => Command::SystemInfo { format: info.format },
            CommandArgs::Completions(completions) => Command::Completions(completions.shell),
            CommandArgs::Man(man) => Command::Man(match man.page {
                None => Page::Program,
                Some(name) => manual::page_of(&name).ok_or(UsageError::NoSuchPage(name))?,
            }),
        };
        Ok(Self { color: Color::choose(args.color, streams), verbosity: args.verbose, command })
    }
}

pub(super) fn not_empty(path: PathBuf, what: &'static str) -> Result<PathBuf, UsageError> {
    if path.as_os_str().is_empty() { Err(UsageError::EmptyPath(what)) } else { Ok(path) }
}

impl Run {
    fn check(args: RunArgs) -> Result<Self, UsageError> {
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
            request_key: args.request_key,
            label_key: args.label_key,
            socket,
            rate: args.rate,
            no_awaits: args.no_awaits,
            no_await_wakers: args.no_await_wakers,
            stats: args.stats,
            room: args.room,
            names: Names::check(args.names)?,
        })
    }
}

impl Record {
    fn check(args: RecordArgs) -> Result<Self, UsageError> {
        let (choice, how) = args.choice.check(false)?;
        let subject = choice.map_or(Subject::AllTasks, Subject::Requests);
        let target = args.target.into();
        let duration = args.duration.unwrap_or(match target {
            Whom::Pid(_) => DURATION,
            // Until it ends.
            Whom::Program(_) => DURATION_MAX,
        });
        let shape = Shape::check(args.shape)?;
        let names = Names::check(args.names)?;
        Ok(Self {
            target,
            subject,
            how,
            request_key: args.request_key,
            label_key: args.label_key,
            duration,
            shape,
            rate: args.rate,
            no_awaits: args.no_awaits,
            no_await_wakers: args.no_await_wakers,
            stats: args.stats,
            room: args.room,
            names,
        })
    }
}

impl Shape {
    fn check(args: ShapeArgs) -> Result<Self, UsageError> {
        let path = not_empty(args.output, "-o")?;
        let format = args.format.unwrap_or_else(|| Format::by_name(&path)).for_name(&path);
        Ok(Self { metric: args.metric, format, output: Output::from(path) })
    }
}

impl Names {
    pub(super) fn check(args: NamesArgs) -> Result<Self, UsageError> {
        let absolute = |path| {
            let path = not_empty(path, "--debug-dir")?;
            // It fails only without a working directory. Then the path goes on as it is, and what reads it says so.
            Ok(std::path::absolute(&path).unwrap_or(path))
        };
        let debug_dirs = args.debug_dirs.into_iter().map(absolute).collect::<Result<_, _>>()?;
        Ok(Self { raw_frames: args.raw_frames, debug_dirs })
    }
}

impl Daemon {
    fn check(args: DaemonArgs) -> Result<Self, UsageError> {
        Ok(match (args.pid, args.socket) {
            (_, Some(path)) => Self::At(not_empty(path, "--socket")?),
            (Some(pid), None) => Self::OfPid(pid),
            (None, None) => Self::Only,
        })
    }
}

impl Tasks {
    fn check(args: TasksArgs, streams: Streams) -> Result<Self, UsageError> {
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
    fn check(args: BlockingArgs) -> Result<Self, UsageError> {
        let BlockingArgs { daemon, threshold, top, stacks, format } = args;
        Ok(Self { daemon: Daemon::check(daemon)?, threshold, top, stacks, format })
    }
}

impl Export {
    fn check(args: ExportArgs) -> Result<Self, UsageError> {
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
    fn check(args: WaitsArgs) -> Result<Self, UsageError> {
        // clap has made sure that one of the two is given.
        let selection = args.request.map_or(Selection::All, Selection::Request);
        let (daemon, names) = (Daemon::check(args.daemon)?, Names::check(args.names)?);
        Ok(Self { daemon, selection, top: args.top, format: args.format, names })
    }
}

impl Family {
    fn check(args: FamilyArgs) -> Result<Self, UsageError> {
        let (daemon, names) = (Daemon::check(args.daemon)?, Names::check(args.names)?);
        Ok(Self { daemon, request: args.request, top: args.top, steps: args.steps, format: args.format, names })
    }
}

impl Program {
    fn check(args: InspectArgs) -> Result<Self, UsageError> {
        match (args.file, args.pid) {
            (None, Some(pid)) => Ok(Self::Process(pid)),
            // clap requires one of the two, so no path is as bad as an empty one.
            (file, _) => Ok(Self::File(not_empty(file.unwrap_or_default(), "FILE")?)),
        }
    }
}
