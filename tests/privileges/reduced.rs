//! What the profiler still holds once it has attached: read from outside, thread by thread.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::user::{NOBODY, OTHER, Place, needs_users, status};

const LIMIT: Duration = Duration::from_mins(2);

/// Bits of capabilities (include/uapi/linux/capability.h).
const DAC_READ_SEARCH: u64 = 1 << 2;
const KILL: u64 = 1 << 5;
const SYS_PTRACE: u64 = 1 << 19;
const BPF: u64 = 1 << 39;
const CHECKPOINT_RESTORE: u64 = 1 << 40;

/// Every thread of `pid` holds exactly `kept`, can hand nothing on, and gets nothing again.
fn holds(pid: u32, kept: u64) -> Result<()> {
    let folder = PathBuf::from(format!("/proc/{pid}/task"));
    let threads = fs::read_dir(&folder).map_err(Failure::io("the threads"))?;
    let threads: Vec<PathBuf> = threads.filter_map(|thread| Some(thread.ok()?.path())).collect();
    assert!(threads.len() >= 3, "the main thread and two workers: {threads:?}");
    for thread in &threads {
        let word = |key| Ok::<_, Failure>(u64::from_str_radix(&status(thread, key)?, 16).unwrap_or(u64::MAX));
        let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
        let found = (word("CapEff")?, word("CapPrm")?, word("CapInh")?, word("CapAmb")?);
        assert_eq!(found, (kept, kept, 0, 0), "thread {name}: {:#x} instead of {kept:#x}", found.0);
        assert_eq!(status(thread, "NoNewPrivs")?, "1", "thread {name}");
    }
    Ok(())
}

/// The set in the daemon's main thread by which programs that root runs are bounded.
fn bounds(pid: u32) -> Result<u64> {
    Ok(u64::from_str_radix(&status(Path::new(&format!("/proc/{pid}")), "CapBnd")?, 16).unwrap_or(u64::MAX))
}

#[test]
fn root_keeps_four_capabilities() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("requests --concurrent 2")?;
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let socket = folder.path().join("control.sock");
    let daemon = Daemon::attach_at(fixture.pid(), &socket, &["--request-prefix", "req-"])?;
    let kept = DAC_READ_SEARCH | SYS_PTRACE | BPF | CHECKPOINT_RESTORE;
    let pid = daemon.pid();
    holds(pid, kept)?;
    assert_eq!(bounds(pid)?, kept);
    fixture.round()?;
    // What is asked of it is done by threads that are made now.
    assert_eq!(daemon.ask(&["requests"])?.code(), 0);
    assert_eq!(daemon.ask(&["tasks", "--awaits"])?.code(), 0);
    daemon.export(&folder.path().join("x.svg"), &["--all"])?;
    holds(pid, kept)?;
    assert!(profiler_tests::annotation::Annotation::of(fixture.pid())?.is_armed()?);
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    // What was opened before is still written and removed.
    assert_eq!(profiler_tests::annotation::Annotation::of(fixture.pid())?.left_behind()?, Vec::<String>::new());
    assert!(!socket.exists());
    fixture.end()
}

/// A daemon of another user's process, with the capabilities that it takes: of four it keeps two, and does everything with them.
#[test]
fn who_is_not_root_keeps_two() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let mut fixture = Fixture::ready(Process::start(&mut place.fixture(OTHER))?)?;
    let socket = place.path("control.sock");
    let mut command = place.profiler(NOBODY, &["bpf", "perfmon", "sys_ptrace", "dac_override"]);
    command.args(["run", "--pid", &fixture.pid().to_string(), "--request-prefix", "req-", "--socket"]).arg(&socket);
    let mut profiler = Process::start(&mut command)?;
    profiler.stderr.wait("word of the attach", LIMIT, |line| line.contains("listening").then_some(()))?;
    holds(profiler.pid(), SYS_PTRACE | BPF)?;
    fixture.round()?;
    for words in [&["requests"][..], &["tasks", "--awaits"], &["waits", "--all"]] {
        let mut client = place.profiler(NOBODY, &[]);
        let ended = to_end(Process::start(client.args(words).arg("--socket").arg(&socket))?)?;
        assert_eq!(ended.code(), 0, "{words:?}: {}", ended.stderr);
        assert!(!ended.stdout.is_empty(), "{words:?}");
    }
    holds(profiler.pid(), SYS_PTRACE | BPF)?;
    profiler.signal(libc::SIGINT)?;
    assert_eq!(to_end(profiler)?.code(), 0);
    assert_eq!(profiler_tests::annotation::Annotation::of(fixture.pid())?.left_behind()?, Vec::<String>::new());
    assert!(!socket.exists());
    fixture.end()
}

fn launched(command: &mut Command) -> Result<(Process, u32)> {
    let mut profiler = Process::start(command)?;
    let pid = profiler.stderr.wait("word of the start", LIMIT, |line| {
        line.strip_prefix("started ")?.split_once("as process ")?.1.split_whitespace().next()?.parse().ok()
    })?;
    profiler.stderr.wait("word of the socket", LIMIT, |line| line.contains("listening").then_some(()))?;
    Ok((profiler, pid))
}

/// A service that the profiler starts has nothing of what the profiler was given.
#[test]
fn a_started_service_inherits_nothing() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let mut command = place.profiler(NOBODY, &["bpf", "perfmon"]);
    command.arg("run").arg("--socket").arg(place.path("control.sock")).arg("--").arg(place.service());
    let (profiler, service) = launched(command.args(["churn", "--live", "1"]))?;
    for key in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(Path::new(&format!("/proc/{service}")), key)?, "0000000000000000", "{key}");
    }
    assert_eq!(status(Path::new(&format!("/proc/{service}")), "NoNewPrivs")?, "0", "what it may do is its own matter");
    holds(profiler.pid(), BPF)?;
    // Its standard input ends, and it with it.
    assert_eq!(to_end(profiler)?.code(), 0);
    Ok(())
}

/// Under sudo the service is another user's, and signals for it come to us.
#[test]
fn signals_still_reach_a_service_of_another_user() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let place = Place::make()?;
    let mut command = Command::new(place.path("profiler"));
    command.env("SUDO_UID", OTHER.to_string()).env("SUDO_GID", OTHER.to_string()).env("PROFILER_CACHE", "");
    command.arg("run").arg("--socket").arg(place.path("control.sock")).arg("--").arg(place.service());
    let (profiler, service) = launched(command.args(["churn", "--live", "1"]))?;
    assert!(status(Path::new(&format!("/proc/{service}")), "Uid")?.starts_with("1234"));
    holds(profiler.pid(), KILL | DAC_READ_SEARCH | SYS_PTRACE | BPF | CHECKPOINT_RESTORE)?;
    profiler.signal(libc::SIGTERM)?;
    // The service's own end, by that signal.
    assert_eq!(to_end(profiler)?.code(), 128 + libc::SIGTERM);
    Ok(())
}
