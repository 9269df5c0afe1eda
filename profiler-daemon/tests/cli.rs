//! The binary as a shell runs it: exit codes, streams, and a daemon to ask.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::{
    os::unix::net::UnixListener,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use profiler_daemon::{
    cli::Exit,
    control::{Answer, ControlListener, Format, Names, Selection, Service, ServiceError, serve, server::Limits},
    model::{
        self, AwaitSource, AwaitedTasks, Blocking, Capture, Filter, Metric, Report, Snapshot, SnapshotFrame, SnapshotStack,
        SnapshotTask, SnapshotType, State, States, TaskKind, TaskRow, TaskType, TypeIndex, Wait, Waits, Whose,
        blocking::LongPolls,
    },
};
use serde_json::Value;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler-daemon"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Nothing on standard output, one sentence on standard error, and the code.
fn refused(args: &[&str], exit: Exit) -> String {
    let output = run(args);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(exit.code())), "{args:?}: {stderr}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(matches!(lines[..], [line] if line.starts_with("error: ")), "{args:?}: {stderr}");
    stderr.trim().to_owned()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for args in [&["--help"][..], &["-h"], &["--version"], &["help", "record"], &["export", "--help"]] {
        let output = run(args);
        assert!(output.status.success() && !output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
    assert!(text(&run(&["--help"]).stdout).contains("Exit codes:"));
    assert!(!text(&run(&["--help"]).stdout).contains('\x1b'), "no colours into a pipe");
    assert!(text(&run(&["--color", "always", "--help"]).stdout).contains('\x1b'));
}

#[test]
fn wrong_arguments_are_2() {
    for args in [&[][..], &["frobnicate"], &["run"], &["record", "--pid", "1", "--all", "--request", "a", "-o", "x"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn the_manual_and_the_completions() {
    for command in ["man", "completions"] {
        let args = if command == "man" { vec!["man"] } else { vec!["completions", "bash"] };
        let output = run(&args);
        assert!(output.status.success() && output.stdout.len() > 1000, "{command}");
    }
}

#[test]
fn wrong_targets_have_codes_of_their_own() {
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let pid = gone.id().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("never-written.json");
    let output = file.to_str().unwrap();
    let error = refused(&["record", "--pid", &pid, "-o", output], Exit::NoSuchProcess);
    assert_eq!(error, format!("error: there is no process {pid}"));
    refused(&["run", "--pid", &pid], Exit::NoSuchProcess);
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm.trim() == "kthreadd") {
        refused(&["record", "--pid", "2", "-o", output], Exit::KernelThread);
    }
    // This test's own thread is not the first of its process.
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let thread = thread.file_name().unwrap().to_str().unwrap();
    refused(&["inspect", "--pid", thread], Exit::ThreadOfProcess);
    assert!(!file.exists());
}

#[test]
fn wrong_files_have_a_code() {
    refused(&["inspect", "/no/such/file"], Exit::Unreadable);
    refused(&["inspect", "/proc"], Exit::Unreadable);
    refused(&["inspect", "/etc/passwd"], Exit::Unreadable);
}

#[test]
fn a_verbose_error_names_its_causes() {
    let output = run(&["-v", "inspect", "/no/such/file"]);
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 3, "{stderr}");
    assert!(stderr.lines().next().unwrap().ends_with("No such file or directory (os error 2)"), "{stderr}");
}

#[test]
fn this_machine_is_described() {
    let output = run(&["system-info", "--format", "json"]);
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let facts = facts.as_array().unwrap();
    assert!(facts.iter().all(|fact| fact["name"].is_string() && fact["verdict"].is_string() && fact["found"].is_string()));
    assert!(text(&run(&["system-info"]).stdout).starts_with("kernel  "));
}

#[test]
fn no_daemon_there() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("7.sock");
    let name = socket.to_str().unwrap();
    refused(&["requests", "--socket", name], Exit::NoDaemon);
    refused(&["tasks", "--socket", name], Exit::NoDaemon);
    drop(UnixListener::bind(&socket).unwrap());
    refused(&["tasks", "--socket", name], Exit::NoDaemon);
    // The export that fails leaves no empty file.
    let output = folder.path().join("x.json");
    refused(&["export", "--all", "--socket", name, "-o", output.to_str().unwrap()], Exit::NoDaemon);
    assert!(!output.exists());
    refused(&["export", "--all", "--socket", name, "-o", "/no/such/folder/x"], Exit::Output);
}

/// Two tasks, one of them from a hostile target.
struct Two;

fn report() -> Report {
    let named = |name: &str| TaskType { name: name.to_owned(), kind: TaskKind::Spawned };
    let task = |id, task_type, running_ns| {
        let states = States { running_ns, ..States::default() };
        TaskRow { id: Some(id), task_type: TypeIndex(task_type), states, ..TaskRow::default() }
    };
    let types = vec![named("shop::pay"), named("\u{1b}[2J")];
    model::report(&Capture { types, tasks: vec![task(17, 0, 9), task(18, 1, 80)], ..Capture::default() }, &Filter::All)
}

/// One task that waits, of a hostile name.
fn snapshot() -> Snapshot {
    let frame = |depth, name: &str| SnapshotFrame {
        depth,
        name: name.to_owned(),
        kind: "async_fn".to_owned(),
        file: Some("/srv/shop/src/pay.rs".to_owned()),
        line: Some(7),
    };
    let task = SnapshotTask {
        id: Some(17),
        task_type: 0,
        state: State::Suspended,
        since_ns: Some(1_000_000),
        request: None,
        spawn_seen: true,
        stack: Some(0),
        awaited: AwaitedTasks::default(),
        note: None,
    };
    Snapshot {
        at_ns: 3_500_000,
        source: AwaitSource::Layouts,
        types: vec![SnapshotType { name: "shop::pay".to_owned(), kind: TaskKind::Spawned }],
        stacks: vec![SnapshotStack { frames: vec![frame(0, "shop::pay"), frame(1, "\u{1b}[2J")], cut: None }],
        tasks: vec![task],
        notes: vec!["not \u{1b}[2J everything".to_owned()],
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, ServiceError> {
    serde_json::to_vec(value).map_err(|error| ServiceError::Failed(error.to_string()))
}

impl Service for Two {
    fn status(&self) -> Result<Vec<u8>, ServiceError> {
        Ok(b"{}".to_vec())
    }
    fn requests(&self) -> Result<Vec<u8>, ServiceError> {
        json(&report().requests)
    }
    fn tasks(&self) -> Result<Vec<u8>, ServiceError> {
        json(&report().tasks)
    }
    fn report(&self) -> Result<Vec<u8>, ServiceError> {
        json(&report())
    }
    fn blocking(&self, threshold_ns: u64, top: u64) -> Result<Answer, ServiceError> {
        let long = LongPolls {
            type_name: Some("shop::pay".to_owned()),
            kind: TaskKind::Spawned,
            count: top,
            total_ns: threshold_ns,
            longest_ns: threshold_ns,
            request: None,
            samples: 0,
            own: None,
            own_samples: 0,
            stacks: Vec::new(),
        };
        let told =
            Blocking { every_poll: true, threshold_ns, long_polls: vec![long], long_polls_known: 1, ..Blocking::default() };
        json(&told).map(Answer::from)
    }
    fn export(&self, select: &Selection, metric: Metric, format: Format, names: &Names) -> Result<Answer, ServiceError> {
        match select {
            Selection::Task(id) => Err(ServiceError::NotFound(format!("no task {id} is alive"))),
            _ => Ok(Answer {
                payload: format!("{select:?} {metric:?} {format:?}").into_bytes(),
                notes: names.debug_dirs.iter().map(|dir| format!("\u{1b}[2J{} {}", names.raw_frames, dir.display())).collect(),
            }),
        }
    }
    fn snapshot(&self) -> Result<Vec<u8>, ServiceError> {
        json(&snapshot())
    }
    fn waits(&self, select: &Selection, _names: &Names) -> Result<Answer, ServiceError> {
        let name = match select {
            Selection::Request(id) if id == "unknown" => {
                return Err(ServiceError::NotFound(format!("no request \"{id}\" was seen")));
            }
            Selection::Request(id) => id.clone(),
            _ => "shop::pay".to_owned(),
        };
        let wait = |awaited: &str, ns| Wait {
            stack: Vec::new().into(),
            cut: None,
            awaited: awaited.to_owned(),
            file: Some("/srv/orders.rs".to_owned()),
            line: Some(41),
            count: 2,
            total_ns: ns,
            suspended_ns: ns,
            scheduled_ns: 0,
            longest_ns: ns,
            woken_by: Vec::new(),
        };
        let told = Waits {
            whose: Whose::TaskType(name),
            source: AwaitSource::Layouts,
            waits: vec![wait("sleep\u{1b}[2J", 3_000_000), wait("recv", 1_000_000)],
            suspended_ns: 5_000_000,
            scheduled_ns: 0,
            wall_ns: 10_000_000,
            unknown_ns: 1_000_000,
            clamped_ns: 0,
        };
        json(&[told]).map(Answer::from)
    }
    fn family(&self, select: &Selection, names: &Names) -> Result<Answer, ServiceError> {
        // No test here reads what it tells.
        self.waits(select, names)
    }
    fn stop(&self) {}
}

/// Serves [`Two`] while `ask` runs.
fn with_daemon(ask: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("7.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(async { ControlListener::bind(&socket) }).unwrap();
    runtime.spawn(serve(listener, Arc::new(Two), Limits::default(), std::future::pending()));
    ask(socket.to_str().unwrap());
}

#[test]
fn a_running_daemon_is_asked() {
    with_daemon(|socket| {
        let listed = run(&["requests", "--socket", socket]);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        assert!(text(&listed.stdout).ends_with("no request was seen\n"));
        let listed = run(&["requests", "--socket", socket, "--format", "json"]);
        assert_eq!(text(&listed.stdout), "[]\n");
        let listed = run(&["tasks", "--socket", socket, "--format", "json"]);
        assert_eq!(listed.stdout.strip_suffix(b"\n").unwrap(), json(&report().tasks).unwrap());

        // Not a terminal: one table, sorted, and nothing in it that steers one.
        let row = |sort: &str| {
            let tasks = run(&["tasks", "--socket", socket, "--sort", sort]);
            assert!(!tasks.stdout.contains(&0x1b));
            text(&tasks.stdout).lines().nth(1).unwrap().to_owned()
        };
        assert!(row("running").contains("\\x1b[2J"), "{}", row("running"));
        assert!(row("id").contains("shop::pay"), "{}", row("id"));
    });
}

#[test]
fn what_holds_the_workers_is_asked() {
    with_daemon(|socket| {
        let listed = run(&["blocking", "--socket", socket, "--threshold", "2ms", "--top", "3"]);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        let shown = text(&listed.stdout);
        assert!(shown.contains("\nno worker was blocked\n"), "{shown}");
        assert!(shown.contains("\npolls that ran 2.000 ms or longer without yielding, by task\n"), "{shown}");
        let row: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["shop::pay", "3", "2.000", "2.000", "0", "no", "sample"]);
        let listed = run(&["blocking", "--socket", socket, "--format", "json"]);
        let answer: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!((&answer["threshold_ns"], &answer["long_polls"][0]["count"]), (&1_000_000.into(), &20.into()));
    });
}

/// Await stacks as a dump and as JSON, and nothing in the dump that steers a terminal.
#[test]
fn what_tasks_wait_for_is_asked() {
    with_daemon(|socket| {
        let listed = run(&["tasks", "--awaits", "--socket", socket]);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        assert_eq!(
            text(&listed.stdout),
            "\
1 task: 1 suspended

1 task shop::pay (spawned): suspended, for 2.500 ms
  task 17
  shop::pay  src/pay.rs:7
    \\x1b[2J  src/pay.rs:7

not \\x1b[2J everything
"
        );
        let listed = run(&["tasks", "--awaits", "--socket", socket, "--format", "json"]);
        let answer: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let task = &answer["tasks"][0];
        assert_eq!((&task["id"], &task["type"], &task["age_ns"]), (&17.into(), &"shop::pay".into(), &2_500_000.into()));
        assert_eq!((&task["await"]["stack"][0]["line"], &task["await"]["cut"]), (&7.into(), &Value::Null));
    });
}

#[test]
fn what_was_waited_for_is_asked() {
    with_daemon(|socket| {
        let listed = run(&["waits", "--socket", socket, "--all", "--top", "1"]);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        let shown = text(&listed.stdout);
        assert!(shown.starts_with("tasks shop::pay: 5.000 ms between polls, of 10.000 ms in all\n"), "{shown}");
        assert!(
            shown.contains("[await] sleep\\x1b[2J  orders.rs:41  -                2     3.000       3.000     30.0 %\n"),
            "{shown}"
        );
        assert!(shown.ends_with("... and 1 await point more\n"), "{shown}");
        let listed = run(&["waits", "--socket", socket, "--request", "order-42", "--format", "json", "--top", "1"]);
        let answer: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!((&answer[0]["task_type"], answer[0]["waits"].as_array().unwrap().len()), (&"order-42".into(), 1));
        refused(&["waits", "--socket", socket, "--request", "unknown"], Exit::NotFound);
    });
}

#[test]
fn an_export_goes_to_its_file_or_to_standard_output() {
    with_daemon(|socket| {
        let shown = run(&["export", "--request", "order-42", "--metric", "cpu", "--socket", socket, "-o", "-"]);
        assert_eq!(text(&shown.stdout), "Request(\"order-42\") Cpu Flamegraph");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("all.json");
        let written = run(&["export", "--all", "--socket", socket, "-o", file.to_str().unwrap()]);
        assert!(written.status.success() && written.stdout.is_empty());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "All Wall Json");
        let noted = run(&["export", "--all", "--raw-frames", "--debug-dir", "/srv/debug", "--socket", socket, "-o", "-"]);
        assert_eq!(text(&noted.stderr), "note: \\x1b[2Jtrue /srv/debug\n");
        let error = refused(&["export", "--task", "5", "--socket", socket, "-o", "-"], Exit::NotFound);
        assert_eq!(error, "error: no task 5 is alive");
    });
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    with_daemon(|socket| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_profiler-daemon"))
            .args(["tasks", "--socket", socket, "--format", "json", "--interval", "100ms"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), ""));
    });
}
