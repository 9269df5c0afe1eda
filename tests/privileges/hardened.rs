//! Machines that are hardened: processes hidden from others (`hidepid`), a kernel that is locked down, Yama. The first is real, in a mount namespace of the
//! profiler's own; of the others only what the kernel says is put there, since neither can be taken back until the next boot.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Ended, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result};

use crate::user::{NOBODY, OTHER, Place, needs_users};

const NO_PRIVILEGES: i32 = 20;
const KERNEL_REFUSED: i32 = 22;
const LIMIT: Duration = Duration::from_mins(2);

/// The command behind a shell's `setup`, in a mount namespace of its own.
fn after(setup: &str, command: &Command) -> Command {
    let mut behind = Command::new("unshare");
    behind
        .args(["--mount", "sh", "-c", &format!("{setup} && exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    behind.env("PROFILER_CACHE", "");
    behind
}

const HIDDEN: &str = "mount -t proc -o hidepid=2 proc /proc";

#[track_caller]
fn refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{}", ended.stderr);
    let errors: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(matches!(errors[..], [line] if line.len() < 300), "not one sentence: {}", ended.stderr);
    for word in words {
        assert!(errors[0].contains(word), "{word:?} is not in {:?}", errors[0]);
    }
}

fn record(place: &Place, pid: u32, capabilities: &[&str], path: &Path, words: &[&str]) -> Command {
    let mut profiler = place.profiler(NOBODY, capabilities);
    profiler.args(["record", "--pid", &pid.to_string(), "--duration", "2s", "--format", "json", "-o"]).arg(path).args(words);
    profiler
}

/// Check that a process that is hidden is one that cannot be profiled for want of a capability, and can be with it; and that one's own is not hidden.
#[test]
fn hidden_processes_need_what_others_processes_need() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let path = place.path("report.json");
    for (user, capabilities, words, is_refused) in [
        (OTHER, &["bpf", "perfmon"][..], &["--all"][..], true),
        (OTHER, &["bpf", "perfmon", "sys_ptrace"], &["--all"], false),
        (NOBODY, &["bpf", "perfmon"], &["--request", "req-1"], false),
    ] {
        let mut fixture = Fixture::ready(Process::start(&mut place.fixture(user))?)?;
        let mut profiler = Process::start(&mut after(HIDDEN, &record(&place, fixture.pid(), capabilities, &path, words)))?;
        if is_refused {
            refused(&to_end(profiler)?, NO_PRIVILEGES, &["cannot read /proc/", "CAP_SYS_PTRACE"]);
        } else {
            profiler.stderr.wait("word of the attach", LIMIT, |line| line.contains("attached").then_some(()))?;
            fixture.round()?;
            let ended = to_end(profiler)?;
            assert_eq!(ended.code(), 0, "{words:?}: {}", ended.stderr);
            assert!(!Report::read(&path)?.requests.is_empty());
            fs::remove_file(&path).map_err(Failure::io("the report"))?;
        }
        fixture.end()?;
    }
    Ok(())
}

/// A folder over `/sys/kernel/security` that says that this mode is in force.
fn locked(mode: &str) -> String {
    format!(
        "mount -t tmpfs none /sys/kernel && mkdir /sys/kernel/security && echo 'none [{mode}]' > /sys/kernel/security/lockdown"
    )
}

/// Check that a kernel that lets no program read is told of before anything is tried, and that one that only guards itself is no obstacle.
#[test]
fn a_locked_down_kernel_is_told_of() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let fixture = Fixture::ready(Process::start(&mut place.fixture(OTHER))?)?;
    let path = place.path("report.json");
    let capabilities = ["bpf", "perfmon", "sys_ptrace"];
    let command = record(&place, fixture.pid(), &capabilities, &path, &["--all"]);
    let ended = to_end(Process::start(&mut after(&locked("confidentiality"), &command))?)?;
    refused(&ended, KERNEL_REFUSED, &["locked down", "confidentiality", "lockdown=integrity"]);
    assert!(!path.exists());
    fixture.end()
}

/// Check that `system-info` tells of both.
#[test]
fn system_info_tells_of_lockdown_and_yama() -> Result<()> {
    needs_users!();
    let place = Place::make()?;
    let yama = |scope: u8| {
        format!(
            "release=$(cat /proc/sys/kernel/osrelease) && mount -t tmpfs none /proc/sys/kernel && echo $release > /proc/sys/kernel/osrelease && \
             mkdir /proc/sys/kernel/yama && echo {scope} > /proc/sys/kernel/yama/ptrace_scope"
        )
    };
    let mut info = place.profiler(NOBODY, &[]);
    info.arg("system-info");
    for (setup, words) in [
        (yama(1), "kernel.yama.ptrace_scope is 1: with CAP_SYS_PTRACE, also your own"),
        (yama(2), "kernel.yama.ptrace_scope is 2"),
        (yama(3), "kernel.yama.ptrace_scope is 3: nobody's"),
        (locked("integrity"), "ok       integrity"),
        (locked("confidentiality"), "missing  confidentiality"),
    ] {
        let ended = to_end(Process::start(&mut after(&setup, &info))?)?;
        assert!(ended.stdout.contains(words), "{setup}: {}{}", ended.stdout, ended.stderr);
    }
    Ok(())
}
