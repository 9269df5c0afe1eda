//! The command line as a user types it.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use super::{
    choice::{Choice, ModeArg},
    command::{Command, Daemon, Export, Names, Program, Selection, Subject, Wanted},
    form::{Format, Listing, Metric, SortColumn},
    launch::{Program as Started, Whom},
    output::Output,
    value::Rate,
    *,
};

const PIPED: Streams = Streams { stdout_is_terminal: false, stderr_is_terminal: false, no_color: false };
const TERMINAL: Streams = Streams { stdout_is_terminal: true, stderr_is_terminal: true, no_color: false };

fn parse_on(streams: Streams, line: &str) -> Result<Invocation, clap::Error> {
    let words = std::iter::once("profiler-daemon").chain(line.split_whitespace());
    parse(words.map(OsString::from), streams)
}

fn command(line: &str) -> Command {
    parse_on(PIPED, line).unwrap().command
}

/// The first line of a refusal; the code must be that of a usage error.
fn refusal(line: &str) -> String {
    let error = parse_on(PIPED, line).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Usage, "{line}");
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn claps_own_checks_of_the_definition() {
    definition().debug_assert();
}

#[test]
fn every_command_teaches_by_example() {
    for command in definition().get_subcommands() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        assert!(examples.contains(&format!("profiler-daemon {name}")), "{name} has no example");
    }
}

/// An example that does not parse teaches the wrong thing.
#[test]
fn every_example_parses() {
    let mut seen = 0;
    let mut definition = definition();
    definition.build();
    let texts = std::iter::once(&definition).chain(definition.get_subcommands());
    for text in texts.filter_map(|command| command.get_after_help()).map(ToString::to_string) {
        for line in text.lines().filter_map(|line| line.trim().split_once("profiler-daemon ")) {
            let (before, line) = line;
            if !matches!(before, "" | "sudo ") {
                continue;
            }
            let line = line.split(['|', '>']).next().unwrap_or_default();
            parse_on(PIPED, line).unwrap_or_else(|error| panic!("{line}: {error}"));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["--help", "-h", "--version", "record --help", "help record"] {
        assert_eq!(exit_of(&parse_on(PIPED, line).unwrap_err()), Exit::Success, "{line}");
    }
    let help = parse_on(PIPED, "--help").unwrap_err().to_string();
    assert!(help.contains("Exit codes:") && help.contains("no process has this pid"), "{help}");
    assert_eq!(exit_of(&parse_on(PIPED, "").unwrap_err()), Exit::Usage);
}

#[test]
fn run_measures_everything_or_requests_or_the_named_ones() {
    let Command::Run(run) = command("run --pid 7") else { panic!() };
    assert_eq!((run.target, run.wanted, run.socket, run.measuring.rate), (Whom::Pid(7), Wanted::Everything, None, None));
    let Command::Run(run) = command("run --pid 7 --all-requests --rate 4000 --socket /x.sock") else { panic!() };
    assert_eq!(
        (run.wanted, run.socket, run.measuring.rate.map(Rate::hz)),
        (Wanted::AllRequests, Some(PathBuf::from("/x.sock")), Some(4000))
    );
    let Command::Run(run) = command("run --pid 7 --request a --request b") else { panic!() };
    let ids = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    assert_eq!(run.wanted, Wanted::Only(Choice { ids, ..Choice::default() }));
    let Command::Run(run) = command("run --pid 7 --mode process") else { panic!() };
    assert_eq!((run.wanted, run.how.mode), (Wanted::Everything, Some(ModeArg::Process)));
}

#[test]
fn run_and_record_start_a_program() {
    let Command::Run(run) = command("run --all-requests -- ./shop --pid 9 -o x -- y") else { panic!() };
    let words = |words: &[&str]| words.iter().map(OsString::from).collect();
    let program = |as_root| {
        Whom::Program(Started { name: "./shop".into(), arguments: words(&["--pid", "9", "-o", "x", "--", "y"]), as_root })
    };
    assert_eq!((run.target, run.wanted), (program(false), Wanted::AllRequests));
    let Command::Record(record) = command("record --as-root -o x.svg -- ./shop --pid 9 -o x -- y") else { panic!() };
    assert_eq!((record.target, record.duration), (program(true), value::DURATION_MAX));
    let Command::Record(record) = command("record --duration 5s -o x.svg -- ./shop") else { panic!() };
    assert_eq!(record.duration, Duration::from_secs(5));
    assert!(refusal("run --pid 7 -- ./shop").contains("cannot be used with"));
    assert!(refusal("run --pid 7 --as-root").contains("cannot be used with"));
    assert!(refusal("run --as-root").contains("required arguments were not provided"));
    assert!(refusal("run --").contains("required arguments were not provided"));
}

#[test]
fn run_refuses() {
    assert_eq!(
        refusal("run --pid 7 --request a --all-requests"),
        "error: the argument '--request <ID>' cannot be used with '--all-requests'"
    );
    assert_eq!(refusal("run --pid 7 --request a --request a"), "error: --request 'a' is given twice");
    for how in ["--mode request", "--follow-spawns"] {
        let refused = "error: --mode request and --follow-spawns say how wanted requests are measured, and none is named";
        assert_eq!(refusal(&format!("run --pid 7 {how}")), refused);
    }
    assert!(refusal("run").starts_with("error: the following required arguments were not provided"));
    for pid in ["0", "-1", "4194305", "99999999999999", "x"] {
        assert!(refusal(&format!("run --pid={pid}")).contains("invalid value"), "{pid}");
    }
    assert_eq!(
        refusal("run --pid 7 --rate 4001"),
        "error: invalid value '4001' for '--rate <HZ>': the rate must be a whole number from 1 to 4000 Hz"
    );
    let long = "x".repeat(65);
    assert_eq!(
        refusal(&format!("run --pid 7 --request {long}")),
        format!("error: invalid value '{long}' for '--request <ID>': a request id has at most 64 bytes, this one has 65")
    );
}

#[test]
fn blocking_has_defaults() {
    let Command::Blocking(blocking) = command("blocking") else { panic!() };
    assert_eq!((blocking.daemon, blocking.threshold, blocking.top), (Daemon::Only, Duration::from_millis(1), 20));
    assert_eq!((blocking.stacks, blocking.format), (false, Listing::Table));
    let Command::Blocking(blocking) = command("blocking --pid 7 -t 50us -n 3 --stacks --format json") else { panic!() };
    assert_eq!((blocking.threshold, blocking.top, blocking.stacks), (Duration::from_micros(50), 3, true));
    assert!(refusal("blocking --top 0").contains("invalid value '0' for '--top <N>'"));
    assert!(refusal("blocking --threshold 0ms").contains("longer than nothing"));
}

#[test]
fn waits_wants_a_request_or_all() {
    let Command::Waits(waits) = command("waits --request order-42") else { panic!() };
    assert_eq!((waits.daemon, waits.top, waits.format), (Daemon::Only, 20, Listing::Table));
    assert_eq!(waits.selection, Selection::Request("order-42".parse().unwrap()));
    let Command::Waits(waits) = command("waits --all --pid 7 -n 3 --raw-frames --format json") else { panic!() };
    assert_eq!((waits.daemon, waits.selection, waits.top), (Daemon::OfPid(7), Selection::All, 3));
    assert!(waits.names.raw_frames && waits.format == Listing::Json);
    assert!(refusal("waits").starts_with("error: the following required arguments were not provided"));
    assert!(refusal("waits --all --request a").contains("cannot be used with"));
    assert!(refusal("waits --all --top 0").contains("invalid value '0' for '--top <N>'"));
}

#[test]
fn record_has_defaults() {
    let Command::Record(record) = command("record --pid 7 -o wall.svg") else { panic!() };
    assert_eq!(record.subject, Subject::AllTasks);
    assert_eq!(record.duration, Duration::from_secs(10));
    assert_eq!((record.shape.metric, record.shape.format), (Metric::Wall, Format::Flamegraph));
    assert_eq!(record.shape.output, Output::File(PathBuf::from("wall.svg")));
}

#[test]
fn record_of_one_request() {
    let line = "record --pid 7 --request order-42 --duration 2m --metric cpu --format folded -o -";
    let Command::Record(record) = command(line) else { panic!() };
    let ids = vec!["order-42".parse().unwrap()];
    assert_eq!(record.subject, Subject::Requests(Choice { ids, ..Choice::default() }));
    assert_eq!(record.duration, Duration::from_mins(2));
    assert_eq!((record.shape.metric, record.shape.format), (Metric::Cpu, Format::Folded));
    assert_eq!(record.shape.output, Output::Stdout);
}

#[test]
fn the_form_follows_the_files_name_unless_it_is_said() {
    let format = |rest: &str| match command(&format!("record --pid 7 {rest}")) {
        Command::Record(record) => record.shape.format,
        other => panic!("{other:?}"),
    };
    assert_eq!(format("-o report.json"), Format::Json);
    assert_eq!(format("-o stacks.folded"), Format::Folded);
    assert_eq!(format("-o -"), Format::Flamegraph);
    assert_eq!(format("-o order-42.pb.gz"), Format::Pprof);
    assert_eq!(format("-o order-42.speedscope.json"), Format::Speedscope);
    assert_eq!(format("-o order-42.firefox.json"), Format::Firefox);
    assert_eq!(format("-o a.pftrace"), Format::Perfetto);
    assert_eq!(format("-o a.perfetto-trace"), Format::Perfetto);
    // A hidden file of that name has no end.
    assert_eq!(format("-o .json"), Format::Flamegraph);
    assert_eq!(format("-o a.json --format perfetto"), Format::Perfetto);
    assert_eq!(format("-o report.json --format flamegraph"), Format::Flamegraph);
}

#[test]
fn record_refuses() {
    assert_eq!(
        refusal("record --pid 7 --all --request a -o x"),
        "error: the argument '--all' cannot be used with '--request <ID>'"
    );
    assert!(refusal("record --pid 7").starts_with("error: the following required arguments were not provided"));
    assert_eq!(
        refusal("record --pid 7 -o x --duration 10"),
        "error: invalid value '10' for '--duration <TIME>': write a duration as a whole number and a unit: 500ms, 10s, 2m or 1h"
    );
    let empty = ["profiler-daemon", "record", "--pid", "7", "-o", ""].map(OsString::from);
    let error = parse(empty, PIPED).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Usage);
}

#[test]
fn a_daemon_is_named_by_pid_or_socket_or_not_at_all() {
    let daemon = |rest: &str| match command(&format!("requests {rest}")) {
        Command::Requests { daemon, .. } => daemon,
        other => panic!("{other:?}"),
    };
    assert_eq!(daemon(""), Daemon::Only);
    assert_eq!(daemon("--pid 7"), Daemon::OfPid(7));
    assert_eq!(daemon("--socket /x.sock"), Daemon::At(PathBuf::from("/x.sock")));
    assert!(refusal("requests --pid 7 --socket /x").contains("cannot be used with"));
}

#[test]
fn tasks_live_on_a_terminal_only() {
    let tasks = |streams, rest: &str| match parse_on(streams, &format!("tasks {rest}")).unwrap().command {
        Command::Tasks(tasks) => (tasks.refresh, tasks.live),
        other => panic!("{other:?}"),
    };
    let second = Some(Duration::from_secs(1));
    assert_eq!(tasks(TERMINAL, ""), (second, true));
    assert_eq!(tasks(TERMINAL, "--once"), (None, false));
    assert_eq!(tasks(TERMINAL, "--format json"), (None, false));
    assert_eq!(tasks(PIPED, ""), (None, false));
    assert_eq!(tasks(PIPED, "--interval 1s"), (second, false));
    assert!(refusal("tasks --once --interval 1s").contains("cannot be used with"));
    assert_eq!(refusal("tasks --interval 99ms"), "error: --interval must be at least 100ms");
    let Command::Tasks(tasks) = command("tasks --sort longest-poll") else { panic!() };
    assert_eq!((tasks.sort, tasks.format), (SortColumn::LongestPoll, Listing::Table));
}

#[test]
fn export_needs_exactly_one_selection() {
    let export = |rest: &str| match command(&format!("export {rest} -o x.json")) {
        Command::Export(Export { selection, .. }) => selection,
        other => panic!("{other:?}"),
    };
    assert_eq!(export("--all"), Selection::All);
    assert_eq!(export("--task 17"), Selection::Task(17));
    assert_eq!(export("--request a"), Selection::Request("a".parse().unwrap()));
    assert!(refusal("export -o x").starts_with("error: the following required arguments were not provided"));
    assert!(refusal("export --all --task 1 -o x").contains("cannot be used with"));
}

#[test]
fn inspect_takes_a_file_or_a_process() {
    let program = |line: &str| match command(line) {
        Command::Inspect { program, .. } => program,
        other => panic!("{other:?}"),
    };
    assert_eq!(program("inspect ./shop"), Program::File(PathBuf::from("./shop")));
    assert_eq!(program("inspect --pid 7 --format json"), Program::Process(7, None));
    assert!(refusal("inspect ./shop --pid 7").contains("cannot be used with"));
    assert!(refusal("inspect").starts_with("error: the following required arguments were not provided"));
}

#[test]
fn global_flags_stand_anywhere() {
    let before = parse_on(TERMINAL, "-v --color never requests").unwrap();
    let after = parse_on(TERMINAL, "requests -v --color never").unwrap();
    assert_eq!(before, after);
    assert_eq!((before.verbosity, before.color.stdout), (1, false));
    assert!(parse_on(TERMINAL, "requests").unwrap().color.stdout);
}

#[test]
fn man_refuses_a_command_that_is_not_there() {
    assert_eq!(refusal("man frobnicate"), "error: there is no command 'frobnicate' to print the page of");
    assert!(matches!(command("man record"), Command::Man(manual::Page::Command(name)) if name == "record"));
}

#[test]
fn names_are_folded_and_looked_up_where_the_user_says() {
    let Command::Run(run) = command("run -p 7 --raw-frames --debug-dir /a --debug-dir b") else { panic!() };
    let here = std::env::current_dir().unwrap();
    assert_eq!(run.names, Names { raw_frames: true, debug_dirs: vec!["/a".into(), here.join("b")] });
    let Command::Record(record) = command("record -p 7 -o x.svg --debug-dir /a") else { panic!() };
    assert_eq!(record.names, Names { raw_frames: false, debug_dirs: vec!["/a".into()] });
    let Command::Export(export) = command("export --all -o x.svg") else { panic!() };
    assert_eq!(export.names, Names::default());
    let empty = ["profiler-daemon", "run", "-p", "7", "--debug-dir", ""].map(OsString::from);
    assert!(parse(empty, PIPED).unwrap_err().to_string().contains("--debug-dir"));
}
