//! The promises that are no ratios: what the daemon takes at a rate of polls, and how fast it comes and goes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use profiler_tests::daemon::Daemon;
use profiler_tests::process::Process;
use profiler_tests::rig::load::Connection;
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::service::{self, Service};
use profiler_tests::{Failure, Result, large};

use crate::checks::check;
use crate::observer::cannot;
use crate::report::Check;
use crate::used::{cpu_ns, peak_bytes, resident_bytes};

const CPU: &str = "at 100,000 polls a second the daemon takes under 2 % of a CPU";
const MEMORY: &str = "at 100,000 polls a second the daemon takes under 60 MB";
const ATTACH: &str = "attaching to an executable of 50 MB takes under 1 s";
const DETACH: &str = "detaching from 500 sites takes under 1 s";
/// Where the generated program is built, in the target's folder.
const FOLDER: &str = "overhead/large";
/// Services of the generated program: two spawned types each, some 60 MB without debug information, which is 180 MB more.
const SERVICES: usize = 260;
/// How often a large program is attached to, and how long the daemon is watched.
pub(crate) type Length = (usize, Duration);
/// For the document.
pub(crate) const FULL: Length = (5, Duration::from_secs(8));
/// For a minute.
pub(crate) const QUICK: Length = (2, Duration::from_secs(3));
/// Polls of a request for `/polls`, and how often one is sent: a hundred thousand a second.
const REQUESTS_PER_SECOND: u32 = 1_000_000 / 1010;
/// Into so many parts the time is divided for which the daemon is watched: what they differ by is what one of them says too much or too little.
const PARTS: u32 = 4;
/// Fewer polls a second than this are not a hundred thousand.
const LEAST_RATE: f64 = 90_000.0;

/// The large program, built where it is not.
pub(crate) fn program() -> Result<PathBuf> {
    large::program(SERVICES, FOLDER, "none")
}

/// All of them.
pub(crate) fn all((turns, watched): Length) -> Result<Vec<Check>> {
    let mut checks = of_the_daemon(watched)?;
    checks.extend(of_a_large_program(turns)?);
    Ok(checks)
}

/// What `profiler-daemon run` takes at a hundred thousand polls a second.
#[expect(clippy::cast_precision_loss, reason = "bytes, and nanoseconds of some seconds")]
fn of_the_daemon(watched: Duration) -> Result<Vec<Check>> {
    let mut service = Service::start(&mut Command::new(service::program()?))?;
    let daemon = Daemon::attach(service.pid(), &[])?;
    let (over, port) = (AtomicBool::new(false), service.port);
    let parts = std::thread::scope(|scope| {
        let load = scope.spawn(|| paced(port, &over));
        // The attach is behind it by then.
        std::thread::sleep(Duration::from_millis(500));
        let parts = (0..PARTS).map(|_| watch(&mut service, daemon.pid(), watched / PARTS)).collect::<Result<Vec<_>>>();
        over.store(true, Ordering::Relaxed);
        load.join().map_err(|_| cannot("the load panicked"))?.map_err(Failure::io("the load"))?;
        parts
    })?;
    let (share, polls) =
        (Quartiles::of(parts.iter().map(|part| part.0 * 100.0)), Quartiles::of(parts.iter().map(|part| part.1)).median);
    let megabytes = |bytes: Option<u64>| bytes.map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    let (now, peak) = (megabytes(resident_bytes(daemon.pid())), megabytes(peak_bytes(daemon.pid())));
    let _ended = daemon.end(libc::SIGTERM)?;
    service.end()?;
    let how = format!("`run --pid PID`, every task and request in exact mode, at {polls:.0} polls a second");
    // A service that does not keep up proves nothing.
    let error = if polls < LEAST_RATE { f64::INFINITY } else { 0.0 };
    let of_share = error + share.spread() / 2.0;
    let memory = format!("resident of it, {now:.0} MB of them at the end; {how}");
    Ok(vec![check(CPU, "%", (share.median, of_share, 2.0), how), check(MEMORY, "MB", (peak, error, 60.0), memory)])
}

/// The profiler's share of a CPU, and the polls a second meanwhile.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of some seconds")]
fn watch(service: &mut Service, pid: u32, watched: Duration) -> Result<(f64, f64)> {
    let (begun, used, polls) = (Instant::now(), cpu_ns(pid), service.usage()?.polls);
    std::thread::sleep(watched);
    let (took, used) = (begun.elapsed(), cpu_ns(pid).saturating_sub(used));
    let polls = service.usage()?.polls - polls;
    Ok((used as f64 / took.as_nanos() as f64, polls as f64 / took.as_secs_f64()))
}

/// A request for a hundred polls a millisecond, as far as the service keeps up.
fn paced(port: u16, over: &AtomicBool) -> std::io::Result<()> {
    let mut connection = Connection::open(port)?;
    let begun = Instant::now();
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        connection.ask("/polls", None)?;
        sent += 1;
        let due = Duration::from_secs(1) * sent / REQUESTS_PER_SECOND;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// How fast the profiler comes to a large program and leaves its many sites: from its start to its word that it is attached, and from the
/// signal to its end.
#[expect(clippy::cast_precision_loss, reason = "bytes")]
fn of_a_large_program(turns: usize) -> Result<Vec<Check>> {
    let program = large::file(FOLDER);
    if !program.exists() {
        let why = || "the large program is not built; `cargo xtask bench overhead` does it".to_owned();
        return Ok(vec![check(ATTACH, "s", (f64::NAN, 0.0, 1.0), why()), check(DETACH, "s", (f64::NAN, 0.0, 1.0), why())]);
    }
    let bytes = std::fs::metadata(&program).map_err(Failure::io(program.display().to_string()))?.len();
    let running = Process::start(&mut Command::new(&program))?;
    // Its tasks are spawned by then.
    std::thread::sleep(Duration::from_millis(300));
    let (mut attach, mut detach, mut sites) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..turns {
        let begun = Instant::now();
        let daemon = Daemon::attach(running.pid(), &[])?;
        attach.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let ended = daemon.end(libc::SIGTERM)?;
        detach.push(begun.elapsed().as_secs_f64());
        let told = ended.stderr.lines().find_map(|line| line.strip_prefix("attached to process ")?.split_once(": "));
        sites = told.map_or_else(String::new, |(_, sites)| sites.to_owned());
    }
    let (attach, detach) = (Quartiles::of(attach), Quartiles::of(detach));
    let of = |words: &str, times: &Quartiles| {
        format!("{words}, a program of {:.0} MB, {sites}; {:.2} to {:.2} s", bytes as f64 / 1e6, times.min, times.max)
    };
    Ok(vec![
        check(
            ATTACH,
            "s",
            (attach.median, attach.spread() / 2.0, 1.0),
            of("`run --pid PID` from its start to \"attached\"", &attach),
        ),
        check(DETACH, "s", (detach.median, detach.spread() / 2.0, 1.0), of("SIGTERM to the end of `run`", &detach)),
    ])
}
