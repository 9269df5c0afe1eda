//! The promises that are no ratios: what the daemon takes at a rate of polls, and how fast it comes and goes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use profiler_daemon::session::{Manner, Session, Subject};
use profiler_tests::process::Process;
use profiler_tests::rig::attached::What;
use profiler_tests::rig::load::Connection;
use profiler_tests::rig::quartiles::Quartiles;
use profiler_tests::rig::service::{self, Service};
use profiler_tests::{Failure, Result, large};

use crate::checks::check;
use crate::observer::{Observer as _, cannot};
use crate::ours::Ours;
use crate::report::Check;
use crate::used::{cpu_ns, peak_bytes};

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

/// What a profiler in exact mode takes at a hundred thousand polls a second.
#[expect(clippy::cast_precision_loss, reason = "bytes, and nanoseconds of some seconds")]
fn of_the_daemon(watched: Duration) -> Result<Vec<Check>> {
    let mut service = Service::start(&mut Command::new(service::program()?))?;
    let mut daemon = Ours::start(What::Exact)?;
    daemon.begin(&service)?;
    let pid = daemon.pid().ok_or_else(|| cannot("the profiler has no process"))?;
    let (over, port) = (AtomicBool::new(false), service.port);
    let (share, polls) = std::thread::scope(|scope| {
        let load = scope.spawn(|| paced(port, &over));
        let found = watch(&mut service, pid, watched);
        over.store(true, Ordering::Relaxed);
        load.join().map_err(|_| cannot("the load panicked"))?.map_err(Failure::io("the load"))?;
        found
    })?;
    let peak = peak_bytes(pid).map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    daemon.end()?;
    service.end()?;
    let how = format!("in exact mode at {polls:.0} polls a second");
    // A service that does not keep up proves nothing.
    let error = if polls < LEAST_RATE { f64::INFINITY } else { 0.0 };
    Ok(vec![
        check("at 100,000 polls a second the daemon takes under 2 % of a CPU", "%", (share * 100.0, error, 2.0), how.clone()),
        check("at 100,000 polls a second the daemon takes under 60 MB", "MB", (peak, error, 60.0), how),
    ])
}

/// The profiler's share of a CPU, and the polls a second meanwhile.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of some seconds")]
fn watch(service: &mut Service, pid: u32, watched: Duration) -> Result<(f64, f64)> {
    // The attach is behind it by then.
    std::thread::sleep(Duration::from_millis(500));
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

/// How fast the profiler comes to a large program and leaves its many sites.
#[expect(clippy::cast_precision_loss, reason = "bytes and sites")]
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
    let (mut attach, mut detach, mut sites) = (Vec::new(), Vec::new(), 0);
    for _ in 0..turns {
        let begun = Instant::now();
        let failed = |error: profiler_daemon::session::SessionError| cannot(error.to_string());
        let mut session =
            Session::start(running.pid(), &Subject::AllTasks, &Manner::default(), &[], &mut |_| ()).map_err(failed)?;
        attach.push(begun.elapsed().as_secs_f64());
        sites = session.plan().sites.len() + session.plan().scopes.len();
        let begun = Instant::now();
        session.finish().map_err(failed)?;
        detach.push(begun.elapsed().as_secs_f64());
    }
    let (attach, detach) = (Quartiles::of(attach), Quartiles::of(detach));
    let of = |times: &Quartiles| {
        format!("of a program of {:.0} MB with {sites} sites; {:.2} to {:.2} s", bytes as f64 / 1e6, times.min, times.max)
    };
    Ok(vec![
        check(ATTACH, "s", (attach.median, 0.0, 1.0), of(&attach)),
        check(DETACH, "s", (detach.median, 0.0, 1.0), of(&detach)),
    ])
}
