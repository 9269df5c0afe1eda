//! `--stats` without root: the kernel counts for CAP_SYS_ADMIN only (kernel/bpf/syscall.c, `bpf_enable_stats`), and nothing is done without it.

use std::time::Duration;

use profiler_tests::daemon::to_end;
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Result, text};

use crate::user::{NOBODY, Place, needs_users};

const NO_PRIVILEGES: i32 = 20;
const LIMIT: Duration = Duration::from_mins(2);

/// Starts a recording with `--stats` as nobody, with these capabilities.
fn recording(place: &Place, pid: u32, capabilities: &[&str]) -> Result<Process> {
    let mut profiler = place.profiler(NOBODY, capabilities);
    profiler.args(["record", "--pid", &pid.to_string(), "--duration", "2s", "--all", "--stats", "--format", "json", "-o"]);
    Process::start(profiler.arg(place.path("stats.json")))
}

#[test]
fn counting_needs_an_administrator() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let mut fixture = Fixture::ready(Process::start(&mut place.fixture(NOBODY))?)?;

    let refused = to_end(recording(&place, fixture.pid(), &["bpf", "perfmon"])?)?;
    assert_eq!(refused.code(), NO_PRIVILEGES, "{}", refused.stderr);
    let says = ["--stats", "root", "CAP_SYS_ADMIN"].iter().all(|word| refused.stderr.contains(word));
    assert!(says && refused.stderr.trim_end().lines().count() == 1, "{}", refused.stderr);
    assert!(!place.path("stats.json").exists(), "a file of nothing");
    text::untouched(fixture.pid(), "after the refusal")?;

    let mut recording = recording(&place, fixture.pid(), &["bpf", "perfmon", "sys_admin"])?;
    recording.stderr.wait("word of the attach", LIMIT, |line| line.contains("attached").then_some(()))?;
    fixture.round()?;
    let ended = to_end(recording)?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = Report::read(&place.path("stats.json"))?;
    assert!(report.cost.is_some_and(|cost| cost.runs("poll_start") > 0), "no runs");
    fixture.ping()?;
    fixture.end()
}
