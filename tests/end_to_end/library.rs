//! Tokio in a shared object of a program that knows nothing of it: an interpreter loads a library, and the library's runtimes, tasks and requests
//! are measured like any program's. The library is the matrix's (`tests/reach/library`), which counts its own polls.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, run_to_end};
use profiler_tests::process::Process;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, needs_root, skip};
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(1);
/// Loads every library that is named, and calls the first.
const SCRIPT: &str = "import ctypes, sys\nlibraries = [ctypes.CDLL(path) for path in sys.argv[1:]]\nlibraries[0].reach_serve()";
/// What the profiler takes over what has ended in.
const SETTLE: Duration = Duration::from_millis(600);

/// The library, built where it is not there yet.
fn library() -> Result<PathBuf> {
    let folder = binaries::target().join("library");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--locked", "--release", "--manifest-path"]);
    command.arg(binaries::repository().join("tests/reach/library/Cargo.toml")).arg("--target-dir").arg(&folder);
    command
        .env("CARGO_PROFILE_RELEASE_DEBUG", "full")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    let output = command.output().map_err(Failure::io("cargo"))?;
    if !output.status.success() {
        return Err(Failure::Wrong(vec![String::from_utf8_lossy(&output.stderr).into_owned()]));
    }
    Ok(folder.join("release/libreach_library.so"))
}

/// An interpreter with libraries of ours.
struct Interpreter(Process);

impl Interpreter {
    fn start(libraries: &[&Path]) -> Result<Self> {
        let mut command = Command::new("python3");
        let mut interpreter = Self(Process::start(command.args(["-c", SCRIPT]).args(libraries))?);
        interpreter.0.stdout.wait("the library", LIMIT, |line| line.contains("ready").then_some(()))?;
        Ok(interpreter)
    }

    /// Lets it work, and gives what it has counted.
    fn work(&mut self) -> Result<Value> {
        self.0.tell("work")?;
        let truth = self.0.stdout.wait("its counts", LIMIT, |line| serde_json::from_str(line).ok())?;
        std::thread::sleep(SETTLE);
        Ok(truth)
    }

    /// It lives on, whatever was done to it.
    fn end(mut self) -> Result<()> {
        let status = self.0.end(LIMIT)?;
        assert!(status.success(), "{status}");
        Ok(())
    }
}

/// Leaves a test that cannot load a library into an interpreter here, and says why.
macro_rules! needs_python {
    () => {
        needs_root!();
        if !has_python() {
            skip!("there is no python3");
        }
    };
}

fn has_python() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn report(daemon: &Daemon) -> Result<Value> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let path = folder.path().join("report.json");
    daemon.export(&path, &["--all", "--format", "json"])?;
    let text = std::fs::read_to_string(&path).map_err(Failure::io("the report"))?;
    json(&text)
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Failure::Wrong(vec![format!("{error}: {text}")]))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Every task and poll is seen under its name, and the request with its own.
#[test]
fn a_library_is_profiled_like_a_program() -> Result<()> {
    needs_python!();
    let _turn = turn();
    let library = library()?;
    let mut interpreter = Interpreter::start(&[&library])?;
    let daemon = Daemon::attach(interpreter.0.pid(), &[])?;
    let truth = interpreter.work()?;
    let report = report(&daemon)?;
    assert_eq!(report["target"]["exe"].as_str(), library.to_str());
    let is_of = |row: &Value, kind: &str| {
        let name = row["type"].as_str().unwrap_or_default();
        name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == kind)
    };
    for (kind, counts) in truth["kinds"].as_object().cloned().unwrap_or_default() {
        let rows: Vec<Value> = list(&report["tasks"]).into_iter().filter(|row| is_of(row, &kind)).collect();
        let sum = |field: &str| rows.iter().filter_map(|row| row[field].as_u64()).sum::<u64>();
        assert_eq!(
            (Some(sum("count")), Some(sum("polls"))),
            (counts["tasks"].as_u64(), counts["polls"].as_u64()),
            "{kind}: {rows:?}"
        );
    }
    let requests = list(&report["requests"]);
    assert_eq!((requests.len(), &requests[0]["polls"]), (1, &truth["request"]["polls"]));
    assert_eq!(report["awaits"]["source"], "layouts");
    let ended = daemon.end(libc::SIGINT)?;
    assert!(ended.status.success() && ended.stderr.contains("a shared object of the process"), "{}", ended.stderr);
    interpreter.end()
}

/// The annotation's table works where the loader has put it: one request alone reaches a probe, or each keeps its own times.
#[test]
fn a_library_knows_what_is_wanted() -> Result<()> {
    needs_python!();
    let _turn = turn();
    let library = library()?;
    for arguments in [&["--request", "matrix-1", "--mode", "request"][..], &["--all-requests"]] {
        let mut interpreter = Interpreter::start(&[&library])?;
        let daemon = Daemon::attach(interpreter.0.pid(), arguments)?;
        let truth = interpreter.work()?;
        let requests = list(&report(&daemon)?["requests"]);
        assert_eq!(requests.len(), 1, "{arguments:?}: {requests:?}");
        assert_eq!((&requests[0]["id"], &requests[0]["polls"]), (&Value::from("matrix-1"), &truth["request"]["polls"]));
        let states = ["running_ns", "preempted_ns", "blocked_ns", "scheduled_ns", "suspended_ns"];
        let sum: u64 = states.iter().filter_map(|state| requests[0][state].as_u64()).sum();
        assert_eq!(requests[0]["wall_ns"].as_u64(), Some(sum), "{arguments:?}");
        daemon.end(libc::SIGINT)?;
        interpreter.end()?;
    }
    Ok(())
}

/// Without probes, what cannot be told of a library is said to be so.
#[test]
fn what_a_library_cannot_tell_is_said() -> Result<()> {
    needs_python!();
    let _turn = turn();
    let library = library()?;
    let mut interpreter = Interpreter::start(&[&library])?;
    let pid = interpreter.0.pid().to_string();
    let told = run_to_end(["inspect", "--pid", &*pid])?;
    assert!(told.stdout.contains("no task ids") && told.stdout.contains("a shared object"), "{}{}", told.stdout, told.stderr);
    let daemon = Daemon::attach(interpreter.0.pid(), &["--mode", "sample", "--rate", "997"])?;
    interpreter.work()?;
    let ended = daemon.end(libc::SIGINT)?;
    assert!(ended.status.success() && ended.stderr.contains("missing: task ids"), "{}", ended.stderr);
    interpreter.end()
}

/// Of several libraries the first is profiled and the others are named; the user may choose, and is told what there is not.
#[test]
fn one_of_several_is_chosen() -> Result<()> {
    needs_python!();
    let _turn = turn();
    let library = library()?;
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let other = folder.path().join("libother.so");
    std::fs::copy(&library, &other).map_err(Failure::io("a copy of the library"))?;
    let mut interpreter = Interpreter::start(&[&library, &other])?;
    let pid = interpreter.0.pid().to_string();
    let inspect =
        |more: &[&str]| run_to_end(["inspect", "--format", "json", "--pid", &*pid].into_iter().chain(more.iter().copied()));
    let told = json(&inspect(&[])?.stdout)?;
    let both = [told["path"].clone(), told["beside"][0].clone()];
    for path in [&library, &other] {
        assert!(both.iter().any(|told| told.as_str() == path.to_str()), "{both:?}");
    }
    let chosen = json(&inspect(&["--object", "libother.so"])?.stdout)?;
    assert_eq!(chosen["path"].as_str(), other.to_str());
    let none = inspect(&["--object", "libnone.so"])?;
    assert_eq!(none.code(), 16, "{}", none.stderr);
    assert!(none.stderr.contains("has no shared object libnone.so"), "{}", none.stderr);
    let daemon = Daemon::attach(interpreter.0.pid(), &["--object", &*library.to_string_lossy()])?;
    // Gone from its path, and there all the same.
    std::fs::remove_file(&other).map_err(Failure::io("the copy"))?;
    interpreter.work()?;
    assert_eq!(list(&report(&daemon)?["requests"]).len(), 1);
    daemon.end(libc::SIGINT)?;
    interpreter.end()
}
