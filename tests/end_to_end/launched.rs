//! `run -- PROGRAM` and `record -- PROGRAM`: a service from its first instruction, and the ways in which it ends.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Ended, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, needs_root};

const LIMIT: Duration = Duration::from_mins(1);

/// `profiler-daemon COMMAND.. -- PROGRAM..`, whose streams are the program's.
fn launch(command: &[&str], program: &Path, arguments: &[&str]) -> Result<Command> {
    let mut profiler = Command::new(binaries::profiler()?);
    profiler.args(command).arg("--").arg(program).args(arguments);
    Ok(profiler)
}

/// The pid of the service, from what the profiler says of its start.
fn pid(profiler: &mut Process) -> Result<i32> {
    profiler.stderr.wait("word of the start", LIMIT, |line| {
        line.strip_prefix("started ")?.split_once("as process ")?.1.split_whitespace().next()?.parse().ok()
    })
}

fn gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

fn report(path: &Path) -> Result<Report> {
    Report::read(path)
}

/// The service's streams are its own: its commands go in and its rows come out. The tasks that it made while it started have their spawns,
/// and so have the first requests.
#[test]
fn everything_is_seen_from_the_first_task_on() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let output = folder.path().join("report.json");
    let output = output.to_string_lossy();
    let service = binaries::fixture("fixture-service")?;
    for scenario in [&["requests", "--concurrent", "4"][..], &["churn", "--live", "5", "--rate", "100", "--millis", "50"]] {
        let mut command = launch(&["record", "--all", "-o", &output], &service, scenario)?;
        let mut fixture = Fixture::ready(Process::start(&mut command)?)?;
        fixture.round()?;
        // Its input ends, so it ends by itself, and the recording with it.
        fixture.end()?;
        let report = report(Path::new(&*output))?;
        assert!(!report.tasks.is_empty());
        for task in report.tasks.iter().filter(|task| task.kind == "spawned") {
            assert!(task.spawn_seen, "{scenario:?}: {task:?}");
        }
        if scenario[0] == "requests" {
            for id in ["req-0", "req-3", "outer", "served-3"] {
                assert!(report.instances(id).iter().any(|request| request.complete && request.polls > 0), "{id}");
            }
        } else {
            assert!(report.tasks.iter().any(|task| task.id.is_some() || task.count >= 5), "{:?}", report.tasks);
        }
    }
    Ok(())
}

/// A signal that is sent to the profiler is the service's, and its end is the profiler's.
#[test]
fn signals_go_through_and_the_exit_code_comes_back() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let socket = folder.path().join("control.sock");
    let socket = socket.to_string_lossy();
    for (signal, code) in [(libc::SIGTERM, 128 + libc::SIGTERM), (libc::SIGINT, 128 + libc::SIGINT)] {
        let mut command =
            launch(&["run", "--socket", &socket], &binaries::fixture("fixture-service")?, &["churn", "--live", "2"])?;
        let mut fixture = Fixture::ready(Process::start(&mut command)?)?;
        let service = pid(&mut fixture.process)?;
        fixture.process.signal(signal)?;
        let status = fixture.process.wait(LIMIT)?;
        let stderr = fixture.process.stderr.to_end(LIMIT)?;
        assert_eq!(status.code(), Some(code), "{stderr}");
        assert!(stderr.contains("has ended") && gone(service), "{stderr}");
    }
    Ok(())
}

/// A recording that is over before its service is asks it to end, and has then succeeded.
#[test]
fn the_service_is_asked_to_end_with_the_recording() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let output = folder.path().join("report.json");
    let arguments = ["record", "--all", "--duration", "300ms", "-o", &*output.to_string_lossy()];
    let mut command = launch(&arguments, &binaries::fixture("fixture-service")?, &["churn", "--live", "3"])?;
    let mut process = Process::start(&mut command)?;
    let service = pid(&mut process)?;
    let status = process.wait(LIMIT)?;
    let stderr = process.stderr.to_end(LIMIT)?;
    assert!(status.success() && stderr.contains("asking the service to end"), "{stderr}");
    assert!(gone(service));
    assert!(!report(&output)?.tasks.is_empty());
    Ok(())
}

fn ended(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Ended> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let socket = folder.path().join("control.sock");
    let mut command = launch(&["run", "--socket", &socket.to_string_lossy()], Path::new(program.as_ref()), arguments)?;
    to_end(Process::start(&mut command)?)
}

fn last_line(ended: &Ended) -> &str {
    ended.stderr.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn what_cannot_be_started_or_profiled_is_told_and_does_not_run() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let missing = ended("/no/such/service", &[])?;
    assert_eq!((missing.code(), missing.stderr.lines().count()), (60, 1), "{}", missing.stderr);
    assert!(missing.stderr.contains("cannot run /no/such/service: No such file"), "{}", missing.stderr);
    let no_program = ended("/etc/passwd", &[])?;
    assert_eq!(no_program.code(), 60, "{}", no_program.stderr);
    // It would say something if it ran.
    let foreign = ended("/bin/echo", &["it runs"])?;
    assert_eq!((foreign.code(), &*foreign.stdout), (14, ""), "{}", foreign.stderr);
    assert!(last_line(&foreign).contains("Tokio"), "{}", foreign.stderr);
    let unspawned = ended(binaries::fixture("fixture-unspawned")?, &[])?;
    assert_eq!(unspawned.code(), 15, "{}", unspawned.stderr);
    Ok(())
}

/// A program that is gone at once has been profiled all the same, and its own code and words come out.
#[test]
fn one_that_ends_at_once_ends_the_profiler() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let service = binaries::fixture("fixture-service")?;
    let ended = ended(&service, &["no-such-scenario"])?;
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("no such scenario") && ended.stderr.contains("has ended"), "{}", ended.stderr);
    Ok(())
}

/// Under sudo a service is its user's, with that user's surroundings; the profiler alone is root.
#[test]
fn under_sudo_it_runs_as_the_user_who_called() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    // The build folder may be closed to others.
    let copy = folder.path().join("service");
    let closed = Failure::io("a copy of the fixture");
    std::fs::copy(binaries::fixture("fixture-service")?, &copy)
        .and_then(|_| std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)))
        .map_err(closed)?;
    let socket = folder.path().join("control.sock");
    for (as_root, uid) in [(false, "65534"), (true, "0")] {
        let mut arguments = vec!["run", "--socket"];
        let socket = socket.to_string_lossy();
        arguments.push(&socket);
        arguments.extend(as_root.then_some("--as-root"));
        let mut command = launch(&arguments, &copy, &["churn", "--live", "1"])?;
        command.envs([("SUDO_UID", "65534"), ("SUDO_GID", "65534")]);
        let mut fixture = Fixture::ready(Process::start(&mut command)?)?;
        let service = pid(&mut fixture.process)?;
        let path = format!("/proc/{service}/status");
        let status = std::fs::read_to_string(&path).map_err(Failure::io(path))?;
        let ids: Vec<&str> = status.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:")).collect();
        assert!(ids.iter().all(|line| line.split_whitespace().skip(1).all(|id| id == uid)), "{ids:?}");
        let environment = std::fs::read(format!("/proc/{service}/environ")).map_err(Failure::io("its environment"))?;
        let environment = String::from_utf8_lossy(&environment);
        assert_eq!(environment.split('\0').any(|variable| variable == "USER=nobody"), !as_root, "{environment}");
        fixture.end()?;
    }
    Ok(())
}
