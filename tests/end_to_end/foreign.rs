//! Ids of other libraries: services without our annotation, whose requests OpenTelemetry's or custom-labels' thread-local names, by each way
//! in which code can reach one. The services measure their own CPU time and sleeps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, Recording, run_to_end};
use profiler_tests::expect::Attempts;
use profiler_tests::process::Process;
use profiler_tests::report::Foreign;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, needs_root, skip};
use serde::Deserialize;

use crate::compare::ATTEMPTS;

const LIMIT: Duration = Duration::from_mins(1);
/// Each request sleeps twelve times for 9 ms.
const SLEPT_NS: u64 = 12 * 9_000_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
enum Event {
    Ready {
        #[serde(rename = "pid")]
        _pid: u32,
    },
    Loaded,
    Failed,
    Id(Truth),
    Done,
}

/// What a request measured of itself.
#[derive(Debug, Deserialize)]
struct Truth {
    id: String,
    trace: String,
    cpu_ns: u64,
    blocked_ns: u64,
}

struct Service(Process);

impl Service {
    fn start(words: &[&str], preload: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(binaries::fixture("foreign-service")?);
        command.args(words);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        Self::ready(command)
    }

    fn ready(mut command: Command) -> Result<Self> {
        let mut service = Self(Process::start(&mut command)?);
        assert!(matches!(service.event()?, Event::Ready { .. }));
        Ok(service)
    }

    fn event(&mut self) -> Result<Event> {
        self.0.stdout.wait("an event of the service", LIMIT, |line| serde_json::from_str(line).ok())
    }

    fn load(&mut self) -> Result<()> {
        self.0.tell("load")?;
        assert!(matches!(self.event()?, Event::Loaded));
        Ok(())
    }

    fn round(&mut self) -> Result<Vec<Truth>> {
        self.0.tell("go")?;
        let mut all = Vec::new();
        loop {
            match self.event()? {
                Event::Id(truth) => all.push(truth),
                Event::Done => return Ok(all),
                other => return Err(Failure::Wrong(vec![format!("not the service's turn to say {other:?}")])),
            }
        }
    }
}

/// `slot.c`, compiled with these flags.
fn library(name: &str, flags: &[&str]) -> Result<PathBuf> {
    let source = binaries::repository().join("tests/fixture-service/src/bin/foreign-service/slot.c");
    let folder = binaries::target().join("foreign");
    std::fs::create_dir_all(&folder).map_err(Failure::io(folder.display().to_string()))?;
    let library = folder.join(name);
    let mut command = Command::new("cc");
    command.args(["-O1", "-shared", "-fPIC"]).args(flags).arg(source).arg("-o").arg(&library);
    let output = command.output().map_err(Failure::io("cc"))?;
    if output.status.success() {
        return Ok(library);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::Build { package: name.to_owned(), status: output.status.to_string(), stderr })
}

/// The service with custom-labels' own crate. `None`: its bindgen finds no libclang on this machine.
fn labelled() -> Result<Option<PathBuf>> {
    let target = binaries::target().join("labels");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(binaries::repository().join("tests/labels-fixture"));
    command.args(["build", "--quiet", "--locked", "--release", "--target-dir"]).arg(&target);
    let output = command.output().map_err(Failure::io("cargo"))?;
    if output.status.success() {
        return Ok(Some(target.join("release/labels-fixture")));
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    // The library is missing, or it is there without its own headers.
    if stderr.contains("libclang") || stderr.contains("ClangDiagnostic") {
        return Ok(None);
    }
    Err(Failure::Build { package: "labels-fixture".to_owned(), status: output.status.to_string(), stderr })
}

/// What is wrong with the row of `truth`. CPU time is an estimate: by some hundred samples, whose error is a few of them.
fn wrong(row: Option<&Foreign>, truth: &Truth) -> Vec<String> {
    let Some(row) = row else { return vec![format!("{} was not seen", truth.id)] };
    let checks = [
        ("asleep", row.blocked_ns >= SLEPT_NS && row.blocked_ns <= truth.blocked_ns),
        ("on the CPU", row.sampled_ns.abs_diff(truth.cpu_ns) <= truth.cpu_ns / 10),
        ("samples", row.samples > 100),
        ("stretches", row.stretches >= 12),
        ("seen", row.wall_ns.unwrap_or(0) >= row.sampled_ns / 2 + row.blocked_ns + row.preempted_ns),
        ("tasks", row.tasks.len() == 1),
    ];
    checks.iter().filter(|(_, right)| !right).map(|(what, _)| format!("{what}: {row:?} {truth:?}")).collect()
}

/// Records request `id` of a service, round by round, until its times are right. `late`: its library is loaded after the attach.
fn follow(service: &mut Service, id: &str, late: bool) -> Result<()> {
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let recording = Recording::attach(service.0.pid(), &["--request", id, "--duration", "1m"])?;
        if late && attempts.compared() == 0 {
            service.load()?;
            // The mappings are looked at twice a second.
            std::thread::sleep(Duration::from_secs(1));
        }
        let round = service.round()?;
        recording.interrupt()?;
        let report = recording.report()?;
        let Some(truth) = round.iter().find(|truth| truth.id == id || truth.trace == id) else {
            return Err(Failure::Wrong(vec![format!("{id} is none of the service's ids")]));
        };
        assert!(report.foreign.iter().all(|row| row.id == id), "only what was asked for: {:?}", report.foreign);
        assert!(report.requests.is_empty(), "{:?}", report.requests);
        let row = report.foreign.first();
        if id == truth.id && row.is_some_and(|row| row.source == "attribute") {
            assert_eq!(row.and_then(|row| row.trace_id.as_ref()), Some(&truth.trace));
        }
        attempts.note(vec![(id.to_owned(), wrong(row, truth))]);
    }
    attempts.verdict()
}

/// Check the slot of an executable: by the attribute that names a request, and by its trace id; and that the graph has the function.
#[test]
fn an_executables_context() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start(&["otel"], None)?;
    follow(&mut service, "order-2", false)?;
    follow(&mut service, &"a1".repeat(16), false)?;
    let pid = service.0.pid();
    for (metric, function) in [("cpu", "crunch"), ("blocked", "call_that_sleeps")] {
        let recording = Recording::attach_as("folded", pid, &["--request", "order-3", "--metric", metric, "--duration", "1m"])?;
        service.round()?;
        recording.interrupt()?;
        let text = String::from_utf8_lossy(&recording.bytes()?).into_owned();
        assert!(text.lines().all(|line| line.starts_with("request order-3;task ")), "{text}");
        assert!(text.contains(function), "{metric}: {text}");
    }
    Ok(())
}

/// Check every model of a library that is loaded while the service runs: descriptors and pairs, with static room and without.
#[test]
fn a_librarys_context_by_every_access_model() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let models: [(&str, &[&str], &str, &str); 5] = [
        ("desc.so", &["-mtls-dialect=gnu2"], "TLS descriptor", "thread pointer"),
        ("desc_bulk.so", &["-mtls-dialect=gnu2", "-DBULK"], "TLS descriptor", "module"),
        ("pair.so", &["-mtls-dialect=gnu"], "general-dynamic", "module"),
        ("pair_bulk.so", &["-mtls-dialect=gnu", "-DBULK"], "general-dynamic", "module"),
        ("initial.so", &["-DMODEL=\"initial-exec\""], "initial-exec", "thread pointer"),
    ];
    for (name, flags, model, place) in models {
        let library = library(name, flags)?;
        let mut service = Service::start(&["otel", &library.to_string_lossy()], None)?;
        service.load()?;
        let inspected = run_to_end(["inspect", "--pid", &service.0.pid().to_string()])?;
        let line = inspected.stdout.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(line.contains(model) && line.contains(place), "{name}: {}", inspected.stdout);
        follow(&mut service, "order-1", false)?;
    }
    Ok(())
}

/// Check a library that is there from the start, which has static room, and one that comes after the attach.
#[test]
fn early_and_late_libraries() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let early = library("desc.so", &["-mtls-dialect=gnu2"])?;
    let mut service = Service::start(&["otel", &early.to_string_lossy()], Some(&early))?;
    service.load()?;
    follow(&mut service, "order-0", false)?;
    let late = library("desc_bulk.so", &["-mtls-dialect=gnu2", "-DBULK"])?;
    let mut service = Service::start(&["otel", &late.to_string_lossy()], None)?;
    follow(&mut service, "order-0", true)
}

/// Check labels: the default key, one that the user names, and that another version of the layout is refused in a sentence.
#[test]
fn a_librarys_labels() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let first = library("labels.so", &["-mtls-dialect=gnu2", "-DLABELS=1"])?;
    let mut service = Service::start(&["labels", &first.to_string_lossy()], None)?;
    service.load()?;
    follow(&mut service, "order-1", false)?;
    let recording = Recording::attach(service.0.pid(), &["--request", "acme", "--label-key", "tenant", "--duration", "1m"])?;
    let round = service.round()?;
    recording.interrupt()?;
    let report = recording.report()?;
    let slept: u64 = report.foreign.iter().map(|row| row.blocked_ns).sum();
    assert_eq!(report.foreign.iter().map(|row| (row.id.as_str(), row.source.as_str())).collect::<Vec<_>>(), [("acme", "label")]);
    assert!(slept >= 4 * SLEPT_NS && report.foreign[0].tasks.len() == round.len(), "{report:?}");

    let old = library("labels_old.so", &["-mtls-dialect=gnu2", "-DLABELS=0"])?;
    let mut service = Service::start(&["labels", &old.to_string_lossy()], None)?;
    service.load()?;
    let inspected = run_to_end(["inspect", "--pid", &service.0.pid().to_string()])?;
    assert!(inspected.stdout.contains("its version is 0, and only 1 is read"), "{}", inspected.stdout);
    Ok(())
}

/// Check custom-labels' own crate, whose futures swap their set in at each poll.
#[test]
fn the_labels_of_custom_labels_own_crate() -> Result<()> {
    needs_root!();
    let Some(program) = labelled()? else { skip!("custom-labels' bindgen finds no libclang, or not its headers") };
    let _turn = turn();
    let inspected = run_to_end(["inspect", &program.to_string_lossy()])?;
    let line = inspected.stdout.lines().find(|line| line.contains("custom_labels_current_set")).unwrap_or_default();
    assert!(line.contains("local-exec") && !line.contains("not exported"), "{}", inspected.stdout);
    let mut service = Service::ready(Command::new(program))?;
    follow(&mut service, "order-1", false)
}

/// Check a daemon that was asked for nothing: `requests` lists the ids that were seen, with what is known and nothing else.
#[test]
fn a_daemon_lists_the_ids_that_were_seen() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start(&["otel"], None)?;
    let daemon = Daemon::attach(service.0.pid(), &["--rate", "999"])?;
    let round = service.round()?;
    let listed = daemon.ask(&["requests", "--format", "json"])?;
    let rows: Vec<Foreign> =
        serde_json::from_str(&listed.stdout).map_err(|error| Failure::Wrong(vec![format!("{error}: {}", listed.stdout)]))?;
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["order-0", "order-1", "order-2", "order-3"]);
    for truth in &round {
        let row = rows.iter().find(|row| row.id == truth.id).expect("listed");
        assert_eq!((row.source.as_str(), row.trace_id.as_ref()), ("attribute", Some(&truth.trace)));
        assert!(row.blocked_ns >= SLEPT_NS && row.blocked_ns <= truth.blocked_ns, "{row:?} {truth:?}");
    }
    let table = daemon.ask(&["requests"])?.stdout;
    assert!(table.contains("order-3") && table.contains("are not known of these"), "{table}");
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    Ok(())
}
