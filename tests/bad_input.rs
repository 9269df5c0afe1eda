//! What a user does wrong, or meets: one clear sentence on standard error, and an exit code of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, Ended, Recording, run_to_end, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, needs_root, skip};

/// The exit codes that the manual promises.
mod code {
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const NO_SUCH_PROCESS: i32 = 10;
    pub(crate) const KERNEL_THREAD: i32 = 11;
    pub(crate) const THREAD_OF_PROCESS: i32 = 12;
    pub(crate) const NOT_TOKIO: i32 = 14;
    pub(crate) const SITES_NOT_FOUND: i32 = 15;
    pub(crate) const NO_PRIVILEGES: i32 = 20;
    pub(crate) const KERNEL_TOO_OLD: i32 = 21;
    pub(crate) const TARGET_DIED: i32 = 30;
    pub(crate) const TARGET_LOST: i32 = 31;
    pub(crate) const REQUEST_NEVER_CAME: i32 = 32;
    pub(crate) const SOCKET_IN_USE: i32 = 40;
    pub(crate) const NO_DAEMON: i32 = 42;
    pub(crate) const NOT_FOUND: i32 = 44;
    pub(crate) const DAEMON_FAILED: i32 = 45;
}

/// The code, and one sentence that has every one of `words`.
fn refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{}", ended.stderr);
    let lines: Vec<_> = ended.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(matches!(lines[..], [line] if line.len() > 20 && line.len() < 300), "not one sentence: {lines:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in {:?}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
}

fn record(pid: u32, further: &[&str]) -> Result<Ended> {
    Ok(Recording::start(pid, further)?.ended()?.0)
}

#[test]
fn no_such_process() -> Result<()> {
    let mut gone = Process::start(&mut Command::new("true"))?;
    let pid = gone.pid();
    gone.wait(Duration::from_secs(10))?;
    drop(gone);
    refused(&record(pid, &["--all"])?, code::NO_SUCH_PROCESS, &[&pid.to_string()]);
    Ok(())
}

#[test]
fn a_kernel_thread() -> Result<()> {
    let status = fs::read_to_string("/proc/2/status").unwrap_or_default();
    if !status.contains("kthreadd") {
        skip!("process 2 is no kernel thread here");
    }
    refused(&record(2, &["--all"])?, code::KERNEL_THREAD, &["kernel thread"]);
    Ok(())
}

#[test]
fn a_thread_instead_of_its_process() -> Result<()> {
    let fixture = Fixture::start("churn --live 1")?;
    let path = format!("/proc/{}/task", fixture.pid());
    let threads = fs::read_dir(&path).map_err(Failure::io(path))?;
    let names = threads.filter_map(|thread| thread.ok()?.file_name().into_string().ok()?.parse().ok());
    let thread: u32 = names.into_iter().find(|thread| *thread != fixture.pid()).unwrap();
    refused(&record(thread, &["--all"])?, code::THREAD_OF_PROCESS, &[&fixture.pid().to_string()]);
    fixture.end()
}

#[test]
fn not_a_tokio_program() -> Result<()> {
    needs_root!();
    let fixture = Fixture::start_binary("fixture-plain", "")?;
    refused(&record(fixture.pid(), &["--all"])?, code::NOT_TOKIO, &["Tokio"]);
    fixture.end()
}

#[test]
fn a_tokio_program_without_sites() -> Result<()> {
    needs_root!();
    let fixture = Fixture::start_binary("fixture-unspawned", "")?;
    refused(&record(fixture.pid(), &["--all"])?, code::SITES_NOT_FOUND, &["task"]);
    fixture.end()
}

/// As the user `nobody`, with a target of the same user: it may look at everything, and load nothing.
#[test]
fn no_privileges() -> Result<()> {
    needs_root!();
    if !Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success()) {
        skip!("setpriv (util-linux) is not installed");
    }
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).map_err(Failure::io("the folder"))?;
    let as_nobody = |binary: &std::path::Path, name: &str| -> Result<Command> {
        // The build folder may be closed to others.
        let copy = folder.path().join(name);
        fs::copy(binary, &copy).map_err(Failure::io(name))?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).map_err(Failure::io(name))?;
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]).arg(copy);
        Ok(command)
    };
    let mut target = as_nobody(&binaries::fixture("fixture-service")?, "target")?;
    let target = Fixture::ready(Process::start(target.args(["churn", "--live", "1"]))?)?;
    let mut profiler = as_nobody(&binaries::profiler()?, "profiler")?;
    profiler
        .args(["record", "--pid", &target.pid().to_string(), "--all", "--format", "json", "-o"])
        .arg(folder.path().join("report.json"));
    refused(&to_end(Process::start(&mut profiler)?)?, code::NO_PRIVILEGES, &["sudo"]);
    target.end()
}

/// In a mount namespace of its own the profiler sees another release in /proc, as on a machine that runs it.
#[test]
fn the_kernel_is_too_old() -> Result<()> {
    needs_root!();
    let fixture = Fixture::start("churn --live 1")?;
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let release = folder.path().join("osrelease");
    fs::write(&release, "5.10.0-28-amd64\n").map_err(Failure::io("osrelease"))?;
    let mut profiler = Command::new("unshare");
    profiler
        .args(["--mount", "sh", "-c", "mount --bind \"$0\" /proc/sys/kernel/osrelease && exec \"$@\""])
        .arg(&release)
        .arg(binaries::profiler()?)
        .args(["record", "--pid", &fixture.pid().to_string(), "--all", "--format", "json", "-o"])
        .arg(folder.path().join("report.json"));
    refused(&to_end(Process::start(&mut profiler)?)?, code::KERNEL_TOO_OLD, &["5.10", "6.1"]);
    fixture.end()
}

/// The target is killed at points spread over the attach. Whatever the profiler was doing: it says so in a sentence, and
/// never hangs, crashes or calls it a success of a whole window.
#[test]
fn the_target_dies_during_the_attach() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut died = 0;
    for delay in [0, 2, 5, 10, 20, 40, 80, 120, 160, 240] {
        let mut fixture = Fixture::start("churn --live 1")?;
        let recording = Recording::start(fixture.pid(), &["--all", "--duration", "30s"])?;
        std::thread::sleep(Duration::from_millis(delay));
        fixture.process.signal(libc::SIGKILL)?;
        fixture.process.wait(Duration::from_secs(10))?;
        let (ended, _folder) = recording.ended()?;
        match ended.code() {
            // Too late to be during the attach: the window was open.
            code::TARGET_LOST => {}
            code::NO_SUCH_PROCESS => refused(&ended, code::NO_SUCH_PROCESS, &[]),
            code::TARGET_DIED => {
                died += 1;
                refused(&ended, code::TARGET_DIED, &[]);
            }
            other => assert_eq!(other, code::TARGET_DIED, "killed after {delay} ms: {}", ended.stderr),
        }
    }
    assert!(died > 0, "no kill fell into the attach");
    Ok(())
}

/// What was seen until the target's end is written, and the code says that it is not the whole window.
#[test]
fn the_target_ends_before_the_recording() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 1 --rate 500 --millis 100")?;
    let recording = Recording::attach(fixture.pid(), &["--all", "--duration", "30s"])?;
    let path = recording.path();
    fixture.round()?;
    fixture.end()?;
    let (ended, _folder) = recording.ended()?;
    assert_eq!(ended.code(), code::TARGET_LOST, "{}", ended.stderr);
    let report = profiler_tests::report::Report::read(&path)?;
    assert_eq!(report.finished("brief_step").map(|row| row.count), Some(60), "{report:#?}");
    Ok(())
}

#[test]
fn a_request_that_never_comes() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 2")?;
    let recording = Recording::attach(fixture.pid(), &["--request", "order-42", "--duration", "1s"])?;
    fixture.round()?;
    let (ended, _folder) = recording.ended()?;
    assert_eq!(ended.code(), code::REQUEST_NEVER_CAME, "{}", ended.stderr);
    assert!(ended.stderr.lines().any(|line| line.contains("order-42") && line.len() > 20), "{}", ended.stderr);
    fixture.ping()?;
    fixture.end()
}

#[test]
fn a_socket_in_use() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let fixture = Fixture::start("churn --live 1")?;
    let daemon = Daemon::attach(fixture.pid(), &[])?;
    let socket = daemon.socket();
    let socket = socket.to_string_lossy();
    let second = run_to_end(["run", "--pid", &fixture.pid().to_string(), "--socket", &*socket])?;
    refused(&second, code::SOCKET_IN_USE, &[&*socket]);
    // The first one does not mind.
    assert_eq!(daemon.ask(&["tasks", "--once"])?.code(), 0);
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    fixture.end()
}

#[test]
fn no_daemon_to_ask() -> Result<()> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let socket = folder.path().join("nobody.sock");
    let socket = socket.to_string_lossy();
    for command in [&["requests"][..], &["blocking"], &["export", "--all", "-o", "-"]] {
        let words = [command, &["--socket", &*socket]].concat();
        refused(&run_to_end(words)?, code::NO_DAEMON, &[&*socket]);
    }
    Ok(())
}

/// A daemon that has no such thing says so, says what there is, and goes on; no file is left for what could not be drawn.
#[test]
fn an_export_of_nothing() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 2")?;
    let daemon = Daemon::attach(fixture.pid(), &["--request", "req-1"])?;
    fixture.round()?;
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let path = folder.path().join("x.folded");
    let output = path.to_string_lossy();
    for (words, said) in [(["--request", "order-42"], ["order-42", "req-1"]), (["--task", "4711000"], ["4711000", "task"])] {
        let ended = daemon.ask(&[&["export", "-o", &*output], &words[..]].concat())?;
        refused(&ended, code::NOT_FOUND, &said);
    }
    let ended = daemon.ask(&["export", "-o", &*output, "--request", "req-1", "--metric", "blocked"])?;
    // It awaits and computes; it sleeps in a poll only where the machine makes it.
    if !ended.status.success() {
        refused(&ended, code::DAEMON_FAILED, &["req-1", "no blocked time"]);
        assert!(!path.exists(), "a file for nothing");
    }
    assert_eq!(daemon.ask(&["requests"])?.code(), 0);
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    fixture.end()
}

#[test]
fn arguments_that_make_no_sense() -> Result<()> {
    let long = "x".repeat(65);
    for words in [
        &["record", "--all", "-o", "x.json"][..],
        &["record", "--pid", "0", "-o", "x.json"],
        &["record", "--pid", "1", "--all", "--request", "x", "-o", "x.json"],
        &["record", "--pid", "1", "--request", "", "-o", "x.json"],
        &["record", "--pid", "1", "--request", &long, "-o", "x.json"],
        &["record", "--pid", "1", "--duration", "-3s", "-o", "x.json"],
        &["record", "--pid", "1", "--rate", "0", "-o", "x.json"],
        &["record", "--pid", "1", "--rate", "4001", "-o", "x.json"],
        &["run", "--pid", "1", "--rate", "often"],
        &["record", "--pid", "1", "--format", "svg", "-o", "x.svg"],
        &["export", "--request", "order-42", "--metric", "time", "-o", "x.svg"],
        &["export", "-o", "x.svg"],
        &["blocking", "--threshold", "long"],
        &["blocking", "--format", "folded"],
        &["profile"],
    ] {
        let ended = run_to_end(words.iter().copied())?;
        assert_eq!(ended.code(), code::USAGE, "{words:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty() && !ended.stderr.contains("panicked"), "{words:?}: {}", ended.stderr);
    }
    Ok(())
}
