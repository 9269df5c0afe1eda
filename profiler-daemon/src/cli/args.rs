//! The command line as clap reads it: the low form. What flags mean together is decided in [`super::command`].
//!
//! This one definition feeds `--help`, the man page and the shell completions.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueHint};

use super::{
    choice::ChoiceArgs,
    curl::CurlArgs,
    examples, exit,
    form::{Format, Listing, Metric, SortColumn},
    launch::TargetArgs,
    measuring::Measuring,
    token::TokenArgs,
    value::{self, RequestId},
};

/// Highest pid the kernel gives out: `PID_MAX_LIMIT` on 64 bits (include/linux/threads.h).
pub(super) const PID_MAX: i64 = 4 * 1024 * 1024;

/// Profile one request of a running Tokio service, from outside, without stopping or restarting it.
///
/// Attaches to a process by eBPF, splits the wall time of a request or task into running, preempted, blocked, scheduled
/// and suspended, and draws flamegraphs of where the time went. When it leaves, its probes are gone.
#[derive(Debug, Parser)]
#[command(
    name = "profiler-daemon",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = examples::TOP,
    after_long_help = format!("{}\n\n{}", examples::TOP, exit::help_section()),
    max_term_width = 100
)]
pub struct Args {
    /// When to use colours; `auto` means on a terminal where `NO_COLOR` is not set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub color: clap::ColorChoice,
    /// Say more on stderr; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: CommandArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CommandArgs {
    /// Stay attached to a service and answer `requests`, `tasks`, `blocking`, `waits`, `family` and `export`
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Attach, wait, write one result and leave
    #[command(after_help = examples::RECORD)]
    Record(RecordArgs),
    /// Send one request by curl, and profile it
    #[command(after_help = examples::CURL)]
    Curl(CurlArgs),
    /// Print a token by which a request of any client asks to be profiled
    #[command(after_help = examples::TOKEN)]
    Token(TokenArgs),
    /// List the requests a running daemon has seen
    #[command(after_help = examples::REQUESTS)]
    Requests(RequestsArgs),
    /// Show the tasks of a daemon's target: a live table on a terminal
    #[command(after_help = examples::TASKS)]
    Tasks(TasksArgs),
    /// List what holds a service's workers: places that block them, and polls that run on without yielding
    #[command(after_help = examples::BLOCKING)]
    Blocking(BlockingArgs),
    /// Write a flamegraph, folded stacks or the report from a running daemon
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// List what a request, or each type of task, waited for: await points with their time
    #[command(after_help = examples::WAITS)]
    Waits(WaitsArgs),
    /// Show a request's tree of tasks, and what its wall time consisted of: its awaits on tasks opened into those tasks' states
    #[command(after_help = examples::FAMILY)]
    Family(FamilyArgs),
    /// Tell what can be profiled in a program, and what is missing
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Tell what this machine's kernel and your privileges allow
    #[command(after_help = examples::SYSTEM_INFO)]
    SystemInfo(SystemInfoArgs),
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, in roff
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// Arguments of `run`.
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Whom to profile
    #[command(flatten)]
    pub target: TargetArgs,
    /// Measure every request: each keeps its own times where the program's annotation allows that, or, with --mode process, is seen in full;
    /// without this and any wanted ones: every task, and every request where the program names them
    #[arg(long, conflicts_with_all = ["request", "request_prefix", "next", "sample", "marked", "slower_than"])]
    pub all_requests: bool,
    /// With --all-requests: requests whose ids begin so are one route in the tables; may be given several times. The routes of others are
    /// their ids without numbers, hashes and UUIDs
    #[arg(long, value_name = "PREFIX", requires = "all_requests")]
    pub route: Vec<RequestId>,
    /// Measure only these
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Listen on this socket [default: /run/profiler-daemon/PID.sock as root, else $XDG_RUNTIME_DIR/profiler-daemon/PID.sock]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
    /// How it is measured
    #[command(flatten)]
    pub measuring: Measuring,
    /// How functions are named
    #[command(flatten)]
    pub names: NamesArgs,
}

/// Arguments of `record`.
#[derive(Debug, ClapArgs)]
pub struct RecordArgs {
    /// Whom to profile
    #[command(flatten)]
    pub target: TargetArgs,
    /// Record every task, no annotation needed; also the default where no request is wanted
    #[arg(long, conflicts_with_all = ["request", "request_prefix", "next", "sample", "marked", "slower_than"])]
    pub all: bool,
    /// Record these, and end as soon as they have completed
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// How long to record, at most; with --request or --next, how long to wait for them [default: 10s; of a started PROGRAM: until it ends]
    #[arg(short, long, value_name = "TIME", value_parser = value::duration)]
    pub duration: Option<Duration>,
    /// What is written
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// How it is measured
    #[command(flatten)]
    pub measuring: Measuring,
    /// How functions are named
    #[command(flatten)]
    pub names: NamesArgs,
}

/// What a result holds and where it goes: shared by `record` and `export`.
#[derive(Debug, ClapArgs)]
pub struct ShapeArgs {
    /// Time to draw: wall (waiting included), cpu, or blocked (asleep in the kernel inside a poll); a json report holds all
    #[arg(short, long, value_enum, default_value_t)]
    pub metric: Metric,
    /// Form of the result; if not given, by the end of FILE: .svg, .folded or .txt, .json, .pb.gz (pprof), .speedscope.json,
    /// .firefox.json, .pftrace or .perfetto-trace, .dot or .callgraph.svg, else flamegraph
    #[arg(short, long, value_enum)]
    pub format: Option<Format>,
    /// Write to this file; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

/// How functions are named: shared by `run`, `record`, `export`, `waits` and `family`.
#[derive(Debug, ClapArgs)]
pub struct NamesArgs {
    /// Draw every frame of the executor, instead of one [tokio] or [std] for each run of them
    #[arg(long)]
    pub raw_frames: bool,
    /// Look for debug files in this folder first, by build id and by name; may be given several times
    #[arg(long = "debug-dir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub debug_dirs: Vec<PathBuf>,
}

/// Which daemon to ask.
#[derive(Debug, ClapArgs)]
pub struct DaemonArgs {
    /// Ask the daemon of this process; not needed while only one daemon runs
    #[arg(short, long, conflicts_with = "socket", value_parser = clap::value_parser!(u32).range(1..=PID_MAX))]
    pub pid: Option<u32>,
    /// Ask the daemon on this socket
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
}

/// Arguments of `requests`.
#[derive(Debug, ClapArgs)]
pub struct RequestsArgs {
    /// Which daemon to ask
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
    /// The routes of `run --all-requests` alone: how many requests, p50, p99 and the worst of each
    #[arg(long)]
    pub routes: bool,
}

/// Arguments of `tasks`.
#[derive(Debug, ClapArgs)]
pub struct TasksArgs {
    /// Which daemon to ask
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Column to sort by, largest first (id, type and kind: smallest first)
    #[arg(short, long, value_enum, value_name = "COLUMN", default_value_t)]
    pub sort: SortColumn,
    /// Print once and leave; also the default where standard output is not a terminal
    #[arg(long, conflicts_with = "interval")]
    pub once: bool,
    /// Time between two prints of the live table; on a terminal 1s
    #[arg(short, long, value_name = "TIME", value_parser = value::duration)]
    pub interval: Option<Duration>,
    /// Form of the answer; json prints one line, and with --interval one line each time
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
    /// Print what each task waits for, like a thread dump: its await stack, read from the process while it runs
    #[arg(long, conflicts_with = "sort")]
    pub awaits: bool,
    /// With --awaits: print this many groups of tasks that wait alike, the longest waiting first [default: all]
    #[arg(short = 'n', long, value_name = "N", requires = "awaits", value_parser = clap::value_parser!(u64).range(1..))]
    pub top: Option<u64>,
}

/// Arguments of `blocking`.
#[derive(Debug, ClapArgs)]
pub struct BlockingArgs {
    /// Which daemon to ask
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// List polls that ran on a CPU at least this long
    #[arg(short, long, value_name = "TIME", default_value = "1ms", value_parser = value::duration)]
    pub threshold: Duration,
    /// List this many places, and as many types of task
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub top: u64,
    /// Print the stack under each row; json always has it
    #[arg(long)]
    pub stacks: bool,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
}

/// Arguments of `export`.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("selection").required(true).args(["request", "task", "all"]))]
pub struct ExportArgs {
    /// Which daemon to ask
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Only this request (`\xff` is a byte, `\\` a backslash, as in outputs)
    #[arg(short, long, value_name = "ID")]
    pub request: Option<RequestId>,
    /// Only this task, by the id that `tasks` shows
    #[arg(short, long, value_name = "ID")]
    pub task: Option<u64>,
    /// Everything that was measured
    #[arg(long)]
    pub all: bool,
    /// What is written
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// How functions are named
    #[command(flatten)]
    pub names: NamesArgs,
}

/// Arguments of `waits`.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("waiting").required(true).args(["request", "all"]))]
pub struct WaitsArgs {
    /// Which daemon to ask
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Only this request (`\xff` is a byte, `\\` a backslash, as in outputs)
    #[arg(short, long, value_name = "ID")]
    pub request: Option<RequestId>,
    /// Every task, by type
    #[arg(long)]
    pub all: bool,
    /// List this many await points, those with the most time
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub top: u64,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
    /// How functions are named
    #[command(flatten)]
    pub names: NamesArgs,
}

/// Arguments of `family`.
#[derive(Debug, ClapArgs)]
pub struct FamilyArgs {
    /// Which daemon to ask
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// The request
    #[arg(short, long, value_name = "ID")]
    pub request: RequestId,
    /// List this many parts of the critical path, those with the most time
    #[arg(short = 'n', long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub top: u64,
    /// List the critical path step by step, in order of time; json always has both
    #[arg(long, conflicts_with = "top")]
    pub steps: bool,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
    /// How functions are named
    #[command(flatten)]
    pub names: NamesArgs,
}

/// Arguments of `inspect`.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("program").required(true).args(["file", "pid"]))]
pub struct InspectArgs {
    /// The program's file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// The program of this process
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=PID_MAX))]
    pub pid: Option<u32>,
    /// This shared object of the process, by its path or an end of it, instead of the program or whichever has Tokio
    #[arg(long, value_name = "PATH", requires = "pid", value_hint = ValueHint::FilePath)]
    pub object: Option<PathBuf>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
}

/// Arguments of `system-info`.
#[derive(Debug, ClapArgs)]
pub struct SystemInfoArgs {
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Listing,
}

/// Arguments of `completions`.
#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, ClapArgs)]
pub struct ManArgs {
    /// The page of one command instead of the program's
    #[arg(value_name = "COMMAND")]
    pub page: Option<String>,
}
